"""What Python callers get wrong, in a process without the checks of types that tests have."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from posecast.keypoints import PointTrack
from posecast.own_video.keypoints import forecast_keypoints
from posecast.skeletons import PENN_ACTION

_BEFORE = """
import json, sys
from dataclasses import replace
import numpy as np
import posecast
from posecast.datasets.penn_action import PennAction
from posecast.errors import PosecastError
from posecast.estimation import follow
from posecast.evaluation.loop import evaluate
from posecast.computing.clip_workers import run_over_clips
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.summary import bootstrap
from posecast.own_video.poses import KeypointFile, OwnVideoConfig
from posecast.forecasting.prediction import PredictionConfig
from posecast.keypoints import KeypointOptions, PointTrack
from posecast.presets import CARRYING, MOTION as PRESETS, POSE
from posecast.records.configs import config_to_dict
from posecast.report.page import ReportConfig, write_report
from posecast.report.study import StudyConfig, make_study
from posecast.report.study_answers import read_study
from posecast.sample import SAMPLE
from posecast.store.files import StoreInfo
from posecast.training.action import train_flow_classifier, train_pose_classifier
from posecast.training.settings import FitConfig
from posecast.training.carrying import train_carrying
from posecast.training.conv_lstm import train_conv_lstm
from posecast.training.estimator import train_estimator
from posecast.training.motion import train_motion
from posecast.training.outline import train_outline

store = posecast.Store("s", StoreInfo("a", "penn_action", 64, "seen", 5, 10, "area", 0.1), ())
MOTION = PRESETS["tiny"]
own = posecast.Forecaster.pretrained()
looks = posecast.PoseEstimator.pretrained()
joints = np.arange(20.0)[:, None, None] + np.arange(26.0).reshape(13, 2)[::-1] * 9
visible = np.ones((20, 13), bool)
frames = np.zeros((20, 32, 32, 3), np.uint8)
track = PointTrack(joints, visible.astype(float), own.skeleton.joints)

def points(**changes):
    return posecast.forecast_keypoints(replace(track, **changes), own, 2)

def keypoints(*given, **named):
    return posecast.forecast_keypoints(given[0] if given else track, **{"forecaster": own, **named})

def predict(**changes):
    given = {"frames": frames, "joints": joints, "visible": visible, "steps": 3}
    return own.predict(**{**given, **changes})

def video(given=SAMPLE, by=own, poses=None, **named):
    return posecast.forecast_video(given, by, poses, **named)

for call in json.load(sys.stdin):
    try:
        eval(call)
        said = "done"
    except PosecastError as error:
        said = str(error)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps([call, said]))
