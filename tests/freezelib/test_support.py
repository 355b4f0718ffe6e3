import pytest

from freezelib.augment import Augmentation

IMAGE = (3, 32, 32)
MAP, TOKENS, ODD = (16, 8, 8), (65, 192), (16, 5, 5)
FULL = Augmentation(views=("hflip", "rotate:degrees=10"), shift_pixels=4, noise=0.1, mixup=1.0)
COLOURS = Augmentation(views=("brightness:by=0.2", "saturation:factor=0.5"))


def kinds(augmentation, map_shape, **cache):
    found = augmentation.support(image_shape=IMAGE, map_shape=map_shape, **cache)
    return {part: support.kind for part, support in found.items()}


@pytest.mark.parametrize(
    ("map_shape", "cache", "view", "shift"),
    [
        (MAP, {}, "approximate", "approximate"),
        (MAP, {"whole_views": True}, "exact", "approximate"),
        (MAP, {"stored_views": 2}, "exact", "exact"),
        (ODD, {}, "approximate", "unsupported"),
        (ODD, {"stored_views": 2}, "exact", "exact"),
        (TOKENS, {}, "unsupported", "unsupported"),
        (TOKENS, {"whole_views": True}, "exact", "unsupported"),
        (TOKENS, {"stored_views": 4}, "exact", "exact"),
    ],
)
def test_the_support_of_every_part_at_every_kind_of_cut(map_shape, cache, view, shift):
    assert kinds(FULL, map_shape, **cache) == {
        "hflip": view,
        "rotate:degrees=10": view,
        "shift_pixels": shift,
        "noise": "exact",
        "mixup": "exact",
    }


@pytest.mark.parametrize("map_shape", [MAP, ODD, TOKENS])
@pytest.mark.parametrize(
    ("cache", "kind"),
    [({}, "approximate"), ({"whole_views": True}, "exact"), ({"stored_views": 2}, "exact")],
)
def test_a_view_that_moves_nothing_is_supported_at_every_kind_of_cut(map_shape, cache, kind):
    assert set(kinds(COLOURS, map_shape, **cache).values()) == {kind}


def test_only_parts_that_act_are_told_of_and_feature_space_is_called_by_its_name():
    assert kinds(Augmentation(), MAP) == {}
    found = FULL.support(image_shape=IMAGE, map_shape=TOKENS)
    assert "manifold mixup" in found["mixup"].reason
    assert "feature maps" in found["noise"].reason


@pytest.mark.parametrize(("pixels", "kind"), [(3, "unsupported"), (4, "approximate")])
def test_a_shift_that_never_reaches_the_next_cell_is_unsupported(pixels, kind):
    augmentation = Augmentation(shift_pixels=pixels)
    assert kinds(augmentation, MAP) == {"shift_pixels": kind}


@pytest.mark.parametrize("map_shape", [MAP, ODD, TOKENS])
@pytest.mark.parametrize("cache", [{}, {"whole_views": True}, {"stored_views": 3}], ids=str)
@pytest.mark.parametrize("part", [{"views": ("hflip",)}, {"shift_pixels": 4}, {"gain": 0.1}])
def test_exactly_what_is_unsupported_is_refused(map_shape, cache, part):
    augmentation = Augmentation(**part)
    (kind,) = kinds(augmentation, map_shape, **cache).values()
    if kind != "unsupported":
        augmentation.require_supported(image_shape=IMAGE, map_shape=map_shape, **cache)
        return
    with pytest.raises(ValueError, match="must be supported") as refused:
        augmentation.require_supported(image_shape=IMAGE, map_shape=map_shape, **cache)
    assert str(map_shape) in str(refused.value)
    assert "stored_views=V" in str(refused.value)
