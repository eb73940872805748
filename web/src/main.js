// The page: choose a video and a moment, watch the person being followed, watch the forecast.

import sample from "sample/squats.mp4";
import { facts, forecast, load, MOST_SECONDS } from "./chain.js";

const $ = (id) => document.getElementById(id);
const stage = $("stage").getContext("2d");
const video = document.createElement("video");
video.muted = video.playsInline = true;

const COLOURS = { left: "#ff8f00", right: "#00b0ff", "": "#ffffff" };
const limbs = facts.skeleton.limbs.map((ends) =>
  ends.map((names) => names.map((name) => facts.skeleton.joints.indexOf(name))),
);

let shown; // { background, past, future }
let frame = 0;
let playing = true;

function say(text, isBad = false) {
  $("message").textContent = text;
  $("message").className = isBad ? "bad" : "";
}

function draw(joints, visible, opacity = 1) {
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
      draw(pose.joints, pose.visible);
      say(`Looking for the person: ${Math.round(100 * share)} %`);
    });
    drawVideo();
    const background = await createImageBitmap(stage.canvas);
    shown = { ...result, background };
    frame = 0;
    playing = true;
    $("time").max = result.future.length - 1;
    $("player").hidden = false;
    offer(result);
    const seconds = (performance.now() - started) / 1000;
    say(`${result.past.length} poses seen, ${result.future.length} forecast (${seconds.toFixed(1)} s).`);
  } catch (error) {
    say(error.message, true);
  } finally {
    for (const id of ["go", "until", "file", "sample"]) $(id).disabled = false;
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
  const { background, past, future } = shown;
  const number = Math.floor(frame);
  const { width, height } = stage.canvas;
  stage.drawImage(background, 0, 0);
  stage.fillStyle = "#0008";
  stage.fillRect(0, 0, width, height);
  const last = past[past.length - 1];
  draw(last.joints, last.visible, 0.35);
  draw(future[number]);
  $("time").value = number;
  $("time-text").value = `+${((number + 1) / facts.fps).toFixed(2)} s`;
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
  playing = false;
  $("play").textContent = "Play";
};
$("play").onclick = () => {
  playing = !playing;
  $("play").textContent = playing ? "Pause" : "Play";
};

load().then(
  () => say("Ready."),
  (error) => say(`The networks cannot be loaded: ${error.message}`, true),
);
requestAnimationFrame(tick);