"""

WRONG = {
    "follow('my.mp4', looks)": "frames is 'my.mp4'; expected pictures: posecast.forecast_video",
    "follow(7, looks)": "frames is 7; expected pictures",
    "follow(frames[0], looks)": "a frame is uint8 (32, 3); expected uint8 (h, w, 3), RGB",
    "follow(frames / 255, looks)": "a frame is float64 (32, 32, 3); expected uint8 (h, w, 3), RGB",
    "follow([frames[0], 'b.png'], looks)": "a frame is <U5 (); expected uint8",
    "follow(frames, 'movenet-lightning')": "expected what PoseEstimator.pretrained gives",
    "follow(frames, looks, box=(1, 2))": "box is (1, 2); expected x, y, width, height in pixels",
    "follow(frames, looks, box=('1', '2', '3', '4'))": "no person in the box",
    "follow(frames, looks, box=(1, 2, 3, 10**400))": "expected x, y, width, height in pixels",
    "follow([[[1], [2, 3]]], looks)": "a frame is no array of numbers: setting an array element",
    "follow(frames, looks, person='2')": "person is '2'; expected a whole number",
    "follow(frames, looks, 5)": "options is 5; expected FollowOptions(...)",
    "keypoints(joints)": "keypoints is of type ndarray (20, 13, 2); expected a path (str or Path)",
    "keypoints(None)": "keypoints is None; expected a path",
    "keypoints(forecaster='motion-forecaster')": "forecaster is 'motion-forecaster'; expected what",
    "keypoints(steps=2.5)": "steps is 2.5; expected a whole number, 1 to 10000",
    "keypoints(steps=True)": "steps is True; expected",
    "keypoints(steps='3')": "steps is '3'; expected",
    "keypoints(steps=float('nan'))": "steps is nan; expected",
    "keypoints(steps=10**8)": "steps is 100000000; expected a whole number, 1 to 10000",
    "keypoints(seconds=1e9)": "steps is 30000000000; expected a whole number, 1 to 10000",
    "keypoints(fps=0.001)": "steps at the rate of the pose model is 1920000; expected",
    "keypoints(samples=10**9)": "samples is 1000000000; expected a whole number, 1 to 1000",
    "keypoints(samples=2.5)": "samples is 2.5; expected",
    "keypoints(fps='30')": "fps is '30'; expected a number over 0",
    "keypoints(fps=float('inf'))": "fps is inf; expected a number over 0",
    "keypoints(seconds=1e308)": "seconds times fps is inf; expected a number over 0",
    "points(names=tuple(range(13)))": "no arrays of numbers, or no names: 'int' object",
    "keypoints(fps=1e308)": "fps is 1e+308; expected 1e-12 to 1e+12 frames a second",
    "predict(fps=1e308)": "fps is 1e+308; expected 1e-12",
    "predict(fps=5e-324)": "expected 1e-12",
    "keypoints(seconds=-1)": "seconds is -1; expected a number over 0",
    "keypoints(seconds=float('inf'))": "seconds is inf; expected",
    "keypoints(person=2)": "options and person are of files",
    "keypoints(SAMPLE, options='coco')": "options is 'coco'; expected KeypointOptions(...)",
    "points(names=None)": "holds no arrays of numbers, or no names",
    "points(names=track.names[:5])": "confidence (20, 13) and 5 names, 5 different",
    "points(names=('nose',) * 13)": "and 13 names, 1 different ones",
    "points(points=joints[0])": "has points (13, 2), confidence (20, 13)",
    "points(points=joints * np.nan)": "not one joint of skeleton penn_action is seen",
    "predict(steps=2.5)": "steps is 2.5; expected a whole number",
    "predict(samples=2.1)": "samples is 2.1; expected a whole number",
    "predict(num_seen=2.5)": "num_seen is 2.5; expected a whole number",
    "predict(fps='30')": "fps is '30'; expected a number over 0",
    "predict(frames=(each for each in frames))": "frames is of type generator; expected an array",
    "predict(frames=[], joints=joints[:0], visible=visible[:0])": "frames is empty; give one seen",
    "predict(frames='my.mp4')": "frames is 'my.mp4'; expected an array",
    "predict(frames=frames[:, :0])": "frames are uint8 (0, 32, 3)",
    "predict(joints=joints * 1e30)": "a million pixels away",
    "own.forecast(joints)": "what was seen is of type ndarray (20, 13, 2); expected a SeenVideo",
    "own.forecast_poses(5, 3)": "seen is 5; expected a list of SeenVideo",
    "posecast.Forecaster('motion-forecaster')": "expected a pose model: Forecaster.load makes one",
    "posecast.Forecaster(own.poses, 'carried')": "expected an image model: Forecaster.load",
    "posecast.Forecaster.pretrained(123)": "run is 123; expected a path (str or Path), or the name",
    "posecast.Forecaster.load(['a'])": "run is of type list; expected a path",
    "posecast.Forecaster.pretrained(options='cpu')": "options is 'cpu'; expected ForecasterOptions",
    "own.load(None, 'carried', posecast.ForecasterOptions(precision='16'))": (
        "options.precision is '16'; expected '32-true', 'bf16-mixed'"
    ),
    "posecast.ForecasterOptions(frames_per_batch=2.5)": "frames_per_batch is 2.5; expected a whole",
    "OwnVideoConfig(steps=10**8)": "steps is 100000000; it must be 1 to 10000",
    "OwnVideoConfig(futures=10**9)": "futures is 1000000000; it must be 1 to 1000",
    "OwnVideoConfig(view_height=10**6)": "view_height is 1000000; it must be 0 to 16384",
    "EvaluationConfig(steps=10**8)": "steps is 100000000; it must be 1 to 10000",
    "PredictionConfig(view_scale=10**6)": "view_scale is 1000000; it must be 0 to 64",
    "PredictionConfig(drawn=10**9)": "drawn is 1000000000; it must be 1 to 1000",
    "video(poses=KeypointFile(SAMPLE), config=OwnVideoConfig(fps=1e6))": "fps is 1e+06; expect",
    "train_motion(replace(MOTION, loss=replace(MOTION.loss, regret=float('nan'))), 's', 'r')": (
        "config.loss.regret is nan; expected 0 or more, and finite"
    ),
    "train_motion(replace(MOTION, mix=replace(MOTION.mix, clip=-1.0)), 's', 'r')": (
        "config.mix.clip is -1.0; expected 0 or more"
    ),
    "make_study(['e'], 'out', StudyConfig(checks=-1))": "config.checks is -1; expected 0 or more",
    "make_study(['e'], 'out', StudyConfig(seed=-1))": "config.seed is -1; expected 0 or more",
    "write_report('e', 'out', ReportConfig(seed=-1))": "config.seed is -1; expected 0 or more",
    "read_study('s', [], float('nan'))": "least_checks is nan; expected a share, 0 to 1",
    "evaluate([], store, 'out', EvaluationConfig(random_examples=-1))": (
        "config.random_examples is -1; expected 0 or more"
    ),
    "bootstrap(5, 0, 0)": "num_draws is 0; expected a whole number, 1 or more",
    "run_over_clips(None, [], [], -2)": "workers is -2; expected a whole number, 0 or more",
    "KeypointOptions(min_confidence=float('nan'))": "min_confidence is nan; it must be -1 to 100",
    "KeypointOptions(first_frame=-5)": "first_frame is -5; it must be -1 or more",
    "OwnVideoConfig(lead_s=0.0)": "lead_s is 0.0; it must be over 0",
    "OwnVideoConfig(lead_s=np.inf)": "lead_s is inf; it must be over 0, and finite",
    "OwnVideoConfig(steps=10**400)": "0; it must be 1 to 10000",
    "OwnVideoConfig(steps='3')": "steps is '3'; expected a whole number",
    "video(frames)": "video is of type ndarray (20, 32, 32, 3); expected a path (str or Path)",
    "video(by='motion-forecaster')": "forecaster is 'motion-forecaster'; expected what",
    "video('')": "video is ''; expected a path",
    "video('https://a.org/b.mp4')": "https://a.org/b.mp4 is an address; expected a path",
    "video(out=3)": "out is 3; expected a path",
    "video(config='x')": "config is 'x'; expected OwnVideoConfig(...)",
    "video(config=OwnVideoConfig(panels='yes'))": "config.panels is 'yes'; expected bool",
    "video(out='a.mp4', poses=KeypointFile(3))": "the file of keypoints is 3; expected a path",
    "PennAction('Penn_Action')": "Penn Action: Penn_Action is not a folder",
    "PennAction(3)": "root is 3; expected Path",
    "FitConfig(init_from=3)": "init_from is 3; expected Path | None",
    "FitConfig(steps=np.inf)": "steps is inf; expected a whole number",
    "keypoints(steps=np.inf)": "steps is inf; expected a whole number",
    "points(names=(*track.names, 'head'))": "and 14 names, 13 different ones",
    "posecast.Store.select(None, 'train')": "selection is 'train'; expected ClipSelection(...)",
    "posecast.Store.select(None, posecast.ClipSelection(clips=(1,)))": "clips is (1,); expected",
    "posecast.Store.select(None, posecast.ClipSelection(actions='run'))": "actions is 'run'; exp",
    "posecast.Store.select(None, posecast.ClipSelection('valid'))": "split is 'valid'; expected",
    "posecast.Store.clip(None, 1)": "clip_id is 1; expected the name of a clip",
    "posecast.Store.read_frames(None, '0001')": "clip is '0001'; expected what store.clip gives",
    "own.predict_clip('store', '0001')": "store is 'store'; expected what Store.open gives",
    "posecast.PoseEstimator.load('movenet-lightning', 'cpu')": "options is 'cpu'; expected",
    "posecast.PoseEstimator.load('movenet-lightning', skeleton='coco')": "skeleton is 'coco'; exp",
    "posecast.Store.open(3)": "store is 3; expected a path",
    "posecast.read_forecast(3)": "forecast is 3; expected a path",
    "posecast.prepare('Penn_Action', 'store')": "source is 'Penn_Action'; expected a data set such",
    "posecast.train_pose('tiny', 'store', 'run')": "config is 'tiny'; expected PoseTrainingConfig",
    "posecast.train_pose(POSE['tiny'].but(steps=2.5), 'store', 'run')": "steps is 2.5; expected",
    "train_motion('penn-action-best', 'store', 'run')": "expected MotionTrainingConfig(...)",
    "train_carrying(replace(CARRYING['own-videos'], more='pairs'), 's', 'r')": "more is 'pairs'; e",
    "train_outline(None, 'store', 'run')": "config is None; expected OutlineTrainingConfig(...)",
    "train_estimator(POSE['tiny'], 'store', 'run')": "expected EstimatorTrainingConfig(...)",
    "train_conv_lstm('x', 'store', 'run')": "config is 'x'; expected ConvLSTMTrainingConfig(...)",
    "train_pose_classifier('x', 'store', 'run')": "expected PoseActionTrainingConfig(...)",
    "train_flow_classifier('x', 'store', 'run')": "expected FlowActionTrainingConfig(...)",
    "evaluate([], 'store', 'out')": "store is 'store'; expected what Store.open gives",
    "evaluate([], store, 3)": "out_path is 3; expected a path",
    "evaluate([], store, 'out', 'final')": "config is 'final'; expected EvaluationConfig(...)",
    "evaluate([], store, 'out', EvaluationConfig(start='last'))": "config.start is 'last'; ex",
    "evaluate([], store, 'out', None, 'vgg')": "networks is 'vgg'; expected what load_networks",
    "evaluate(own, store, 'out')": "methods is of type Forecaster; expected a list of methods",
    "evaluate(['last'], store, 'out')": "a method is 'last'; expected Method(name, poses=...)",
    "posecast.predict_store('x', 'store', None, None, 'out')": "config is 'x'; expected Prediction",
}
RIGHT = (
    "FitConfig(init_from='run').init_from.name",
    "keypoints(steps=3.0, samples=np.float64(2))",
    "predict(steps=np.float32(3), num_seen=10.0, samples=1.0)",
    "json.dumps(config_to_dict(OwnVideoConfig(steps=60.0, futures=np.float32(2))))",
    "keypoints(steps=np.int64(3), samples=np.int64(2), fps=np.float32(25))",
    "keypoints(steps=3, fps=1e9)",
    "points(points=joints.tolist(), confidence=visible.tolist(), names=list(track.names))",
    "predict(steps=np.int64(3), num_seen=np.int32(10))",
    "json.dumps(config_to_dict(OwnVideoConfig(steps=np.int64(3), fps=np.float32(25))))",
)


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What each call said; "done" where it did what was asked."""
    calls = json.dumps([*WRONG, *RIGHT])
    command = [sys.executable, "-c", _BEFORE]
    done = subprocess.run(command, input=calls, capture_output=True, text=True, check=True)
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.mark.parametrize("call", WRONG)
def test_wrong_arguments_are_explained(said, call):
    assert WRONG[call] in said[call]
    assert "Error:" not in said[call]


@pytest.mark.parametrize("call", RIGHT)
def test_numbers_of_numpy_and_lists_will_do(said, call):
    assert said[call] == "done"


def test_points_that_are_nan_are_not_seen():
    joints = np.arange(20.0)[:, None, None] + np.arange(26.0).reshape(13, 2) * 9
    track = PointTrack(joints, np.ones((20, 13)), PENN_ACTION.joints)
    lost = joints.copy()
    lost[5:8, 3] = np.nan
    hidden = np.ones((20, 13))
    hidden[5:8, 3] = 0
    as_nan = forecast_keypoints(replace(track, points=lost), steps=4)
    as_hidden = forecast_keypoints(replace(track, confidence=hidden), steps=4)
    np.testing.assert_array_equal(as_nan.points, as_hidden.points)
