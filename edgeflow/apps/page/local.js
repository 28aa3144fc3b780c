/* Sources whose model runs in the page: model.js of "edgeflow export --to web" beside index.html. */

import { Source } from "./source.js";

/** Load the model beside the page. */
export async function loadModel() {
  try {
    const { load } = await import(new URL("model.js", document.baseURI).href);
    return await load();
  } catch (error) {
    throw new Error(`the model beside this page cannot be loaded (${error.message}): put model.js and model.wasm of “edgeflow export --to web” there`);
  }
}

/** Return what Source.open() gives, of a model and what is known beside it. */
export function infoOf(model, more) {
  const { info } = model;
  return {
    type: "hello", model: info.hash, task: info.task ?? (info.classes.length ? "classification" : "values"),
    classes: info.classes, labels: info.classes, outputs: info.outputs, output_scale: info.outputScale,
    output_names: info.outputNames ?? [], output_units: info.outputFormat?.units ?? [],
    channels: info.channels, units: info.channels.map((_, c) => info.units?.[c] ?? ""), rate_hz: info.rateHz || 50,
    window: info.window, warmup: 0, early_exit: info.earlyExit != null,
    data: "", people: [], unseen: [], person: "", speeds: [1, 1], training: null, labelled: true, learns: info.learns ?? false, ...more,
  };
}

/** An empty batch from step `first` on. */
export function batch(first, session) {
  return {
    type: "steps", session, first, x: [], y: [], decision: [], confidence: [], truth: [], sequence: [],
    position: [], length: [], held: [], mismatches: 0, instructions: null, cycles: null, uj: null, us: null,
  };
}

/** Add a step to a batch. */
export function add(steps, model, x, y, { truth = null, sequence, position, length, held = false }) {
  const classes = model.info.classes.length > 0;
  steps.x.push(Array.from(x));
  steps.y.push(Array.from(y));
  steps.decision.push(classes ? model.decide(y) : Array.from(model.values(y)));
  steps.confidence.push(classes ? model.confidence(y) : null);
  steps.truth.push(truth);
  steps.sequence.push(sequence);
  steps.position.push(position);
  steps.length.push(length);
  steps.held.push(held);
}

/** The last whole window and what came of the next one since: what a label is about. */
export class Windows {
  constructor(length) { this.length = length; this.clear(); }

  clear() { this.ended = null; this.begun = []; }

  /** Take a sample; a window begins with the first, and with the one after the last. */
  take(x, first) {
    if (first) this.begun = [];
    this.begun.push(Array.from(x));
    if (this.length && this.begun.length === this.length) { this.ended = this.begun; this.begun = []; }
  }

  /** Let a model learn the class of the window that ended: run(samples) reads them from a reset. */
  async label(number, run, learn) {
    if (this.ended === null) throw new Error("no window has ended yet: label one when it has");
    await run(this.ended);
    await learn(number);
    if (this.begun.length) await run(this.begun);
  }
}

const TICK = 40; // ms
const MOST = 200; // steps of a batch

/** Recordings beside the page, stepped at their pace: recordings.json, as docs/live.md says. */
export class Replay extends Source {
  model = null;
  mismatches = 0;
  #recordings = [];
  #chosen = [];
  #state = { person: "", speed: 1, paused: false };
  #session = 0;
  #at = [0, 0]; // recording, sample
  #done = 0;
  #origin = 0;
  #base = 0;
  #timer = null;
  #busy = false;
  #windows = null;
  #asked = []; // numbers of classes to learn, or null: forget
  labels = [];

  /** Get ready; return {name, description, costs} of what runs the model. Overridden. */
  async prepare() { return { name: "this page", description: "WebAssembly in this browser", costs: "" }; }

  /** Run samples, the first of them after a reset if asked; return {y, cycles, held}. Overridden. */
  async steps(samples, reset) {
    if (reset) this.model.reset();
    const held = [];
    const y = samples.map((x) => { const out = this.model.step(x); held.push(Boolean(this.model.decided)); return out; });
    return { y, held, cycles: null };
  }

  /** Learn a class, or forget all (null). Overridden where there is a board. */
  async teach(number) {
    if (number === null) this.model.forget();
    else this.model.learn(number);
  }

  /** Price cycles: {us, uj} of each, or null. Overridden. */
  price() { return { us: null, uj: null }; }

