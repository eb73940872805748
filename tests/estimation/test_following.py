"""Following one person: found anywhere, kept, lost and found again, never by looking ahead."""

import numpy as np
import pytest

from posecast.estimation import followers
from posecast.estimation.followers import FollowOptions
from posecast.estimation.following import follow, follow_everybody
from red_people import RED, NearestEstimator, RedEstimator, frame_with, joints_of


def boxes(num_frames: int, speed: int = 3) -> list[tuple[int, int, int, int]]:
    return [(20 + speed * t, 30, 24, 48) for t in range(num_frames)]


def test_a_person_is_found_and_followed():
    estimator = RedEstimator()
    followed = follow([frame_with(box) for box in boxes(30)], estimator)
    assert followed.found.all()
    assert followed.lost_spans() == []
    assert followed.image_hw == (120, 200)
    for joints, box in zip(followed.joints_px, boxes(30), strict=True):
        assert np.abs(joints - joints_of(box)).max() < 3
    # The frame was searched twice, in the first moment; after that one look a frame.
    searched = estimator.num_pictures
    follow([frame_with(box) for box in boxes(40)], estimator)
    assert estimator.num_pictures == 2 * searched + 10


@pytest.mark.parametrize("box", [(150, 80, 12, 24), (2, 2, 10, 22), (60, 10, 55, 105)])
@pytest.mark.parametrize("turned", [False, True])
def test_small_and_large_people_are_found_anywhere(box, turned):
    frame = frame_with(box)
    joints = joints_of(box)
    if turned:
        frame, joints = frame.swapaxes(0, 1).copy(), joints[:, ::-1]
    followed = follow([frame], RedEstimator())
    extent = np.ptp(followed.joints_px[0], axis=0)
    if turned:
        assert followed.found.all()
        assert np.abs(followed.joints_px[0].mean(axis=0) - joints.mean(axis=0)).max() < 8
    else:
        assert np.abs(followed.joints_px[0] - joints).max() < 3
        assert extent[0] < extent[1]


def test_of_two_people_the_box_says_which():
    frame = frame_with((20, 30, 24, 48))
    frame[30:78, 150:174] = (220, 20, 20)
    for x in (20.0, 150.0):
        followed = follow([frame, frame], RedEstimator(), box=(x - 2, 28.0, 28.0, 52.0))
        assert np.abs(followed.joints_px[1] - joints_of((x, 30, 24, 48))).max() < 3


class DimEstimator(RedEstimator):
    """Less sure than a search must be."""

    def _find(self, picture):
        joints, sure = super()._find(picture)
        return joints, 0.6 * sure


def test_who_is_hard_to_see_is_followed_where_a_box_says_so():
    frames = [frame_with(box) for box in boxes(12)]
    x, y, width, height = boxes(1)[0]
    assert not follow(frames, DimEstimator()).found.any()
    followed = follow(frames, DimEstimator(), box=(x - 2.0, y - 2.0, width + 4.0, height + 4.0))
    assert followed.found.all()


def test_lost_behind_something_and_found_again_elsewhere():
    frames = [frame_with(box) for box in boxes(8)]
    frames += [frame_with(None)] * 12
    frames += [frame_with((150, 40, 24, 48))] * 10
    followed = follow(frames, RedEstimator(), FollowOptions(patience=3, search_every=4))
    assert followed.found[:8].all()
    assert not followed.found[8:20].any()
    assert followed.found[25:].all()
    ((first, again),) = followed.lost_spans()
    assert first == 8
    assert 20 <= again <= 24
    assert (followed.confidence[8:20] == 0).all()
    assert np.abs(followed.joints_px[-1] - joints_of((150, 40, 24, 48))).max() < 3


def test_who_looks_different_for_good_is_followed_after_a_while():
    """The light changed, or another shot shows somebody else."""
    frames = [frame_with(box) for box in boxes(58)]
    for frame in frames[30:]:
        frame[frame[..., 1] == RED[1]] = (152, 82, 82)
    followed = follow(frames, RedEstimator(), FollowOptions(patience=3, search_every=4))
    assert followed.found[:30].all()
    assert not followed.found[30:40].any()
    assert followed.found[46:58].all()


