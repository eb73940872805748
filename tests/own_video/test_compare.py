"""A forecast beside what came: right errors, a fitting sentence, nothing of the future seen."""

from pathlib import Path

import numpy as np
import pytest

from posecast.clips import PoseForecast
from posecast.errors import PosecastError
from posecast.evaluation.baselines import ConstantVelocity, LastPose
from posecast.evaluation.comparison import Comparison, PoseErrors, errors_of_futures, frame_psnr
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.protocols import Needs
from posecast.geometry import Crop
from posecast.keypoints import write_table
from posecast.media import videos, writing
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import EstimatedPoses, KeypointFile, OwnVideoConfig
from posecast.own_video.truth import second_to_compare_from
from posecast.report import comparison
from posecast.report.comparison import compare_video, write_forecast_page
from posecast.report.comparisons import comparisons_text, together
from posecast.skeletons import PENN_ACTION
from red_people import RedEstimator, frame_with, joints_of

STEP, HEIGHT = 2, 48
SIZE = 0.9 * HEIGHT  # of the joints' box, see red_people.SHARES
CONFIG = OwnVideoConfig(steps=64)


class Steady(ConstantVelocity):
    """Knows that everything goes on as it moves."""

    needs = Needs(PENN_ACTION, num_past=4, max_past=100, fps=30.0)


FORECASTER = Forecaster(Steady())


def box_at(t: int, step: float = STEP) -> tuple[int, int, int, int]:
    return 20 + round(step * t), 30, 24, HEIGHT


def walking(num_frames: int, step: float = STEP) -> list[np.ndarray]:
    return [frame_with(box_at(t, step)) for t in range(num_frames)]


@pytest.fixture
def video(tmp_path) -> Path:
    """Two seconds of somebody who walks, with exact poses beside it."""
    writing.write_mp4(tmp_path / "walk.mp4", walking(60), 30.0, crf=4)
    joints = np.stack([joints_of(box_at(t)) for t in range(60)])
    write_table(tmp_path / "walk.csv", joints, np.ones((60, 13), bool), PENN_ACTION)
    return tmp_path / "walk.mp4"


@pytest.fixture
def noted(monkeypatch) -> list:
    """What was compared: forecaster, result, truth, and the errors."""
    calls = []
    true = comparison.compare_poses

    def note(*arguments):
        calls.append((*arguments, true(*arguments)))
        return calls[-1][-1]

    monkeypatch.setattr(comparison, "compare_poses", note)
    return calls


def test_errors_have_their_right_values(video, noted):
    out = video.with_name("compare.mp4")
    poses = KeypointFile(video.with_suffix(".csv"))
    text = compare_video(video, FORECASTER, poses, out, CONFIG).text
    _, result, truth, (shown, pooled) = noted[0]
    assert result.past_frames == tuple(range(30))  # half of a short video is left as truth
    assert len(truth.visible) == 30
    walked = 100 * STEP * np.arange(1, 31) / SIZE
    np.testing.assert_allclose(shown.still[:30], walked, rtol=1e-3)
    np.testing.assert_allclose(shown.forecast[:30], 0, atol=0.1)
    assert np.isnan(shown.still[30:]).all()
    assert pooled.num_moments == 3  # after 15, 30 and 45 frames
    np.testing.assert_allclose(pooled.still[:30], walked, rtol=1e-3)
    assert "the last pose stays 4.6 37.0 74.1 138.9" in " ".join(text.split())
    assert "at the moment shown; +1: the first frame after those seen (lower is better)" in text
    assert text.splitlines()[-1].startswith(
        "Verdict: the forecast is 100 % nearer to what came than standing still, over 1.0 s"
    )
    assert len(list(videos.read_video(out))) == 15 + 30
    page = out.with_suffix(".html").read_text()
    assert "Verdict: the forecast is 100 % nearer" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count('class="frame') == 2  # truth and pose: without an image model no frames


class Forked(Steady):
    """Goes on as it moves, or stays."""

    def forecast_poses(self, seen, steps, samples=1):
        on = super().forecast_poses(seen, steps)
        stays = LastPose().forecast_poses(seen, steps)
        pairs = zip(seen, on, stays, strict=True)
        return [
            PoseForecast.of(each, np.concatenate([a.joints_px, b.joints_px])[:samples])
            for each, a, b in pairs
        ]


