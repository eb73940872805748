// From a video to future poses and frames: what examples/forecast_onnx.py does, with the same files.

import * as ort from "onnxruntime-web/wasm";
import beginBytes from "exported/begin.onnx";
import composeBytes from "exported/compose.onnx";
import estimatorBytes from "exported/estimator.onnx";
import forecasterBytes from "exported/forecaster.onnx";
import layersBytes from "exported/layers.onnx";
import lookBytes from "exported/look.onnx";
import mapsBytes from "exported/maps.onnx";
import maskBytes from "exported/mask.onnx";
import pasteBytes from "exported/paste.onnx";
import facts from "exported/posecast-onnx.json";
import refinementBytes from "exported/refinement.onnx";
import wasm from "runtime-wasm";

export { facts };

const ROOM = 1.5; // side of the square that is looked at, in sides of the box around the joints
const FEWEST = 3; // joints without which nobody is seen
const FIRST_LOOKS = 3; // at the first frame, each closer
export const MOST_SECONDS = 6; // that are looked at before the moment of the forecast
const MOST_PICTURES = 12; // seen frames of which future ones are made
const LONGEST = 640; // pixels of a drawn frame's longer side

const joints = facts.skeleton.joints.length;
const packed = {
  estimator: estimatorBytes, forecaster: forecasterBytes, begin: beginBytes, maps: mapsBytes,
  mask: maskBytes, look: lookBytes, layers: layersBytes, refinement: refinementBytes,
  compose: composeBytes, paste: pasteBytes,
};
let graphs;

export function load() {
  graphs ??= (async () => {
    ort.env.wasm.numThreads = 1; // more need a server that isolates the page
    ort.env.wasm.wasmBinary = await unpacked(wasm);
    const opened = Object.entries(packed).map(async ([name, bytes]) => [
      name, await ort.InferenceSession.create(await unpacked(bytes)),
    ]);
    return Object.fromEntries(await Promise.all(opened));
  })();
  return graphs;
}

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Each graph of a part of the chain reads what is known, and adds what it says.
async function run(part, known) {
  const all = await load();
  for (const name of facts.chain[part]) {
    const inputs = facts.graphs[name].inputs.map((each) => [each.name, known[each.name]]);
    known = { ...known, ...(await all[name].run(Object.fromEntries(inputs))) };
  }
  return known;
}

// Future poses after `until` seconds of a video, and what frames are drawn of. `onFrame(pose, share)`
// is called as frames are looked at. Errors are for the user to read.
export async function forecast(video, until, onFrame) {
  const { poses, pictures } = await follow(video, until, onFrame);
  const seen = poses.filter((pose) => pose.visible.some(Boolean)).length;
  if (poses.length < facts.least_past) {
    throw new Error(`only ${poses.length} frames come before that moment; choose a later one`);
  }
  if (seen < poses.length / 2) {
    throw new Error(`somebody was seen in only ${seen} of ${poses.length} frames`);
  }
  const said = await run("forecast", {
    past_joints_px: places(poses, [1, poses.length, joints, 2]),
    past_visible: shown(poses, [1, poses.length, joints]),
  });
  return { past: poses, future: unflatten(said.future_joints_px), until, pictures };
}

// Frames of a forecast, one after the other: ImageData of `LONGEST` pixels, `step` poses apart.
export async function* draw({ past, future, pictures }, step) {
  const [{ width, height }, poses] = [pictures[0], past.slice(-pictures.length)];
  const scale = width / pictures[0].of;
  const small = (joints) => ({ joints: joints.map(([x, y]) => [x * scale, y * scale]) });
  const known = await run("begin", {
    last_frames: new ort.Tensor(
      "uint8", rgbOf(pictures), [pictures.length, height, width, 3],
    ),
    last_joints_px: places(poses.map((pose) => small(pose.joints)), [poses.length, joints, 2]),
    last_visible: shown(poses, [poses.length, joints]),
    future_joints_px: places(future.map(small), [1, future.length, joints, 2]),
  });
  for (let number = step - 1; number < future.length; number += step) {
    const numbers = new ort.Tensor("int64", BigInt64Array.of(BigInt(number)), [1]);
    const { whole_frames } = await run("draw", { ...known, numbers });
    yield { number, picture: pictureOf(whole_frames.data, width, height) };
  }
}

async function follow(video, until, onFrame) {
  const count = Math.floor(Math.min(until, MOST_SECONDS) * facts.fps) + 1;
  const whole = {
    middle: [video.videoWidth / 2, video.videoHeight / 2],
    side: Math.max(video.videoWidth, video.videoHeight),
  };
  const [poses, pictures] = [[], []];
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
    if (count - number <= MOST_PICTURES) pictures.push(pictureNow(video));
    onFrame(pose, (number + 1) / count);
  }
  return { poses, pictures };
}

// The whole frame that is shown, and how wide the video is.
function pictureNow(video) {
  const most = Math.max(video.videoWidth, video.videoHeight);
  const scale = Math.min(1, LONGEST / most);
  const [width, height] = [video.videoWidth, video.videoHeight].map((n) => Math.round(n * scale));
  [canvas.width, canvas.height] = [width, height];
  context.imageSmoothingQuality = "high";
  context.drawImage(video, 0, 0, width, height);
  return { width, height, of: video.videoWidth, rgba: context.getImageData(0, 0, width, height).data };
}

function rgbOf(pictures) {
  const [size, all] = [pictures[0].rgba.length, pictures.length];
  const rgb = new Uint8Array((all * size * 3) / 4);
  let place = 0;
  for (const { rgba } of pictures) {
    for (let n = 0; n < size; n += 4) {
      rgb[place++] = rgba[n];
      rgb[place++] = rgba[n + 1];
      rgb[place++] = rgba[n + 2];
    }
  }
  return rgb;
}

function pictureOf(rgb, width, height) {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let n = 0; n < width * height; n++) {
    for (let c = 0; c < 3; c++) rgba[4 * n + c] = rgb[3 * n + c];
  }
  return new ImageData(rgba, width, height);
}

const places = (poses, shape) =>
  new ort.Tensor("float32", Float32Array.from(poses.flatMap((pose) => pose.joints.flat())), shape);
const shown = (poses, shape) =>
  new ort.Tensor("bool", Uint8Array.from(poses.flatMap((pose) => pose.visible)), shape);

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
  const { estimator } = await load();
  const size = facts.graphs.estimator.inputs[0].shape[1];
  canvas.width = canvas.height = size; // clears it to black
  const [left, top] = middle.map((value) => value - side / 2);
  const scale = size / side;
  context.imageSmoothingQuality = "high";
  context.drawImage(
    video, -left * scale, -top * scale, video.videoWidth * scale, video.videoHeight * scale,
  );
  const rgb = rgbOf([{ rgba: context.getImageData(0, 0, size, size).data }]);
  const pictures = new ort.Tensor("uint8", rgb, [1, size, size, 3]);
  const { joints_crop, confidence } = await estimator.run({ pictures });
  return {
    joints: unflatten(joints_crop)[0].map(([x, y]) => [left + x * side, top + y * side]),
    visible: Array.from(confidence.data, (sure) => sure >= facts.min_confidence),
    // Negative: perhaps elsewhere, but good enough to look there next.
    found: Array.from(confidence.data, (sure) => Math.abs(sure) >= facts.min_confidence),
  };
}

function around({ joints, found }) {
  const seen = joints.filter((_, number) => found[number]);
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