  async open() {
    this.model = await loadModel();
    const found = await recordings(this.model.info);
    const board = await this.prepare();
    this.#recordings = found.recordings;
    const people = [...new Set(found.recordings.map((one) => one.person))];
    this.#state.person = people[0];
    this.info = infoOf(this.model, { board, people, unseen: people, person: people[0], speeds: [1, 20], data: found.data ?? "", training: found.training ?? null });
    this.#windows = new Windows(this.info.window);
    this.labels = this.info.learns ? this.info.classes.map(() => 0) : [];
    this.#restart();
    setTimeout(() => this.#tell()); // when the page listens
    this.#timer = setInterval(() => this.#tick(), TICK);
    return this.info;
  }

  set({ person, speed, paused, restart, learn, forget }) {
    const state = this.#state;
    if (forget) this.#asked.push(null);
    if (learn !== undefined) this.#asked.push(learn);
    if (forget || learn !== undefined) return; // between two batches, which tells
    if (speed !== undefined) state.speed = speed;
    if (paused !== undefined) state.paused = paused;
    if (person !== undefined) state.person = person;
    if (person !== undefined || restart) this.#restart();
    this.#begin();
    this.#tell();
  }

  close() { clearInterval(this.#timer); }

  #restart() {
    this.#chosen = this.#recordings.filter((one) => one.person === this.#state.person);
    this.#at = [0, 0];
    this.#done = this.mismatches = 0;
    this.#windows.clear();
    this.#session += 1;
    this.#begin();
  }

  #begin() { this.#origin = performance.now(); this.#base = this.#done; }

  #tell(state = null, text = "") {
    this.onstate({ state: state ?? (this.#state.paused ? "paused" : "running"), text, session: this.#session, labels: this.labels, ...this.#state });
  }

  async #tick() {
    if (this.#busy) return;
    if (this.#asked.length) { await this.#obey(); return; }
    if (this.#state.paused) return;
    const pace = (this.info.rate_hz * this.#state.speed) / 1000;
    let n = Math.floor((performance.now() - this.#origin) * pace) + this.#base - this.#done;
    if (n > 1000 * pace) { this.#begin(); n = 1; } // hidden for a while: not made up for
    if (n < 1) return;
    this.#busy = true;
    const session = this.#session;
    try {
      const steps = await this.#run(Math.min(n, MOST), session);
      if (session !== this.#session) return;
      const due = this.#origin + (this.#done - this.#base) / pace;
      this.onstep({ ...steps, sent_ms: performance.now(), late_ms: Math.max(0, performance.now() - due) });
    } catch (error) {
      this.#tell("lost", `${error.message}; trying again`);
      await this.#recover(session);
    } finally {
      this.#busy = false;
    }
  }

  async #obey() {
    this.#busy = true;
    try {
      const number = this.#asked.shift();
      if (number === null) await this.teach(null);
      else await this.#windows.label(number, (samples) => this.steps(samples, true), (k) => this.teach(k));
      this.labels = this.labels.map((n, k) => (number === null ? 0 : n + (k === number ? 1 : 0)));
      this.#tell();
    } catch (error) {
      this.#tell("refused", error.message);
    } finally {
      this.#busy = false;
      this.#begin();
    }
  }

  async #run(n, session) {
    const steps = batch(this.#done, session);
    let [sequence, position] = this.#at;
    const cycles = [];
    while (n > 0) {
      const { x, label } = this.#chosen[sequence];
      const length = x.length, stop = Math.min(position + n, length, this.#windowEnd(position));
      const window = this.info.window || length, within = position % window;
      const result = await this.steps(x.slice(position, stop), within === 0);
      result.y.forEach((y, i) => add(steps, this.model, x[position + i], y, {
        truth: label, sequence: sequence * 1e5 + Math.floor(position / window), position: within + i, length: window, held: result.held[i],
      }));
      if (result.cycles) cycles.push(...result.cycles);
      for (let i = position; i < stop; i++) this.#windows.take(x[i], i % window === 0);
      n -= stop - position;
      position = stop;
      if (position >= length) { sequence = (sequence + 1) % this.#chosen.length; position = 0; }
    }
    if (session !== this.#session) return steps;
    this.#at = [sequence, position];
    this.#done += steps.y.length;
    steps.mismatches = this.mismatches;
    if (cycles.length) Object.assign(steps, { cycles }, this.price(cycles));
    return steps;
  }

  #windowEnd(position) {
    const { window } = this.info;
    return window ? (Math.floor(position / window) + 1) * window : Infinity;
  }

  /** Begin the window again as soon as the board answers; its state is lost. */
  async #recover(session) {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      if (session !== this.#session || this.#timer === null) return;
      try { await this.reopen(); break; } catch (error) { this.#tell("lost", `${error.message}; trying again`); }
    }
    this.#restart();
    this.#tell();
  }

  /** Connect again after an error. Overridden where there is something to connect to. */
  async reopen() {}
}

async function recordings(info) {
  let found;
  try {
    const answer = await fetch(new URL("recordings.json", document.baseURI));
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    found = await answer.json();
  } catch (error) {
    throw new Error(`recordings.json beside this page cannot be read (${error.message}): put recordings there, as docs/live.md says`);
  }
  const own = (found.channels ?? info.channels).join(", ");
  if (own !== info.channels.join(", ")) throw new Error(`recordings.json has the channels ${own}; the model reads ${info.channels.join(", ")}`);
  const { window } = info;
  const whole = (found.recordings ?? []).map((one) => ({
    person: String(one.person ?? ""),
    label: typeof one.label === "string" ? info.classes.indexOf(one.label) : one.label ?? null,
    x: window ? one.x.slice(0, one.x.length - (one.x.length % window)) : one.x,
  })).filter((one) => one.x.length > 0);
  if (!whole.length) throw new Error(`recordings.json has no recording as long as a window of ${window} samples: record longer ones`);
  return { ...found, recordings: whole };
}
