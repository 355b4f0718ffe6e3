"""Buffers that are used again."""

import torch

from freezelib.codecs.scratch import Scratch


def test_a_buffer_is_handed_out_again_at_any_size_up_to_its_largest():
    scratch = Scratch()
    large = scratch.take("codes", (4, 8), torch.uint8)
    for shape in [(4, 8), (8, 4), (2, 3), (0, 5), (32,)]:
        taken = scratch.take("codes", shape, torch.uint8)
        assert taken.shape == shape
        assert taken.is_contiguous()
        assert taken.numel() == 0 or taken.data_ptr() == large.data_ptr()


def test_a_buffer_that_grew_serves_small_requests_too():
    scratch = Scratch()
    scratch.take("codes", (2,), torch.uint8)
    large = scratch.take("codes", (64,), torch.uint8)
    assert scratch.take("codes", (2,), torch.uint8).data_ptr() == large.data_ptr()


def test_names_and_types_do_not_overlap():
    scratch = Scratch()
    requests = [("a", torch.uint8), ("b", torch.uint8), ("a", torch.int8), ("a", torch.float32)]
    taken = [scratch.take(name, (4,), dtype) for name, dtype in requests]
    for value, tensor in enumerate(taken):
        tensor.fill_(value)
    assert [tensor.tolist() for tensor in taken] == [[value] * 4 for value in range(4)]


def test_a_device_may_be_named_or_given():
    scratch = Scratch()
    named = scratch.take("codes", (4,), torch.uint8, "cpu")
    assert (
        scratch.take("codes", (4,), torch.uint8, torch.device("cpu")).data_ptr()
        == named.data_ptr()
    )
    assert scratch.take("codes", (4,), torch.uint8, "meta").is_meta
