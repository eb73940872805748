// From a video to future poses: what examples/forecast_onnx.py does, with the same files.

import * as ort from "onnxruntime-web/wasm";
import estimatorBytes from "exported/estimator.onnx";
import forecasterBytes from "exported/forecaster.onnx";
import facts from "exported/posecast-onnx.json";
import wasm from "runtime-wasm";

export { facts };

const ROOM = 1.5; // side of the square that is looked at, in sides of the box around the joints
const FEWEST = 3; // joints without which nobody is seen
const FIRST_LOOKS = 3; // at the first frame, each closer
export const MOST_SECONDS = 6; // that are looked at before the moment of the forecast

const joints = facts.skeleton.joints.length;
let sessions;

export function load() {
  ort.env.wasm.numThreads = 1; // more need a server that isolates the page
  ort.env.wasm.wasmBinary = wasm;
  sessions ??= Promise.all(
    [estimatorBytes, forecasterBytes].map((bytes) => ort.InferenceSession.create(bytes)),
  );
  return sessions;
}

// Future poses after `until` seconds of a video. `onFrame(pose, share)` is called as frames are
// looked at. Errors are for the user to read.
export async function forecast(video, until, onFrame) {
  const [, forecaster] = await load();
  const poses = await follow(video, until, onFrame);
  const seen = poses.filter((pose) => pose.visible.some(Boolean)).length;
  if (poses.length < facts.least_past) {
    throw new Error(`only ${poses.length} frames come before that moment; choose a later one`);
  }
  if (seen < poses.length / 2) {
    throw new Error(`somebody was seen in only ${seen} of ${poses.length} frames`);
  }
  const inputs = {
    past_joints_px: new ort.Tensor(
      "float32", Float32Array.from(poses.flatMap((pose) => pose.joints.flat())),
      [1, poses.length, joints, 2],
    ),
    past_visible: new ort.Tensor(
      "bool", Uint8Array.from(poses.flatMap((pose) => pose.visible)), [1, poses.length, joints],
    ),
  };
  const said = await forecaster.run(inputs);
  return { past: poses, future: unflatten(said.future_joints_px), until };
}

async function follow(video, until, onFrame) {
  const count = Math.floor(Math.min(until, MOST_SECONDS) * facts.fps) + 1;
  const whole = {
    middle: [video.videoWidth / 2, video.videoHeight / 2],
    side: Math.max(video.videoWidth, video.videoHeight),
  };
  const poses = [];
  let where = whole;
  for (let number = 0; number < count; number++) {
    await seek(video, Math.max(until - (count - 1 - number) / facts.fps, 0));
    let pose;
    for (let look = 0; look < (where === whole ? FIRST_LOOKS : 1); look++) {
      pose = await lookAt(video, where);
      where = around(pose) ?? whole;
      if (where === whole) break;
    }
    poses.push(pose);
    onFrame(pose, (number + 1) / count);
  }
  return poses;
}

// The frame of a moment; without the middle of it, rounding would show the one before.
function seek(video, seconds) {
  return new Promise((resolve, reject) => {
    video.addEventListener("seeked", resolve, { once: true });
    video.addEventListener("error", () => reject(new Error("the video stops here")), { once: true });
    video.currentTime = Math.min(seconds + 1e-3, video.duration);
  });
}

const canvas = document.createElement("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });

async function lookAt(video, { middle, side }) {
  const [estimator] = await load();
  const size = facts.graphs.estimator.inputs[0].shape[1];
  canvas.width = canvas.height = size; // clears it to black
  const [left, top] = middle.map((value) => value - side / 2);
  const scale = size / side;
  context.imageSmoothingQuality = "high";
  context.drawImage(
    video, -left * scale, -top * scale, video.videoWidth * scale, video.videoHeight * scale,
  );
  const rgba = context.getImageData(0, 0, size, size).data;
  const rgb = rgba.filter((_, place) => place % 4 !== 3);
  const pictures = new ort.Tensor("uint8", new Uint8Array(rgb), [1, size, size, 3]);
  const { joints_crop, confidence } = await estimator.run({ pictures });
  return {
    joints: unflatten(joints_crop)[0].map(([x, y]) => [left + x * side, top + y * side]),
    visible: Array.from(confidence.data, (sure) => sure >= facts.min_confidence),
  };
}

function around({ joints, visible }) {
  const seen = joints.filter((_, number) => visible[number]);
  if (seen.length < FEWEST) return null;
  const box = [0, 1].map((axis) => {
    const values = seen.map((joint) => joint[axis]);
    return [Math.min(...values), Math.max(...values)];
  });
  const side = ROOM * Math.max(...box.map(([low, high]) => high - low));
  return { middle: box.map(([low, high]) => (low + high) / 2), side: Math.max(side, 8) };
}

// Rows of joints (x, y); the first axis, of one, is taken off.
function unflatten({ data, dims }) {
  const rows = dims.length === 4 ? dims[1] : 1;
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: joints }, (_, joint) => {
      const place = 2 * (row * joints + joint);
      return [data[place], data[place + 1]];
    }),
  );
}
