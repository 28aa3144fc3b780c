// What model.js does besides steps, and how it refuses: usage.mjs PACKAGE URL-OF-PACKAGE
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, url] = process.argv.slice(2);
const { hasSimd, load } = await import(pathToFileURL(resolve(folder, "model.js")));
const model = await load();
const { inputs, outputs, window } = model.info;
const sample = (t) => Array.from({ length: inputs }, (_, i) => Math.sin(t + i) * 3);
const steps = (one, from, to) => {
  let y;
  for (let t = from; t < to; t++) y = one.step(sample(t));
  return [...y];
};

// each way of loading gives the same model
const bytes = readFileSync(join(folder, "model.wasm"));
const expected = steps(model, 0, 20);
const ways = [
  undefined,
  {},
  { simd: true },
  { simd: false },
  bytes,
  bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
  await WebAssembly.compile(bytes),
  join(folder, "model.wasm"),
  pathToFileURL(resolve(folder, "model-plain.wasm")),
  String(pathToFileURL(resolve(folder, "model.wasm"))),
  `${url}/model.wasm`,
  new URL(`${url}/model-plain.wasm`),
];
for (const way of ways) assert.deepEqual(steps(await load(way), 0, 20), expected);
assert.equal(hasSimd(), true);

// streams do not disturb each other; a copy begins where its origin is
const copy = model.clone();
assert.deepEqual(steps(copy, 20, 30), steps(model, 20, 30));
copy.reset();
assert.deepEqual(steps(copy, 0, 20), expected);
model.reset();
assert.deepEqual(steps(model, 0, 20), expected);

// outputs are copies, and so is what is decided on
const first = model.step(sample(20));
const kept = [...first];
model.step(sample(21));
assert.deepEqual([...first], kept);
const other = Int16Array.from({ length: outputs }, (_, i) => (i === 2 ? 9 : -9));
assert.equal(model.decide(other), 2);
assert.equal(model.decide([...other]), 2);
assert.deepEqual(steps(model, 22, 25), steps(copy, 20, 25));
assert.deepEqual([...model.values(other)], [...other].map((v) => v * model.info.outputScale));

// integers as quantize gives them; the rest of int16 is clipped as on the board
model.reset();
copy.reset();
for (let t = 0; t < 9; t++)
  assert.deepEqual(model.stepIntegers([...model.quantize(sample(t))]), copy.step(sample(t)));
model.stepIntegers(new Int16Array(inputs).fill(-32768));

// what is no number is the middle of its channel
model.reset();
const nothing = model.quantize(new Array(inputs).fill(NaN));
assert.deepEqual([...nothing], new Array(inputs).fill(0));

// a window, as any array of numbers
const flat = Array.from({ length: window }, (_, t) => sample(t)).flat();
assert.equal(model.run(flat), model.run(new Float32Array(flat)));
assert.equal(model.run(flat), model.run(new Float64Array(flat)));

// one clear line for what is wrong
const refused = (call, kind, text) => {
  assert.throws(call, (error) => {
    assert.equal(error.constructor, kind);
    assert.ok(error.message.includes(text), error.message);
    assert.ok(!error.message.includes("\n"));
    return true;
  });
};
refused(() => model.step(), TypeError, `step takes an array of ${inputs} numbers (`);
refused(() => model.step("123456"), TypeError, "step takes an array");
refused(() => model.step(new DataView(new ArrayBuffer(8))), TypeError, "step takes an array");
refused(() => model.step([1]), RangeError, `step takes ${inputs} numbers (`);
refused(() => model.step(new Float32Array(inputs + 1)), RangeError, `not ${inputs + 1}`);
refused(() => model.step(new Array(inputs).fill("1")), TypeError, "step: number 0 is a string");
refused(() => model.step(new Array(inputs)), TypeError, "step: number 0 is missing");
refused(() => model.step(new BigInt64Array(inputs)), TypeError, "step: number 0 is a bigint");
refused(() => model.stepIntegers(new Array(inputs).fill(0.5)), RangeError, "0.5 is no integer");
refused(() => model.stepIntegers(new Array(inputs).fill(32768)), RangeError, "32768 is no integer");
refused(() => model.decide(new Int16Array(outputs - 1)), RangeError, `decide takes ${outputs}`);
refused(() => model.confidence(null), TypeError, "confidence takes an array");
refused(() => model.run(flat.slice(1)), RangeError, `run takes ${window * inputs} numbers`);
refused(() => model.run(), TypeError, `run takes an array of ${window * inputs} numbers`);
refused(() => (model.info.classes[0] = "other"), TypeError, "read only");
refused(() => (model.step = null), TypeError, "step");
const fails = (source, kind, text) =>
  assert.rejects(load(source), (error) => {
    assert.equal(error.constructor, kind);
    assert.ok(error.message.includes(text), error.message);
    return true;
  });
await fails(7, TypeError, "load takes a URL, the bytes of a module, or { simd: false }");
await fails(null, TypeError, "load takes a URL");
await fails({ simd: 1 }, TypeError, "simd must be true or false");
await fails(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]), TypeError, "no model of EdgeFlow");
await fails(new Uint8Array([1, 2, 3]), WebAssembly.CompileError, "");
await fails(`${url}/other.wasm`, Error, "404");
console.log("ok");
