/*
 * A recurrent network in WebAssembly, for browsers, workers and Node.js: raw samples in, integers
 * out, with the bits of the firmware. It depends on nothing, and takes no build step.
 */

/* The smallest module with an instruction of SIMD128: i8x16.popcnt of a splat. */
const SIMD_MODULE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
]);
/* Of a module: what `info` says, as JSON. */
const SECTION = "edgeflow";

/** Tells whether this engine has SIMD128. */
export function hasSimd() {
  return WebAssembly.validate(SIMD_MODULE);
}

/** Loads the model of this folder, or another one of this format; see model.d.ts. */
export async function load(source) {
  const { simd, from } = chosen(source);
  const module = from instanceof WebAssembly.Module ? from : await compiled(from, simd);
  return new Model(module, described(module));
}

function chosen(source) {
  const isSource =
    typeof source === "string" ||
    source instanceof URL ||
    source instanceof WebAssembly.Module ||
    isBytes(source);
  if (isSource) return { from: source };
  if (source !== undefined && (source === null || typeof source !== "object"))
    throw new TypeError("load takes a URL, the bytes of a module, or { simd: false }");
  const simd = source?.simd ?? hasSimd();
  if (typeof simd !== "boolean") throw new TypeError("load: simd must be true or false");
  return { simd };
}

function isBytes(source) {
  return source instanceof ArrayBuffer || ArrayBuffer.isView(source);
}

async function compiled(from, simd) {
  if (isBytes(from)) return WebAssembly.compile(from);
  // bundlers look for these two, word for word
  const place =
    from ??
    (simd
      ? new URL("./model.wasm", import.meta.url)
      : new URL("./model-plain.wasm", import.meta.url));
  return WebAssembly.compile(await bytesOf(place));
}

async function bytesOf(place) {
  const scheme = /^[a-z][a-z0-9+.-]+:/i.exec(place)?.[0].toLowerCase() ?? "file:";
  if (scheme === "file:" && globalThis.process?.versions?.node !== undefined) {
    const name = "node:fs/promises"; // not for bundlers
    const { readFile } = await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
    return readFile(String(place).toLowerCase().startsWith("file:") ? new URL(place) : place);
  }
  const response = await fetch(place);
  if (!response.ok) throw new Error(`${place}: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

function described(module) {
  const [section] = WebAssembly.Module.customSections(module, SECTION);
  if (section === undefined)
    throw new TypeError("no model of EdgeFlow: the module has no section 'edgeflow'");
  return frozen(JSON.parse(new TextDecoder().decode(section)));
}

function frozen(value) {
  if (value !== null && typeof value === "object") Object.values(value).forEach(frozen);
  return Object.freeze(value);
}

class Model {
  #module;
  #code;
  #raw;
  #x;
  #y;

  constructor(module, info) {
    this.info = info;
    this.#module = module;
    this.#code = new WebAssembly.Instance(module).exports;
    const { memory, raw, x, y } = this.#code;
    // the memory never grows, so that these stay valid
    this.#raw = new Float32Array(memory.buffer, raw(), info.inputs);
    this.#x = new Int16Array(memory.buffer, x(), info.inputs);
    this.#y = new Int16Array(memory.buffer, y(), info.outputs);
    this.reset();
    Object.freeze(this);
  }

  reset() {
    this.#code.reset();
  }

  step(samples) {
    check(samples, this.info.inputs, "step", this.info.channels);
    this.#raw.set(samples);
    this.#code.quantize();
    this.#code.step();
    return this.#y.slice();
  }

  stepIntegers(x) {
    check(x, this.info.inputs, "stepIntegers", this.info.channels);
    checkIntegers(x, "stepIntegers");
    this.#x.set(x);
    this.#code.step();
    return this.#y.slice();
  }

  quantize(samples) {
    check(samples, this.info.inputs, "quantize", this.info.channels);
    this.#raw.set(samples);
    this.#code.quantize();
    return this.#x.slice();
  }

  learn(label) {
    if (!Number.isInteger(label) || this.#learner("learn").learn(label) !== 0)
      throw new RangeError(`learn: ${label} is no class: 0 to ${this.info.outputs - 1} are`);
  }

  forget() {
    this.#learner("forget").forget();
  }

  saveLearned() {
    this.#learner("saveLearned").save();
    return this.#learned().slice();
  }

  loadLearned(blob) {
    this.#learner("loadLearned");
    const place = this.#learned();
    if (!(blob instanceof Uint8Array) || blob.length !== place.length)
      throw new TypeError(`loadLearned takes a Uint8Array of ${place.length} bytes`);
    place.set(blob);
    if (this.#code.load() !== 0)
      throw new RangeError("loadLearned: it is damaged, or was learned by another model");
  }

  get decided() {
    return this.#code.decided !== undefined && this.#code.decided() !== 0;
  }

  decide(y) {
    this.#read(y, "decide");
    return this.#code.decide();
  }

  confidence(y) {
    this.#read(y, "confidence");
    return this.#code.confidence() / 32768;
  }

  values(y) {
    check(y, this.info.outputs, "values");
    const { outputFormat: form, outputScale } = this.info;
    if (form === null) return Float64Array.from(y, (value) => value * outputScale);
    return Float64Array.from(y, (value, i) => form.offset[i] + form.scale[i] * value);
  }

  run(samples) {
    const { inputs, window, classes } = this.info;
    const time = window > 0 ? window : Math.max(1, Math.ceil((samples?.length ?? 0) / inputs));
    check(samples, time * inputs, "run");
    const flat = Float32Array.from(samples);
    this.reset();
    let y;
    for (let at = 0; at < flat.length && !this.decided; at += inputs)
      y = this.step(flat.subarray(at, at + inputs));
    return classes.length > 0 ? this.decide(y) : this.values(y);
  }

  clone() {
    const other = new Model(this.#module, this.info);
    // all state is in the memory, and nothing runs now
    new Uint8Array(other.#code.memory.buffer).set(new Uint8Array(this.#code.memory.buffer));
    return other;
  }

  #learner(who) {
    if (this.#code.learn === undefined)
      throw new TypeError(`${who}: this model does not learn: compress it with --adapt`);
    return this.#code;
  }

  #learned() {
    const { memory, learned, learnedSize } = this.#code;
    return new Uint8Array(memory.buffer, learned(), learnedSize());
  }

  #read(y, who) {
    if (this.#code.decide === undefined)
      throw new TypeError(`${who}: this model has no classes: values(y) has its outputs`);
    check(y, this.info.outputs, who);
    checkIntegers(y, who);
    this.#y.set(y);
  }
}

/* Refuses what is no array of that many numbers. */
function check(numbers, length, who, names = []) {
  const isView = ArrayBuffer.isView(numbers) && !(numbers instanceof DataView);
  const of = names.length > 0 ? ` (${names.join(", ")})` : "";
  if (!isView && !Array.isArray(numbers))
    throw new TypeError(`${who} takes an array of ${length} numbers${of}`);
  if (numbers.length !== length)
    throw new RangeError(`${who} takes ${length} numbers${of}, not ${numbers.length}`);
  for (let i = 0; i < length; i++)
    if (typeof numbers[i] !== "number")
      throw new TypeError(`${who}: number ${i} is ${describe(numbers[i])}`);
}

function checkIntegers(numbers, who) {
  if (numbers instanceof Int16Array) return;
  for (const value of numbers)
    if (!Number.isInteger(value) || value < -32768 || value > 32767)
      throw new RangeError(`${who}: ${value} is no integer of 16 bits`);
}

function describe(value) {
  return value === null ? "null" : value === undefined ? "missing" : `a ${typeof value}`;
}