def test_nobody_is_no_error_here():
    followed = follow([frame_with(None)] * 12, RedEstimator())
    assert not followed.visible.any()
    assert followed.lost_spans() == [(0, 12)]


def test_what_comes_later_changes_nothing():
    frames = [frame_with(box) for box in boxes(20)]
    other = frames[:12] + [np.random.default_rng(0).integers(0, 255, (120, 200, 3), np.uint8)] * 8
    a, b = (follow(each, RedEstimator()) for each in (frames, other))
    np.testing.assert_array_equal(a.joints_px[:12], b.joints_px[:12])
    np.testing.assert_array_equal(a.visible[:12], b.visible[:12])


def test_frames_stream():
    alive = []

    def stream():
        for box in boxes(6):
            yield frame_with(box)
            alive.append(box)

    one = FollowOptions(watch=1)
    follow(stream(), RedEstimator(), one, on_frame=lambda: alive.append(None))
    assert alive[0] is None  # looked at before the next one was made


def test_bad_boxes_say_so():
    frame = frame_with((20, 30, 24, 48))
    with pytest.raises(ValueError, match="lies outside the video's 200 x 120 pixels"):
        follow([frame], RedEstimator(), box=(300.0, 5.0, 10.0, 10.0))
    with pytest.raises(ValueError, match="no person in the box"):
        follow([frame], RedEstimator(), box=(150.0, 5.0, 20.0, 20.0))
    with pytest.raises(ValueError, match="both sizes over 0"):
        follow([frame], RedEstimator(), box=(1.0, 2.0, 0.0, 5.0))
    with pytest.raises(ValueError, match="no frames"):
        follow([], RedEstimator())
    for room in (0.5, np.nan, 1e9):
        with pytest.raises(ValueError, match=r"room is .*1 to 10"):
            FollowOptions(room=room)


def test_frames_of_several_sizes_are_refused():
    """Joints are in pixels of all of them."""
    frames = [frame_with(box) for box in boxes(8)]
    with pytest.raises(ValueError, match=r"\(120, 200, 3\), then \(60, 100, 3\); expected all"):
        follow([*frames, frames[-1][::2, ::2]], RedEstimator())


def test_a_box_far_larger_than_the_picture_takes_no_memory(monkeypatch):
    looked_at = []

    def look(frame, crops, estimator):
        looked_at.extend(crops)
        return []

    monkeypatch.setattr(followers, "look", look)
    with pytest.raises(ValueError, match="no person in the box"):
        follow([frame_with(None)], RedEstimator(), box=(1.0, 1.0, 1e9, 1e9))
    assert looked_at[0].x2 - looked_at[0].x1 <= 3 * 200


def two_people(num_frames: int) -> list[np.ndarray]:
    """One stands, large; the other, as large, moves beside it."""
    frames = []
    for t in range(num_frames):
        frame = frame_with((30, 30, 30, 60))
        x = 130 + round(8 * np.sin(0.7 * t))
        frame[30:90, x : x + 30] = RED
        frames.append(frame)
    return frames


def test_of_several_people_who_moves_is_followed_and_others_on_request():
    frames = two_people(30)
    moving, standing = (follow(frames, NearestEstimator(), person=number) for number in (1, 2))
    assert moving.joints_px[:, 0, 0].min() > 120
    assert np.abs(standing.joints_px - joints_of((30, 30, 30, 60))).max() < 3
    assert len(moving.people.poses) == 2
    with pytest.raises(
        ValueError, match="person 3 was asked for, 2 found in the first frames"
    ) as error:
        follow(frames, NearestEstimator(), person=3)
    assert ": give 1 to 2, or say where the person is" in error.value.text
    with pytest.raises(ValueError, match=r"person 2 .*1 found .*give 1, .*later: --everybody"):
        follow([frame_with(box) for box in boxes(3)], RedEstimator(), person=2)


