"""python examples/forecast_onnx.py FOLDER_OF_POSECAST_EXPORT_ONNX my.mp4 future.mp4"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

if len(sys.argv) != 4:
    sys.exit(f"usage: {__doc__}")
folder, video, out = sys.argv[1:]
facts = json.loads(Path(folder, "posecast-onnx.json").read_text())
graphs = {name: onnxruntime.InferenceSession(f"{folder}/{name}.onnx") for name in facts["graphs"]}


def run(part, known):  # each graph of a part reads what is known, and adds what it says
    for graph in (graphs[name] for name in facts["chain"][part]):
        said = graph.run(None, {each.name: known[each.name] for each in graph.get_inputs()})
        known = known | dict(zip([each.name for each in graph.get_outputs()], said, strict=True))
    return known


film, frames, poses, known = cv2.VideoCapture(video), [], [], {"where": np.zeros(3, np.float32)}
while (read := film.read())[0]:
    frames = [*frames[1 - facts["most_pictures"] :], read[1][..., ::-1]]
    known = run("follow", known | {"frame": frames[-1]})
    poses.append((known["joints_px"], known["visible"]))
if not any(visible.any() for _, visible in poses):
    sys.exit(f"{video}: not a video, or nobody in it")
joints, visible = (np.stack(each) for each in zip(*poses, strict=True))
rate = film.get(cv2.CAP_PROP_FPS) / facts["fps"]  # what the forecaster reads, the last pose last
rows = np.arange(len(joints) - 1, -1, -rate)[: facts["most_past"]].round().astype(int)[::-1]
known = run("forecast", {"past_joints_px": joints[rows][None], "past_visible": visible[rows][None]})
known |= {"last_joints_px": joints[-len(frames) :], "last_visible": visible[-len(frames) :]}
known = run("begin", known | {"last_frames": np.stack(frames)})
film = cv2.VideoWriter(out, cv2.VideoWriter.fourcc(*"mp4v"), facts["fps"], frames[-1].shape[1::-1])
for number in range(facts["horizon"]):
    drawn = run("draw", known | {"numbers": np.array([number])})
    film.write(drawn["whole_frames"][0][..., ::-1])
film.release()
