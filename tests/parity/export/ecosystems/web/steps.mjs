// Steps through windows of raw samples: steps.mjs PACKAGE SAMPLES(float32) simd|plain
// Prints what comes out of each step, and the class of each window, as JSON.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, file, kind] = process.argv.slice(2);
const { load } = await import(pathToFileURL(resolve(folder, "model.js")));
const model = await load({ simd: kind === "simd" });
const bytes = readFileSync(file);
const samples = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const { inputs, window } = model.info;
const steps = [];
const classes = [];
for (let start = 0; start < samples.length; start += window * inputs) {
  model.reset();
  for (let at = start; at < start + window * inputs; at += inputs) {
    const sample = samples.subarray(at, at + inputs);
    const x = model.quantize(sample);
    const y = model.step(sample);
    steps.push([[...x], [...y], model.decide(y), model.confidence(y), model.decided]);
  }
  classes.push(model.run(samples.subarray(start, start + window * inputs)));
}
console.log(JSON.stringify({ info: model.info, steps, classes }));
