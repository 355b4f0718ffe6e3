import pytest
import torch
from frozen_samples import SAMPLES, frozen_prefix, labelled_images, recipe_for

from freezelib.cache import CacheStore

torch.set_num_threads(1)  # the tensors are small, and a shared machine punishes two threads


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data():
    return labelled_images(SAMPLES)


@pytest.fixture(scope="session")
def prefix():
    return frozen_prefix()


@pytest.fixture
def recipe(prefix, data):
    return recipe_for(prefix, data)


@pytest.fixture
def store(tmp_path):
    return CacheStore(tmp_path / "caches")


@pytest.fixture
def cache(store, recipe, prefix, data):
    return store.get_or_build(recipe, prefix=prefix, data=data)


@pytest.fixture(scope="session")
def sound(tmp_path_factory, prefix, data):
    """A cache that tests read, or copy before they damage it."""
    store = CacheStore(tmp_path_factory.mktemp("sound"))
    return store.get_or_build(recipe_for(prefix, data), prefix=prefix, data=data)


@pytest.fixture
def build(store, prefix, data):
    def get_or_build(**changes):
        return store.get_or_build(recipe_for(prefix, data, **changes), prefix=prefix, data=data)

    return get_or_build
