import numpy as np
import pytest

from made_runs import make_run
from posecast.clips import ClipError, PoseForecast
from posecast.datasets.penn_action import PennAction
from posecast.errors import PosecastError
from posecast.evaluation import penn_benchmark
from posecast.evaluation.baselines import LastPose
from posecast.evaluation.penn_benchmark import PennPoseBenchmark, run_penn_pose_benchmark
from posecast.evaluation.penn_protocol import PennPoseProtocol, penn_pose_scores, percent
from posecast.forecasting.protocols import Needs
from posecast.records.files import WriteError
from posecast.records.final_looks import read_test_uses
from posecast.skeletons import PENN_ACTION
from posecast.store.preparation import PreparationConfig, store_info
from posecast.store.reading import Store, StoredClip
from posecast.training.pose import PoseTrainingConfig
from small_store import stored_clip


def a_clip(joints_px: np.ndarray, visible: np.ndarray | None = None) -> StoredClip:
    facts = {"action": "golf_swing", "split": "test", "official_split": "test"}
    return stored_clip("0001", joints_px, visible, **facts)


def shares_and_counts(clip, *protocol):
    """PCK in percent, and the joints counted, at each step."""
    hits, counts = penn_pose_scores(LastPose(), [clip], PennPoseProtocol(*protocol))
    return percent(hits.sum(axis=0), counts.sum(axis=0)), counts.sum(axis=0)


def sliding(num_frames: int, speed: float) -> np.ndarray:
    """13 joints spread over 100 px, all sliding to the right."""
    pose = np.linspace([0.0, 0.0], [10.0, 100.0], 13)
    return pose + np.arange(num_frames)[:, None, None] * np.array([speed, 0.0])


@pytest.mark.parametrize("variant", ["A", "B", "E"])
def test_a_still_person_is_forecast_perfectly(variant):
    shares, counts = shares_and_counts(a_clip(sliding(40, 0.0)), variant)
    assert shares == pytest.approx(np.full(16, 100.0))
    assert (counts > 0).all()


def test_known_answer_of_a_sliding_person():
    # 35 frames: targets are 2 frames apart, the box is 100 px high, a hit is nearer than 5 px.
    # At 1.01 px a frame, targets 1 and 2 (about 2 and 4 px away) are hits, later ones are misses.
    clip = a_clip(sliding(35, 1.01))
    shares, counts = shares_and_counts(clip, "E")
    assert shares == pytest.approx([100.0] * 2 + [0.0] * 14)
    assert counts.tolist() == [13 * (35 - 2 * k) for k in range(1, 17)]
    # With repeated last frames, windows near the end hit at every step.
    shares, counts = shares_and_counts(clip, "B")
    assert counts.tolist() == [13 * 35] * 16
    assert shares[15] == pytest.approx(100 * 5 / 35)


def test_hidden_joints_count_only_in_the_published_variants():
    visible = np.ones((35, 13), bool)
    visible[:17, 0] = False
    clip = a_clip(sliding(35, 0.0), visible)
    _, clean = shares_and_counts(clip, "E")
    _, published = shares_and_counts(clip, "B")
    assert clean[0] == 12 * 33 + 16
    assert published[0] == 12 * 35 + 20


def test_nothing_is_forecast_where_nothing_is_seen():
    class NeedsSomeone(LastPose):
        def forecast_poses(self, seen, steps, samples=1):
            assert all(each.visible.any() for each in seen)
            return super().forecast_poses(seen, steps, samples)

    visible = np.ones((40, 13), bool)
    visible[:5] = False
    clip = a_clip(sliding(40, 0.0), visible)

    hits, counts = penn_pose_scores(NeedsSomeone(), [clip], PennPoseProtocol("E"))

    assert counts[0, 0] == 13 * (40 - 5 - 2)
    np.testing.assert_array_equal(hits, counts)


def test_too_short_a_clip_is_named():
    with pytest.raises(ClipError, match=r"clip 0001: 17 frames, the benchmark needs 18"):
        shares_and_counts(a_clip(sliding(17, 0.0)))


