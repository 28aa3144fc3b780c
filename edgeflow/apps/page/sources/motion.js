/* The motion sensors of the phone that shows the page, resampled to the model's rate. */

import { Source } from "../source.js";
import { Windows, add, batch, infoOf, loadModel } from "../local.js";

const GRAVITY = 9.80665; // m/s² of a g
const ACCELERATION = { g: 1 / GRAVITY, "m/s2": 1, "m/s²": 1, "m/s^2": 1 };
const ROTATION = { "rad/s": Math.PI / 180, "°/s": 1, "deg/s": 1, dps: 1 };
const SILENT = 3000; // ms without a sample
const GAP = 500; // ms between samples after which the state is reset
const OFFERED = "acceleration in x, y and z and the rate of rotation around x, y and z";

/** Return for each channel a function of a DeviceMotionEvent, or throw what to do. */
export function readers(channels, units) {
  return channels.map((name, c) => {
    const axis = /([xyz])$/i.exec(name)?.[1].toLowerCase();
    const unit = (units[c] ?? "").trim();
    if (axis && /acc|^a[_ .-]?[xyz]$/i.test(name)) {
      const factor = ACCELERATION[unit.toLowerCase()];
      if (factor === undefined) throw other(name, unit, "g or m/s²");
      const linear = /lin|user/i.test(name);
      return (event) => factor * ((linear ? event.acceleration : event.accelerationIncludingGravity)?.[axis] ?? NaN);
    }
    if (axis && /gyr|rot|ang|^[gw][_ .-]?[xyz]$/i.test(name)) {
      const factor = ROTATION[unit.toLowerCase()];
      if (factor === undefined) throw other(name, unit, "rad/s or °/s");
      const part = { x: "beta", y: "gamma", z: "alpha" }[axis];
      return (event) => factor * (event.rotationRate?.[part] ?? NaN);
    }
    throw new Error(`the model reads “${name}”, which the motion sensors of a phone do not offer: they have ${OFFERED}. Show it recordings, or connect a board`);
  });
}

function other(name, unit, known) {
  return new Error(`the model reads “${name}” in ${unit ? `“${unit}”` : "a unit that it does not name"}; a phone's sensors can be read in ${known}: make a model for these units`);
}

/** Samples at a fixed period between the times of events, by linear interpolation. */
export class Resampler {
  constructor(rate) { this.period = 1000 / rate; this.clear(); }

  clear() { this.before = null; this.next = null; }

  /** Return the samples up to time `at` (ms), and whether there was a gap before them. */
  take(at, sample) {
    const { before } = this;
    this.before = { at, sample };
    if (before === null || at - before.at > GAP || at < before.at) {
      this.next = at + this.period;
      return { samples: [sample], gap: true };
    }
    const samples = [];
    for (; this.next <= at; this.next += this.period) {
      const share = at === before.at ? 1 : (this.next - before.at) / (at - before.at);
      samples.push(sample.map((v, c) => before.sample[c] + share * (v - before.sample[c])));
    }
    return { samples, gap: false };
  }
}

/** The sensors themselves: asks for permission, and waits for the first sample. */
export class MotionSensors {
  /** Call `take(ms, sample)` for each event; throw what to do where there is none. */
  static async open(take, read) {
    if (!("DeviceMotionEvent" in window)) throw new Error(isSecureContext ? "this browser has no motion sensors: open the page on a phone" : "motion sensors work on pages of https:// only: serve this folder by https, or from localhost");
    if (DeviceMotionEvent.requestPermission) {
      const answer = await DeviceMotionEvent.requestPermission().catch(() => "denied");
      if (answer !== "granted") throw new Error("the motion sensors were not allowed: press the button again and allow them; if no question comes, allow “Motion & Orientation Access” for this site in the browser's settings and load the page again");
    }
    const made = new MotionSensors();
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => { made.close(); reject(new Error("no motion sensor gives samples here: open the page on a phone")); }, SILENT);
      made.listener = (event) => {
        const sample = read.map((one) => one(event));
        if (sample.every(Number.isNaN)) return;
        clearTimeout(late);
        resolve();
        take(event.timeStamp, sample);
      };
      addEventListener("devicemotion", made.listener);
    });
    return made;
  }

  close() { removeEventListener("devicemotion", this.listener); }
}

export class MotionSource extends Source {
  gesture = "Use this phone's motion sensors";
  #paused = false;
  #session = 1;
  #done = 0;
  #window = 0;
  #position = 0;

  async open() {
    this.model = await loadModel();
    const { info } = this.model;
    this.read = readers(info.channels, info.units ?? []);
    this.resampler = new Resampler(info.rateHz || 50);
    this.info = infoOf(this.model, {
      data: "live", people: ["you"], unseen: ["you"], person: "you", labelled: false,
      board: { name: "this phone", description: "motion sensors and WebAssembly in this browser", costs: "the model runs in this page, in WebAssembly, on what the phone measures" },
    });
    this.windows = new Windows(info.window);
    this.labels = this.info.learns ? info.classes.map(() => 0) : [];
    this.sensors = await MotionSensors.open((at, sample) => this.#take(at, sample), this.read);
    setTimeout(() => this.#tell()); // when the page listens
    return this.info;
  }

  #take(at, sample) {
    if (this.#paused) return;
    const { samples, gap } = this.resampler.take(at, sample);
    const { model, info } = this, steps = batch(this.#done, this.#session);
    if (gap && this.#position) { this.#window += 1; this.#position = 0; }
    for (const x of samples) {
      if (this.#position === 0) model.reset();
      const y = model.step(x);
      this.windows.take(x, this.#position === 0);
      add(steps, model, x, y, { sequence: this.#window, position: this.#position, length: info.window || 1e9, held: Boolean(model.decided) });
      this.#position += 1;
      if (this.#position === info.window) { this.#position = 0; this.#window += 1; }
    }
    this.#done += steps.y.length;
    if (steps.y.length) this.onstep({ ...steps, sent_ms: performance.now(), late_ms: 0 });
  }

  set({ paused, restart, learn, forget }) {
    if (learn !== undefined) { this.#label(learn); return; }
    if (forget) { this.model.forget(); this.labels = this.labels.map(() => 0); }
    if (paused !== undefined) this.#paused = paused;
    if (restart || paused === false) { this.resampler.clear(); this.#position = 0; this.#window += 1; }
    if (restart) { this.#done = 0; this.#session += 1; }
    this.#tell();
  }

  #label(number) {
    const { model, windows } = this;
    if (windows.ended === null) { this.#tell("refused", "no window has ended yet: label one when it has"); return; }
    const run = (samples) => { model.reset(); for (const x of samples) model.step(x); };
    run(windows.ended); // no sample comes in between
    model.learn(number);
    if (windows.begun.length) run(windows.begun);
    this.labels[number] += 1;
    this.#tell();
  }

  #tell(state = this.#paused ? "paused" : "running", text = "") {
    this.onstate({ state, text, session: this.#session, person: "you", speed: 1, paused: this.#paused, labels: this.labels });
  }

  close() { this.sensors?.close(); }
}