def test_everybody_is_followed_in_one_pass_as_each_alone():
    frames, num_looks = two_people(40), []
    estimators = [NearestEstimator() for _ in range(3)]
    everybody = follow_everybody(iter(frames), estimators[0], on_frame=lambda: num_looks.append(1))
    assert len(num_looks) == 40
    for number, one in enumerate(everybody, start=1):
        alone = follow(frames, estimators[number], person=number)
        np.testing.assert_array_equal(one.joints_px, alone.joints_px)
        np.testing.assert_array_equal(one.visible, alone.visible)
    whole, *parts = (each.num_pictures for each in estimators)
    assert whole < 0.8 * sum(parts)
    second, first = follow_everybody(frames, NearestEstimator(), person=2)[::-1]
    assert second.people is not None
    assert second.people.followed == 2
    assert first.joints_px[:, 0, 0].min() > 120 > second.joints_px[:, 0, 0].max()
    with pytest.raises(ValueError, match=r"person 3 was asked for, 2 found .*: give 1 to 2; who"):
        follow_everybody(frames, NearestEstimator(), person=3)


def test_where_nobody_is_everybody_is_one_whom_no_frame_shows():
    (nobody,) = follow_everybody([frame_with(None)] * 30, RedEstimator())
    assert not nobody.found.any()
    assert nobody.joints_px.shape == (30, 13, 2)


def test_who_left_is_not_found_again_where_another_is():
    options = FollowOptions(watch=10, patience=2, search_every=2)
    frames = two_people(12)
    frames += [np.where(np.arange(200)[None, :, None] < 100, 90, f) for f in two_people(60)[12:]]
    frames = [frame.astype(np.uint8) for frame in frames]
    alone = follow(frames, NearestEstimator(), options, person=2)
    assert alone.found[-1]  # after a while anybody is taken
    _, left = follow_everybody(frames, NearestEstimator(), options)
    assert left.lost_spans()[-1][1] == 60


def test_who_left_is_not_found_again_in_who_looks_different_unless_asked_for():
    """Its movement, and the looks of its limbs, would be those of both."""
    options = FollowOptions(watch=10, patience=1, search_every=2)
    frames, colours = two_people(60), [(220, 80, 20)] * 12 + [(90,) * 3] * 24 + [(152, 82, 82)] * 24
    for frame, colour in zip(frames, colours, strict=True):
        frame[30:90, 30:60] = colour
    for asked in (1, 2):
        left = follow_everybody(frames, NearestEstimator(), options, person=asked)[1]
        assert left.found[:12].all()
        assert left.found[36:].any() == (asked == 2)


def test_whom_a_cut_showed_for_a_moment_is_nobody_to_choose():
    before = frame_with((30, 30, 30, 60))
    after = [frame_with((130, 30, 30, 60))] * 20
    followed = follow([before, *after], NearestEstimator())
    assert followed.people is None
    assert np.abs(followed.joints_px[-1] - joints_of((130, 30, 30, 60))).max() < 3


def test_whoever_is_found_a_little_later_is_followed_from_the_first_frame():
    frames = [frame_with(box) for box in boxes(20)]
    estimator = RedEstimator()
    estimator.blind_until = 25  # looks: the first search sees nobody
    followed = follow(frames, estimator)
    assert followed.found.all()
    assert np.abs(followed.joints_px[0] - joints_of(boxes(1)[0])).max() < 3


def test_who_crosses_in_front_is_not_followed():
    """The other wears orange, is as sure and as large, and covers the person for some frames."""
    frames = []
    for t in range(50):
        frame = frame_with((85, 30, 30, 60))
        x = -40 + 5 * t
        frame[30:90, max(x, 0) : max(x + 30, 0)] = (220, 80, 20)
        frames.append(frame)
    followed = follow(frames, NearestEstimator(), box=(85.0, 30.0, 30.0, 60.0))
    where = followed.joints_px[followed.found].mean(axis=1)[:, 0]
    assert np.abs(where - 100).max() < 16
    assert followed.found[:20].all()
    assert followed.found[-8:].all()
    assert not followed.found[28]
