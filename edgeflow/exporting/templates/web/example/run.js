/* Runs the window of window.js in Node.js and prints what is found. */
import { load } from "../model.js";
import { outputs, samples } from "./window.js";

const model = await load();
const { classes, inputs } = model.info;
let y;
for (let at = 0; at < samples.length && !model.decided; at += inputs)
  y = model.step(samples.subarray(at, at + inputs));

if (classes.length > 0) console.log(`class: ${classes[model.decide(y)]}`);
else console.log(`values: ${[...model.values(y)].join(", ")}`);
const same = y.every((value, i) => value === outputs[i]);
console.log(`outputs: ${same ? "as at export" : "NOT as at export"}`);
process.exitCode = same ? 0 : 1;
