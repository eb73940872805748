"""Bytes to networks and back: nothing is lost, and halves of a grey level are rounded."""

import torch

from posecast.media.grey_levels import to_bytes, to_network


def test_bytes_survive_the_way_to_the_network():
    images = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 16, 16, 3)
    tensors = to_network(images)
    assert (tensors.min().item(), tensors.max().item()) == (-1.0, 1.0)
    assert tensors.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(to_bytes(tensors), images)


def test_videos_and_single_pictures_keep_their_axes():
    video = torch.randint(256, (2, 5, 4, 6, 3), dtype=torch.uint8)
    tensors = to_network(video)
    assert tensors.shape == (2, 5, 3, 4, 6)
    assert torch.equal(tensors[1, 2], to_network(video[1, 2]))
    assert torch.equal(to_bytes(tensors), video)


def test_levels_are_rounded_and_kept_in_range():
    values = torch.tensor([-1.2, 0.6 / 127.5 - 1, 1.2])
    image = values[:, None, None].expand(3, 1, 1)
    assert to_bytes(image).flatten().tolist() == [0, 1, 255]


def test_half_precision_is_read_before_it_is_scaled():
    # bfloat16 has no place for 1.98828125: the sum would be rounded, to level 253.
    image = torch.full((3, 1, 1), 0.98828125, dtype=torch.bfloat16)
    assert to_bytes(image).flatten().tolist() == [254, 254, 254]
