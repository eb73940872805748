"""Drawing: where pixels land, which colours, which joints."""

import numpy as np
import pytest

from posecast.media import pictures
from posecast.skeletons import COCO, HUMAN36M, PENN_ACTION, Skeleton

STICK = Skeleton("stick", ("left_a", "left_b"), ((("left_a",), ("left_b",)),), "limbs")


def test_a_line_lies_where_the_joints_say():
    joints = np.array([[10.0, 20.5], [30.0, 20.5]])
    picture = pictures.pose_on_plain(
        joints, np.ones(2, bool), STICK, (64, 64), background=(0, 0, 0)
    )
    drawn = np.argwhere(picture.sum(-1) > 0)
    # y = 20.5 is the centre of row 20; the columns run from x = 10 to x = 30.
    assert drawn[:, 0].mean() == pytest.approx(20, abs=0.1)
    assert drawn[:, 1].min() in (8, 9, 10)
    assert drawn[:, 1].max() in (29, 30, 31)
    np.testing.assert_allclose(picture[20, 20], pictures.LEFT, atol=25)


def test_drawn_between_pixels_smoothly():
    def column_mass(x):
        joints = np.array([[x, 10.0], [x, 50.0]])
        picture = pictures.pose_on_plain(
            joints, np.ones(2, bool), STICK, (64, 64), background=(0, 0, 0)
        )
        row = picture[30].sum(-1).astype(float)
        return (row * np.arange(64)).sum() / row.sum()

    assert column_mass(20.25) - column_mass(20.0) == pytest.approx(0.25, abs=0.15)


def test_hidden_or_endless_joints_are_left_out():
    joints = np.array([[10.0, 20.0], [np.nan, 20.0]])
    blank = pictures.plain((32, 32), (9, 9, 9))
    for visible in ([True, False], [True, True]):
        drawn = pictures.draw_pose(blank, joints, np.array(visible), STICK)
        np.testing.assert_array_equal(drawn, blank)


def test_far_joints_do_not_overflow():
    joints = np.array([[10.0, 20.5], [1e12, 20.5]])
    drawn = pictures.draw_pose(pictures.plain((64, 64), (0, 0, 0)), joints, np.ones(2, bool), STICK)
    np.testing.assert_allclose(drawn[20, 60], pictures.LEFT, atol=25)


@pytest.mark.parametrize("skeleton", [PENN_ACTION, HUMAN36M, COCO])
def test_left_and_right_differ_and_the_input_is_kept(skeleton):
    image = pictures.plain((128, 128), (100, 100, 100))
    joints = np.random.default_rng(0).uniform(10, 118, (skeleton.num_joints, 2))
    drawn = pictures.draw_pose(image, joints, np.ones(skeleton.num_joints, bool), skeleton)
    colours = {tuple(colour) for colour in drawn.reshape(-1, 3).tolist()}
    assert {pictures.LEFT, pictures.RIGHT, pictures.MIDDLE} <= colours
    assert image.min() == image.max() == 100


def test_border_hides_nothing():
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    framed = pictures.add_border(image, pictures.SEEN, width=2)
    assert framed.shape == (9, 11, 3)
    np.testing.assert_array_equal(framed[2:-2, 2:-2], image)
    assert (framed[0] == pictures.SEEN).all()


def test_caption_is_a_strip_above():
    image = pictures.plain((20, 60), (1, 2, 3))
    captioned = pictures.add_caption(image, "truth")
    assert captioned.shape == (36, 60, 3)
    np.testing.assert_array_equal(captioned[16:], image)
    assert captioned[:16].max() > 150


def test_side_by_side():
    panels = [pictures.plain((4, width), (width, 0, 0)) for width in (3, 5)]
    row = pictures.side_by_side(panels, gap=2)
    assert row.shape == (4, 10, 3)
    assert row[0, 0, 0] == 3
    assert row[0, -1, 0] == 5
    with pytest.raises(ValueError, match="one height"):
        pictures.side_by_side([panels[0], panels[1][:2]])
    with pytest.raises(ValueError, match="one height"):
        pictures.side_by_side([])


def test_contact_sheet():
    tiles = [pictures.plain((2, 3), (index, 0, 0)) for index in range(5)]
    sheet = pictures.contact_sheet(tiles, columns=2, gap=1)
    assert sheet.shape == (8, 7, 3)
    assert [sheet[0, 0, 0], sheet[0, 4, 0], sheet[3, 0, 0], sheet[6, 0, 0]] == [0, 1, 2, 4]
    assert (sheet[6:, 4:] == 255).all()
    with pytest.raises(ValueError, match="contact sheet"):
        pictures.contact_sheet([], columns=2)


def test_enlarge():
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    assert pictures.enlarge(image, 3).shape == (15, 21, 3)
    assert pictures.enlarge(image, 1) is image
