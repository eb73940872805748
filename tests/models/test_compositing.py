"""Moving the source frame along with the pose."""

import torch
from torch.nn import functional

from posecast.networks.compositing import Compositor, part_moves, part_places, warp
from posecast.networks.generator import Generator, GeneratorConfig

SIDE = 64


def blob(x: float, y: float, sigma: float = 3.0) -> torch.Tensor:
    """One heat map with its peak at (x, y) in [-1, 1]."""
    pixels = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    scale = SIDE / 2 / sigma
    column, row = ((pixels - x) * scale) ** 2, ((pixels - y) * scale) ** 2
    return torch.exp(-0.5 * (row[:, None] + column[None]))


def maps(*places: tuple[float, float] | None) -> torch.Tensor:
    """(1, c, h, w) heat maps; None: an empty one."""
    return torch.stack([torch.zeros(SIDE, SIDE) if p is None else blob(*p) for p in places])[None]


def smooth_picture() -> torch.Tensor:
    small = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return functional.interpolate(small, SIDE, mode="bicubic").clamp(-1, 1)


def untrained(num_heatmaps: int) -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(num_heatmaps, width=4, size=SIDE, output="composite"))


def test_finds_blobs_where_they_are() -> None:
    places, shown = part_places(maps((0.25, -0.5), None, (-0.98, 0.98)))
    torch.testing.assert_close(places[0, 0], torch.tensor([0.25, -0.5]), rtol=0, atol=1e-3)
    torch.testing.assert_close(places[0, 2], torch.tensor([-0.98, 0.98]), rtol=0, atol=0.05)
    assert shown.tolist() == [[True, False, True]]


def test_moves_lead_from_where_a_part_is_wanted_to_where_it_was() -> None:
    source = maps((0.0, 0.0), (0.5, 0.5), None)
    target = maps((0.5, -0.25), None, (0.0, 0.0))
    moves, known = part_moves(source, target)
    expected = torch.tensor([[[-0.5, 0.25], [0, 0], [0, 0]]])
    torch.testing.assert_close(moves, expected, rtol=0, atol=1e-3)
    assert known.tolist() == [[True, False, False]]


def test_no_flow_is_the_picture_itself_and_whole_pixels_shift_it() -> None:
    picture = smooth_picture()
    flow = torch.zeros(1, 2, SIDE, SIDE)
    torch.testing.assert_close(warp(picture, flow), picture, rtol=0, atol=1e-5)
    flow[:, 0] = 3 * 2 / SIDE  # look 3 pixels to the right
    shifted = warp(picture, flow)
    torch.testing.assert_close(shifted[..., :-3], picture[..., 3:], rtol=0, atol=1e-5)
    torch.testing.assert_close(shifted[..., -1], picture[..., -1], rtol=0, atol=1e-5)


def test_before_training_the_same_pose_repeats_the_source() -> None:
    picture, pose = smooth_picture(), maps((0.2, 0.1), (-0.4, 0.3), None)
    with torch.no_grad():
        drawn = untrained(3)(picture, pose, pose)
    assert (drawn - picture).abs().mean() < 0.05


def test_before_training_a_moved_part_takes_its_pixels_along() -> None:
    picture = smooth_picture()
    picture[..., 28:36, 12:20] = 1.0  # a white patch, centre (16, 32), on the part
    source, target = maps((-0.5, 0.0)), maps((0.25, 0.0))  # to x = 40
    with torch.no_grad():
        drawn = untrained(1)(picture, source, target)
    assert drawn[..., 30:34, 38:42].min() > 0.8
    assert (drawn - picture)[..., :10, :].abs().mean() < 0.05  # far away nothing moves


def test_parts_missing_in_one_pose_move_nothing_and_give_finite_gradients() -> None:
    network = untrained(2)
    picture = smooth_picture().requires_grad_()
    drawn = network(picture, maps(None, (0.1, 0.1)), maps((0.3, 0.3), None))
    assert (drawn - picture).abs().mean() < 0.05
    drawn.square().mean().backward()
    gradients = [picture.grad, *(parameter.grad for parameter in network.parameters())]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_learns_a_motion_that_no_part_explains() -> None:
    """The background moves by two pixels while the pose stays: only learned motion can do that."""
    torch.manual_seed(0)
    head = Compositor(4, 1)
    head.start_as_moved_source()
    picture, pose = smooth_picture(), maps((0.0, 0.0))
    truth = warp(picture, torch.full((1, 2, SIDE, SIDE), 2 * 2 / SIDE))
    coarse, features = torch.ones(1, 8, 16, 16), torch.ones(1, 4, SIDE, SIDE)
    optimizer = torch.optim.Adam([head.to_motion.weight, head.to_motion.bias], 1e-2)
    errors = []
    for _ in range(40):
        error = (head(coarse, features, picture, pose, pose) - truth).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]