def test_several_futures_each_with_its_error(video, noted):
    """The second future stands still: its error is that of standing still."""
    poses, config = KeypointFile(video.with_suffix(".csv")), OwnVideoConfig(futures=2)
    out = video.with_name("c.mp4")
    compare_video(video, Forecaster(Forked()), poses, out, config)
    _, result, truth, (shown, _) = noted[0]
    errors = errors_of_futures(result, truth)
    np.testing.assert_array_equal(errors[0], shown.forecast)
    np.testing.assert_allclose(errors[1], shown.still)
    page = out.with_suffix(".html").read_text()
    assert page.count(" data-more=") == 1  # the poses of the second
    assert page.count("Future 2</button>") == 1
    assert page.count('" data-future="') == 2


def test_a_page_where_the_video_ends(video):
    poses, config = KeypointFile(video.with_suffix(".csv")), OwnVideoConfig(futures=2, steps=7)
    forecaster, page = Forecaster(Forked()), video.with_name("page.html")
    result = forecast_video(video, forecaster, poses, None, config)
    write_forecast_page(result, page, "it <ends>")
    text = page.read_text()
    assert "it &lt;ends&gt;" in text
    assert 'data-frames="22"' in text  # the last 15 of the seen, and 7 to come
    assert "what really came: " not in text
    assert text.count(" data-more=") == 1


def test_from_leaves_what_comes_after_as_truth(video, noted):
    poses = KeypointFile(video.with_suffix(".csv"))
    compare_video(video, FORECASTER, poses, video.with_name("c.mp4"), OwnVideoConfig(steps=5), 0.5)
    _, result, truth, _ = noted[0]
    assert result.past_frames[-1] == 14
    np.testing.assert_allclose(truth.joints_px[:, 0, 0], [32 + STEP * t for t in range(15, 20)])


def test_later_frames_change_nothing_of_the_forecast(video, noted, monkeypatch):
    """All frames after the seen ones are altered; the person is another one, elsewhere."""
    runner = [frame_with((150 - 3 * t, 20, 30, 60)) for t in range(30)]
    for frames in (walking(60), walking(30) + runner):
        for module in ("watching", "pictures", "truth"):
            name = f"posecast.own_video.{module}.read_video"
            monkeypatch.setattr(name, lambda *_, first=0, shown=frames: iter(shown[first:]))
        source = EstimatedPoses(RedEstimator())
        compare_video(video, FORECASTER, source, video.with_name("c.mp4"), CONFIG, 1.0)
    (_, one, came, _), (_, other, otherwise, _) = noted
    assert one.past_frames == other.past_frames
    assert one.forecast.crop == other.forecast.crop
    np.testing.assert_array_equal(one.forecast.joints_px, other.forecast.joints_px)
    np.testing.assert_array_equal(one.seen.joints_px, other.seen.joints_px)
    assert np.abs(came.joints_px - otherwise.joints_px).max() > 10


def test_the_truth_is_of_the_person_who_was_seen(video, noted):
    """A larger person who comes later is the first one of the whole file."""
    table = video.with_suffix(".csv")
    lines = table.read_text().splitlines()
    for t in range(32, 60):
        for name, (x, y) in zip(PENN_ACTION.joints, joints_of((100, 5, 60, 110)), strict=True):
            lines.append(f"{t},{name},{x},{y},2")
    table.write_text("\n".join(lines))
    compare_video(video, FORECASTER, KeypointFile(table), video.with_name("c.mp4"), CONFIG)
    _, _, truth, _ = noted[0]
    np.testing.assert_allclose(truth.joints_px[:, 0, 0], [32 + STEP * t for t in range(30, 60)])


def test_nothing_to_compare_with(video, tmp_path):
    table = tmp_path / "short.csv"
    rows = video.with_suffix(".csv").read_text().splitlines()
    table.write_text("\n".join(row for row in rows if row[:2] not in map(str, range(30, 60))))
    with pytest.raises(PosecastError, match=r"not found after second 1\.00; give an earlier"):
        compare_video(video, FORECASTER, KeypointFile(table), tmp_path / "c.mp4", CONFIG, 1.0)
    assert not (tmp_path / "c.mp4").exists()
    with pytest.raises(PosecastError, match=r"written as \.mp4"):
        compare_video(video, FORECASTER, KeypointFile(table), tmp_path / "c.gif", CONFIG)


def test_without_a_second_it_begins_where_the_person_is_seen_well(video, noted):
    """Nobody is found at half of the video, 1 s: 0.8 s will do, unless 1 s is asked for."""
    table = video.with_suffix(".csv")
    hidden = tuple(f"{frame}," for frame in range(24, 32))
    rows = [row for row in table.read_text().splitlines() if not row.startswith(hidden)]
    table.write_text("\n".join(rows))
    given = (video, FORECASTER, KeypointFile(table), video.with_name("c.mp4"), CONFIG)
    with pytest.raises(PosecastError, match="not seen well enough before second 1:"):
        compare_video(*given, 1.0)
    compare_video(*given)
    assert noted[0][1].past_frames[-1] == 23
    assert "the video was looked at to 1.00 s, but from 0.80 s on" in noted[0][1].note


