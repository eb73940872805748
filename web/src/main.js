// The page: choose a video and a moment, watch the person being followed, watch the forecast.

import sample from "sample/squats.mp4";
import { draw, facts, forecast, load, MOST_SECONDS } from "./chain.js";

const $ = (id) => document.getElementById(id);
const stage = $("stage").getContext("2d");
const video = document.createElement("video");
video.muted = video.playsInline = true;

const COLOURS = { left: "#ff8f00", right: "#00b0ff", "": "#ffffff" };
const limbs = facts.skeleton.limbs.map((ends) =>
  ends.map((names) => names.map((name) => facts.skeleton.joints.indexOf(name))),
);

const STEP = 2; // every other future frame is drawn: fifteen a second

let shown; // { background, past, future, drawn }
let frame = 0;
let playing = true;

function say(text, isBad = false) {
  $("message").textContent = text;
  $("message").className = isBad ? "bad" : "";
}

function drawPose(joints, visible, opacity = 1) {
  const place = (group) =>
    [0, 1].map((axis) => group.reduce((sum, n) => sum + joints[n][axis], 0) / group.length);
  stage.globalAlpha = opacity;
  stage.lineWidth = Math.max(stage.canvas.height / 90, 2);
  stage.lineCap = "round";
  for (const ends of limbs) {
    if (visible && !ends.flat().every((n) => visible[n])) continue;
    const side = /^(left|right)/.exec(facts.skeleton.joints[ends[1][0]])?.[1] ?? "";
    const isMiddle = ends.some((group) => group.length > 1);
    stage.strokeStyle = COLOURS[isMiddle ? "" : side];
    stage.beginPath();
    stage.moveTo(...place(ends[0]));
    stage.lineTo(...place(ends[1]));
    stage.stroke();
  }
  stage.globalAlpha = 1;
}

function drawVideo() {
  stage.drawImage(video, 0, 0, stage.canvas.width, stage.canvas.height);
}

async function open(blob) {
  $("choice").hidden = $("player").hidden = $("stage").hidden = true;
  shown = undefined;
  video.src = URL.createObjectURL(blob);
  try {
    await new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = () => reject(new Error("this browser cannot read that video"));
    });
    if (!Number.isFinite(video.duration) || !video.videoWidth) {
      throw new Error("that video has no pictures, or does not say how long it is");
    }
  } catch (error) {
    say(error.message, true);
    return;
  }
  stage.canvas.width = video.videoWidth;
  stage.canvas.height = video.videoHeight;
  $("until").max = video.duration;
  $("until").value = Math.min(video.duration, MOST_SECONDS);
  await preview();
  $("choice").hidden = $("stage").hidden = false;
  say("Choose the moment from which to forecast.");
}

async function preview() {
  const seconds = Number($("until").value);
  $("until-text").value = `${seconds.toFixed(2)} s`;
  await new Promise((resolve) => {
    video.addEventListener("seeked", resolve, { once: true });
    video.currentTime = Math.min(seconds + 1e-3, video.duration);
  });
  shown = undefined;
  $("player").hidden = true;
  drawVideo();
}

async function go() {
  for (const id of ["go", "until", "file", "sample"]) $(id).disabled = true;
  try {
    const started = performance.now();
    const result = await forecast(video, Number($("until").value), (pose, share) => {
      drawVideo();
      drawPose(pose.joints, pose.visible);
      say(`Looking for the person: ${Math.round(100 * share)} %`);
    });
    drawVideo();
    const background = await createImageBitmap(stage.canvas);
    shown = { ...result, background, drawn: [] };
    frame = 0;
    play(true);
    $("time").max = result.future.length - 1;
    $("player").hidden = false;
    offer(result);
    await drawFrames(shown);
    const seconds = (performance.now() - started) / 1000;
    say(`${result.past.length} frames seen, ${result.future.length} forecast (${seconds.toFixed(0)} s).`);
  } catch (error) {
    say(error.message, true);
  } finally {
    for (const id of ["go", "until", "file", "sample"]) $(id).disabled = false;
  }
}

// Poses are shown until their frames are drawn.
async function drawFrames(forecast) {
  const count = Math.floor(forecast.future.length / STEP);
  for await (const { number, picture } of draw(forecast, STEP)) {
    const bitmap = await createImageBitmap(picture);
    for (let n = number - STEP + 1; n <= number; n++) forecast.drawn[n] = bitmap;
    say(`Drawing frames: ${Math.round((100 * (number + 1)) / STEP / count)} %`);
    await new Promise((resolve) => setTimeout(resolve)); // let the page be painted
  }
}

function offer({ past, future, until }) {
  const said = {
    joint_names: facts.skeleton.joints,
    past_joints_px: past.map((pose) => pose.joints),
    past_visible: past.map((pose) => pose.visible),
    predicted_joints_px: future,
    predicted_seconds: future.map((_, number) => until + (number + 1) / facts.fps),
  };
  URL.revokeObjectURL($("save").href);
  $("save").href = URL.createObjectURL(new Blob([JSON.stringify(said)], { type: "application/json" }));
}

function render() {
  const { background, past, future, drawn } = shown;
  const number = Math.floor(frame);
  const { width, height } = stage.canvas;
  stage.drawImage(drawn[number] ?? background, 0, 0, width, height);
  if (!drawn[number]) {
    stage.fillStyle = "#0008";
    stage.fillRect(0, 0, width, height);
    const last = past[past.length - 1];
    drawPose(last.joints, last.visible, 0.35);
  }
  if (!drawn[number] || $("poses").checked) drawPose(future[number]);
  $("time").value = number;
  $("time-text").value = `+${((number + 1) / facts.fps).toFixed(2)} s`;
}

// The forecast once from its beginning, as the browser codes video.
function film() {
  const recorder = new MediaRecorder(stage.canvas.captureStream());
  recorder.ondataavailable = ({ data }) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(data);
    link.download = `forecast.${/mp4/.test(recorder.mimeType) ? "mp4" : "webm"}`;
    link.click();
    $("film").disabled = false;
  };
  $("film").disabled = true;
  frame = 0;
  play(true);
  recorder.start();
  setTimeout(() => recorder.stop(), (1000 * shown.future.length) / facts.fps);
}

function play(isPlaying) {
  playing = isPlaying;
  $("play").textContent = playing ? "Pause" : "Play";
}

let before = 0;
function tick(now) {
  if (shown) {
    if (playing) frame = (frame + (Math.min(now - before, 100) / 1000) * facts.fps) % shown.future.length;
    render();
  }
  before = now;
  requestAnimationFrame(tick);
}

$("file").onchange = () => $("file").files.length && open($("file").files[0]);
$("sample").onclick = () => open(new Blob([sample], { type: "video/mp4" }));
$("until").oninput = preview;
$("go").onclick = go;
$("time").oninput = () => {
  frame = Number($("time").value);
  play(false);
};
$("play").onclick = () => play(!playing);
$("film").onclick = film;

load().then(
  () => say("Ready."),
  (error) => say(`The networks cannot be loaded: ${error.message}`, true),
);
requestAnimationFrame(tick);