def test_something_must_be_seen():
    with pytest.raises(ValueError, match="seen is 0"):
        PennPoseProtocol(seen=0)


@pytest.fixture
def one_clip(tmp_path, monkeypatch):
    """A data set of a single test clip."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0001.mat").touch()
    info = store_info(PennAction(tmp_path), PreparationConfig())
    store = Store(tmp_path, info, (a_clip(sliding(35, 1.01)),))
    monkeypatch.setattr(penn_benchmark, "read_test_labels", lambda root: (store, {}))


class Slides:
    """Whoever slides goes on so; `samples` too many where told to."""

    def __init__(self, more=0):
        self.more = more

    def forecast_poses(self, seen, steps, samples=1):
        ahead = np.arange(1, steps + 1)[:, None, None] * [1.01, 0]
        futures = (each.joints_px[-1] + ahead for each in seen)
        return [
            PoseForecast.of(video, np.repeat(future[None], 1 + self.more, 0))
            for video, future in zip(seen, futures, strict=True)
        ]


@pytest.mark.usefixtures("one_clip", "unchecked")
def test_what_is_no_forecaster_is_refused(tmp_path):
    with pytest.raises(PosecastError, match=r"forecaster 'mine' .*with forecast_poses"):
        run_penn_pose_benchmark(tmp_path, PennPoseBenchmark(final=True), others={"mine": len})


def test_where_nothing_can_be_written_no_test_clip_is_looked_at(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(WriteError, match=r"cannot write .*out: a folder of this name is there"):
        run_penn_pose_benchmark("nowhere", PennPoseBenchmark(out=tmp_path / "out", final=True))


@pytest.mark.usefixtures("one_clip")
def test_forecasters_of_ones_own_are_rows(tmp_path):
    final = PennPoseBenchmark(final=True)
    table = run_penn_pose_benchmark(str(tmp_path), final, others={"mine": Slides()})
    assert [row.method for row in table.rows] == ["last pose", "mine"]
    assert table.rows[1].percent == pytest.approx((100,) * 16)
    with pytest.raises(PosecastError, match="'last pose' is a row already"):
        run_penn_pose_benchmark(tmp_path, final, others={"last pose": Slides()})
    with pytest.raises(PosecastError, match=r"gave joints_px \(2, 32, 13, 2\)"):
        run_penn_pose_benchmark(tmp_path, final, others={"mine": Slides(more=1)})
    with pytest.raises(PosecastError, match="1 of the 1 clips are test clips"):
        run_penn_pose_benchmark(tmp_path, others={"mine": Slides()})


@pytest.mark.usefixtures("one_clip")
def test_runs_with_one_folder_name_are_two_rows_and_one_run_twice_costs_no_look(
    tmp_path, monkeypatch
):
    trained = LastPose()
    trained.needs = Needs(PENN_ACTION, fps=30.0)
    monkeypatch.setattr(penn_benchmark, "load_pose_forecaster", lambda *_: trained)
    runs = [make_run(tmp_path / name / "pose", PoseTrainingConfig(), "pose").path for name in "ab"]
    twice = PennPoseBenchmark(pose_run=(runs[0], runs[0]), final=True)
    for wrong, why in (
        (twice, "the same run twice"),
        (PennPoseBenchmark(pose_run=(runs[0],), final=True, num_draws=0), "num_draws is 0"),
    ):
        with pytest.raises(PosecastError, match=why):
            run_penn_pose_benchmark(tmp_path, wrong)
    assert read_test_uses(runs[0]) == []
    table = run_penn_pose_benchmark(tmp_path, PennPoseBenchmark(pose_run=tuple(runs), final=True))
    assert [row.method for row in table.rows] == ["last pose", "a pose", "b pose"]
    assert [len(read_test_uses(run)) for run in runs] == [1, 1]
    assert f"looked at once with {runs[0]}." in table.text()
    assert f"{runs[1]} does not say what it was trained on" in table.text()
