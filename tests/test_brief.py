"""What a notebook prints of values with arrays."""

from dataclasses import replace

import numpy as np

import posecast
from posecast.clips import PoseForecast, SeenVideo
from posecast.estimation import EstimatorOptions
from small_store import a_clip, a_store

SEEN = SeenVideo(np.zeros((99, 13, 2)), np.ones((99, 13), bool), 30.0, (240, 320))


def test_arrays_are_shown_by_kind_and_shape():
    frames = np.zeros((99, 240, 320, 3), np.uint8)
    assert repr(replace(SEEN, frames=frames)) == (
        "SeenVideo(joints_px=float64 (99, 13, 2), visible=bool (99, 13), fps=30.0, "
        "image_hw=(240, 320), frames=uint8 (99, 240, 320, 3), crop=None, confidence=None, "
        "earlier=None, trimmed=None)"
    )


def test_the_few_numbers_of_a_small_array_are_shown():
    forecast = PoseForecast.of(SEEN, np.zeros((2, 64, 13, 2)), np.array([0.75, 0.25]))
    assert "visible=bool (64, 13), weights=array([0.75, 0.25]), fps=30.0" in repr(forecast)


def test_a_store_does_not_list_its_clips(tmp_path):
    store = a_store(tmp_path, *(a_clip(name, 1.0) for name in "abc"))
    assert repr(store).endswith("clips=tuple of 3)")
    assert "joints_px=float32 (30, 13, 2)" in repr(store.clips[0])


def test_models_say_what_they_are():
    assert repr(posecast.Forecaster.pretrained("carried")) == (
        "Forecaster(MotionForecaster, CarriedDrawer of penn_action)"
    )
    estimator = posecast.PoseEstimator.pretrained(options=EstimatorOptions(device="cpu"))
    assert repr(estimator) == "PoseEstimator(MoveNet of penn_action on cpu)"
