"""Forecast the poses of a person in a video with onnxruntime, numpy and PyAV alone.

posecast export onnx --out onnx
python examples/forecast_onnx.py onnx my.mp4 future.npz
"""

import json
import sys
from pathlib import Path

import av
import numpy as np
import onnxruntime

folder, video, out = (Path(word) for word in sys.argv[1:4])
facts = json.loads((folder / "posecast-onnx.json").read_text())
estimator, forecaster = (
    onnxruntime.InferenceSession(folder / facts["graphs"][name]["file"])
    for name in ("estimator", "forecaster")
)
size = estimator.get_inputs()[0].shape[1]


def look(frame, middle, side):
    """Joints in pixels and confidences, seen in a square of the frame; black lies around it."""
    left, top, side = *np.round(middle - side / 2).astype(int), max(round(side), 8)
    square = np.zeros((side, side, 3), np.uint8)
    part = frame[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    square[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]] = part
    picture = av.VideoFrame.from_ndarray(square).reformat(size, size, interpolation="AREA")
    joints, sure = estimator.run(None, {"pictures": picture.to_ndarray(format="rgb24")[None]})
    return joints[0] * side + (left, top), sure[0]


seconds, poses, shown, where = [], [], [], None
for picture in av.open(video).decode(video=0):
    frame = picture.to_ndarray(format="rgb24")
    middle, side = where or (np.array(frame.shape[1::-1]) / 2, max(frame.shape))
    joints, sure = look(frame, middle, side)
    seen = sure >= facts["min_confidence"]
    if seen.sum() >= 3:  # else the person is lost: look at the whole frame again
        low, high = joints[seen].min(axis=0), joints[seen].max(axis=0)
        middle, side = where = (low + high) / 2, 1.5 * (high - low).max()
    else:
        where = None
    seconds, poses, shown = [*seconds, picture.time], [*poses, joints], [*shown, seen]

# The forecaster reads and says `fps` poses a second, whatever the video's rate.
count = min(int((seconds[-1] - seconds[0]) * facts["fps"]) + 1, facts["most_past"])
times = seconds[-1] - np.arange(count)[::-1] / facts["fps"]
columns = np.reshape(poses, (len(poses), -1)).T
past = np.stack([np.interp(times, seconds, column) for column in columns], axis=1)
nearest = np.abs(times[:, None] - seconds).argmin(axis=1)
past = past.reshape(1, count, -1, 2).astype(np.float32)
inputs = {"past_joints_px": past, "past_visible": np.array(shown)[nearest][None]}
future = forecaster.run(["future_joints_px"], inputs)[0][0]
after = seconds[-1] + np.arange(1, len(future) + 1) / facts["fps"]
np.savez(out, joints_px=future, seconds=after, joint_names=facts["skeleton"]["joints"])
print(f"{out}: {len(future)} poses, {count} seen, from {seconds[-1]:.2f} to {after[-1]:.2f} s")