def test_files_that_a_comparison_does_not_write_are_refused(video):
    config = OwnVideoConfig(export=("csv",), keep_frames=True)
    with pytest.raises(PosecastError, match="export and keep_frames: a comparison writes a"):
        compare_video(video, FORECASTER, KeypointFile(video), video.with_name("c.mp4"), config)


@pytest.mark.parametrize(("num_frames", "num_seen"), [(20, 10), (7, 4), (5, 4)])
def test_short_videos_leave_enough_to_see(tmp_path, num_frames, num_seen):
    """Half of it is truth, but the pose model sees its four frames."""
    video = tmp_path / "short.mp4"
    writing.write_mp4(video, walking(num_frames), 30.0)
    assert second_to_compare_from(video, 30.0, 64, 4) == pytest.approx(num_seen / 30)
    with pytest.raises(PosecastError, match="nothing to compare with: give a longer video"):
        second_to_compare_from(video, 30.0, 64, num_frames)


@pytest.mark.parametrize(
    ("forecast", "still", "psnr", "says"),
    [
        ([1, 1, 1, 1], [1, 1, 1, 1], None, "hardly moves"),
        ([2, 4, 6, 8], [4, 8, 12, 16], None, "50 % nearer to what came"),
        ([1, 1, 9, 30], [4, 8, 9, 10], None, "better than standing still for 0.3 s and not beyond"),
        ([5, 8, 9, 10], [4, 8, 9, 10], None, "no better than standing still"),
        ([9, 9, 9, 30], [4, 8, 9, 10], None, "worse than standing still"),
        ([2, 4], [4, 8], [[20, np.inf], [23, 30]], "3.0 dB farther from the truth"),
        ([2, 4], [4, 8], [[20, 20], [20.01, 20]], "are as near to the truth as the last frame"),
    ],
)
def test_one_sentence_fits_the_numbers(forecast, still, psnr, says):
    errors = PoseErrors(np.array(forecast, float), np.array(still, float), 5)
    curves = None if psnr is None else np.array(psnr, float)
    text = Comparison(10.0, errors, errors, curves).verdict()
    assert says in text
    assert text.startswith("Verdict: ")
    assert text.endswith(".")
    few = PoseErrors(errors.forecast, errors.still, 1)
    assert Comparison(10.0, few, few).verdict().endswith("so few moments tell little.")


def test_psnr_is_of_the_part_of_the_crop_in_the_picture():
    true = np.zeros((8, 8, 3), np.uint8)
    other = true.copy()
    other[:, 4:] = 10
    assert frame_psnr(true, other, Crop(-4, 0, 4, 8)) == np.inf
    assert frame_psnr(true, other, Crop(4, 4, 12, 12)) == pytest.approx(20 * np.log10(255 / 10))


def a_comparison(forecast: list[float], still: list[float], psnr=None) -> Comparison:
    """At four frames a second."""
    errors = PoseErrors(np.array(forecast, float), np.array(still, float), 5)
    return Comparison(4.0, errors, errors, None if psnr is None else np.array(psnr, float))


def test_several_videos_make_one_table():
    """Distances are summed: where nobody moves, a share says nothing."""
    moves = a_comparison([5, 10, np.nan], [10, 20, np.nan], [[21, 22], [20, 20]])
    rests = a_comparison([2, 2], [1, 1])
    said = together({"a": moves, "b": rests})
    assert said["share"] == pytest.approx((7.5 + 2) / (15 + 1))
    assert said["share_after_s"]["0.25"] == pytest.approx(7 / 11)
    assert said["share_after_s"]["0.5"] == pytest.approx(12 / 21)
    assert np.isnan(said["share_after_s"]["1"])
    assert (said["videos"], said["nearer"], said["psnr_gain_db"]) == (2, 1, 1.5)
    assert said["share_interval"] == pytest.approx([0.5, 2.0])  # one of the two alone
    still = {"c": a_comparison([0, 0], [0, 0])}
    assert np.isnan([together(still)["share"], *together(still)["share_interval"]]).all()
    assert "in 0 of 1 videos; nobody moves in any, so these" in comparisons_text(still)
    rows = [line.split() for line in comparisons_text({"a": moves, "b": rests}).splitlines()]
    assert rows[2] == ["a", "0.50", "0.50", "-", "-", "0.50", "5", "+1.5"]
    assert rows[4] == ["all", "0.64", "0.57", "-", "-", "0.59", "+1.5"]
    assert " ".join(rows[5]).startswith("Nearer to what came than standing still in 1 of 2 videos")
