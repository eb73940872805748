"""Evaluations of several futures, and the clips that are kept to look at."""

import numpy as np
import pytest
from test_evaluate import CONFIG, rows_of

from posecast.clips import PoseForecast
from posecast.evaluation.examples import read_example, read_facts
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import Method, baseline_methods
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.summary import summarise
from posecast.evaluation.table import read_table
from posecast.skeletons import PENN_ACTION
from small_store import a_clip, a_store


def read_examples(out, *ranks):
    return [read_example(*each) for each in read_facts(out, *ranks).items()]


class Fan:
    """Three futures: the person stays, goes on at 2 pixels a frame, or at 4."""

    def forecast_poses(self, seen, steps, samples=1):
        ahead = np.arange(1, steps + 1)[None, :, None, None] * np.array([1.0, 0.0])
        speeds = np.array([0.0, 2.0, 4.0])[:samples, None, None, None]
        weights = np.array([0.5, 0.3, 0.2])[:samples]
        weights = weights / weights.sum()
        return [PoseForecast.of(e, e.joints_px[-1] + speeds * ahead, weights) for e in seen]


class Grey:
    """Draws an even grey: the place of the first joint."""

    skeleton, size = PENN_ACTION, 16

    def crop_of(self, seen, *poses):
        return seen.person_crop

    def draw_frames(self, seen, joints_px, visible, crop=None):
        grey = joints_px[:, 0, 0].round().astype(np.uint8)
        return np.repeat(grey, 16 * 16 * 3).reshape(-1, 16, 16, 3)


def test_the_best_the_mean_and_the_spread_of_several_futures(tmp_path):
    store = a_store(tmp_path, a_clip("a", speed=2.0))
    methods = [Method("fan", poses=Fan()), *baseline_methods(["last pose"])]
    config = EvaluationConfig(num_past=4, steps=6, futures=3, examples=0)
    evaluate(methods, store, tmp_path / "out", config)
    # 2 px a frame, the box is 200 px wide: the person moves by 1 % a frame.
    still = [0.01 * frame for frame in range(1, 7)]

    def numbers(metric: str, sample: int, method="fan") -> list[float]:
        rows = rows_of(tmp_path / "out", method=method, metric=metric, sample=sample)
        assert [row.frame for row in rows] == [1, 2, 3, 4, 5, 6]
        return [row.value for row in rows]

    assert numbers("distance", 1) == pytest.approx(still)
    assert numbers("distance", 2) == pytest.approx([0] * 6, abs=1e-6)
    assert numbers("distance", 3) == pytest.approx(still)
    assert numbers("distance (best of 3)", 0) == pytest.approx([0] * 6, abs=1e-6)
    assert numbers("pck@0.05 (best of 3)", 0) == [1] * 6
    assert numbers("distance (mean of 3)", 0) == pytest.approx([0.7 * each for each in still])
    # Pairs of futures are 2, 4 and 2 px apart after a frame.
    assert numbers("spread of 3", 0) == pytest.approx([8 / 3 * each / 2 for each in still])
    # Who knows one future is judged by that.
    for metric in ("distance (best of 3)", "distance (mean of 3)"):
        assert numbers(metric, 0, "last pose") == pytest.approx(still)
    assert numbers("spread of 3", 0, "last pose") == [0] * 6
    # What is shown first is the likeliest future, as in an evaluation of one.
    evaluate(methods, store, tmp_path / "one", CONFIG)
    curves = [summarise(tmp_path / each, 10).curve("fan", "distance") for each in ("out", "one")]
    assert curves[0].values.tolist() == curves[1].values.tolist()
    assert {row.sample for row in read_table(tmp_path / "one" / "rows.csv")} == {1}


def test_frames_of_several_futures(tmp_path):
    """The best is the one of the highest PSNR."""
    store = a_store(tmp_path, a_clip("a", speed=2.0, has_frames=True))
    config = EvaluationConfig(num_past=4, steps=6, futures=3, drawn=2, examples=1)
    evaluate([Method("fan", poses=Fan(), drawer=Grey())], store, tmp_path / "out", config)
    psnr = {
        sample: [row.value for row in rows_of(tmp_path / "out", metric="psnr", sample=sample)]
        for sample in (1, 2, 3)
    }
    assert [len(curve) for curve in psnr.values()] == [6, 6, 0]
    best = [row.value for row in rows_of(tmp_path / "out", metric="psnr (best of 2)")]
    assert best == max(psnr[1], psnr[2], key=sum)
    assert psnr[1] != psnr[2]
    mean = [row.value for row in rows_of(tmp_path / "out", metric="psnr (mean of 2)")]
    shares = [5 / 8, 3 / 8]
    expected = np.tensordot(shares, np.array([psnr[1], psnr[2]]), axes=1)
    assert mean == pytest.approx(expected.tolist(), rel=1e-6)
    (example,) = read_examples(tmp_path / "out")
    assert example.frames["fan"].shape == (2, 6, 16, 16, 3)
    assert example.poses["fan"].shape == (3, 6, 13, 2)
    assert example.poses["fan"][0, :, 0, 0] == pytest.approx([(20 + 2 * 3) / 200] * 6)


def test_examples_drawn_by_lot_are_the_same_for_every_method(tmp_path):
    store = a_store(tmp_path, *(a_clip(name, speed=ord(name) - 96) for name in "abcdefgh"))
    config = EvaluationConfig(num_past=4, steps=6, examples=1, random_examples=3)
    drawn = []
    for name in ("last pose", "constant velocity"):
        evaluate(baseline_methods([name]), store, tmp_path / name, config)
        assert len(list(read_examples(tmp_path / name))) == 3
        lot = read_examples(tmp_path / name, ("random",))
        drawn.append([each.facts.clip_id for each in lot])
    assert len(set(drawn[0])) == 3
    assert drawn[0] == drawn[1]


def test_examples_of_56aa31b_have_one_future(tmp_path):
    store = a_store(tmp_path, a_clip("a", 1.0, has_frames=True))
    evaluate(baseline_methods(["last pose", "last frame"]), store, tmp_path / "out", CONFIG)
    (path,) = (tmp_path / "out" / "examples").glob("*.npz")
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    old = {name: array[0] if " of " in name else array for name, array in arrays.items()}
    np.savez(path, **old)
    (example,) = read_examples(tmp_path / "out")
    assert example.poses["last pose"].shape == (1, 6, 13, 2)
    assert example.frames["last frame"].shape == (1, 6, 16, 16, 3)


class Tells:
    """A forecast that depends on how far it is to reach, as drawn by lot or smoothed ones do."""

    def forecast_poses(self, seen, steps, samples=1):
        return [PoseForecast.of(e, np.full((1, steps, 13, 2), float(steps))) for e in seen]


def test_an_example_shows_what_was_measured_at_its_own_pace(tmp_path):
    store = a_store(tmp_path, a_clip("a", 1.0, frames=14))
    config = EvaluationConfig(num_past=4, steps=6, stride=2)
    evaluate([Method("tells", poses=Tells())], store, tmp_path / "out", config)
    (example,) = read_examples(tmp_path / "out")
    assert example.facts.fps == 15.0  # every second frame of 30 a second
    assert len(example.future_visible) == 3
    np.testing.assert_allclose(example.poses["tells"], np.full((1, 3, 13, 2), 6 / 200))
