// Makes dist/: index.html and app.js, which holds the networks, onnxruntime and the sample, so that
// the page opens from a folder as well as from a server and asks for nothing more.
// Usage: node build.mjs FOLDER_OF_POSECAST_EXPORT_ONNX

import { copyFile, mkdir, readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const models = resolve(process.argv[2] ?? resolve(here, "../onnx"));
const dist = resolve(here, "dist");
const runtime = resolve(here, "node_modules/onnxruntime-web");

// Networks and runtime go into the page compressed: a third less to load.
const packed = {
  name: "packed",
  setup({ onLoad }) {
    onLoad({ filter: /\.(onnx|wasm)$/ }, async ({ path }) => ({
      contents: gzipSync(await readFile(path), { level: 9 }),
      loader: "binary",
    }));
  },
};

await mkdir(dist, { recursive: true });
await build({
  entryPoints: [resolve(here, "src/main.js")],
  outfile: resolve(dist, "app.js"),
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  alias: {
    "exported": models,
    "runtime-wasm": resolve(runtime, "dist/ort-wasm-simd-threaded.wasm"),
    "sample": resolve(here, "../src/posecast/sample"),
  },
  loader: { ".mp4": "binary" },
  plugins: [packed],
  define: { "import.meta.url": "document.baseURI" },
  legalComments: "none",
});
await copyFile(resolve(here, "src/index.html"), resolve(dist, "index.html"));
await copyFile(resolve(here, "licences.txt"), resolve(dist, "licences.txt"));
