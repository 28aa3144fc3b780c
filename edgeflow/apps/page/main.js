/* The live page: a source, what its steps add up to, and what is shown of it. */

import { choices, makeSource } from "./source.js";
import { Tally } from "./tally.js";
import { Plot } from "./plot.js";
import { View, el } from "./view.js";
import { startTheme } from "./theme.js";

const $ = (id) => document.getElementById(id);
const FIGURES = 250, TABLES = 500; // ms between
const LATENCY = 0.9; // of the running mean

let plot = null;
startTheme($("theme"), () => plot?.theme());

/** Offer the sources of a page without a server, as links. */
function offer() {
  const node = $("sources"), found = choices();
  node.hidden = found.length === 0;
  node.replaceChildren(...found.map(({ kind, text, chosen }) => el("a", { href: `?source=${kind}`, ...(chosen ? { "aria-current": "page" } : {}) }, text)), el("a", { href: "record.html" }, "Record"));
}

async function start() {
  let source;
  try {
    source = await makeSource();
    if (source.gesture) await gesture(source.gesture);
    status("waiting", "connecting");
    source.onstate = (state) => { if (state.state === "lost") lost(state.text); };
    run(source, await source.open());
  } catch (error) {
    status("lost", "not started");
    alert_(error.message);
    if (source?.gesture) start();
  }
}

/** Wait for a press of the button that the browser wants before it opens a device. */
function gesture(text) {
  const button = $("begin");
  button.textContent = text;
  button.hidden = false;
  return new Promise((resolve) => button.addEventListener("click", () => { button.hidden = true; alert_(""); resolve(); }, { once: true }));
}

function run(source, info) {
  const tally = new Tally(info), view = new View(info);
  plot = new Plot($("plot"), info);
  let latest = null, late = null, base = null, heard = 0, fresh = false, figuresAt = 0, tablesAt = 0, session = null;
  let frames = 0, lateFrames = 0, paceFrom = null, pace = null;
  alert_("");
  controls(source, info);
  view.teach((wish) => source.set(wish));
  view.decision(null);

  source.onstep = (steps) => {
    const now = performance.now();
    // clocks differ: late is what is later than the quickest message was
    if (steps.sent_ms !== undefined) {
      const offset = now - steps.sent_ms;
      // and drift apart, by less than 100 ppm
      base = base === null ? offset : Math.min(base + 1e-4 * (now - heard), offset);
      heard = now;
      const total = steps.late_ms + offset - base;
      late = late === null ? total : LATENCY * late + (1 - LATENCY) * total;
      frames += 1;
      if (total > 100) lateFrames += 1;
    }
    if (steps.first === 0 || paceFrom === null) paceFrom = { now, steps: steps.first };
    else if (now - paceFrom.now > 1000) {
      pace = (1000 * (steps.first - paceFrom.steps)) / (now - paceFrom.now) / info.rate_hz;
      paceFrom = { now, steps: steps.first };
    }
    const made = tally.take(steps);
    plot.take(steps, made);
    latest = steps;
    fresh = true;
  };

  source.onstate = (state) => {
    if (state.state === "lost") { lost(state.text); return; }
    if (state.state === "refused") { alert_(state.text); return; }
    alert_(state.state === "ended" ? state.text : "");
    status(state.state, state.state === "running" ? "running" : state.state);
    if (state.session !== undefined && state.session !== session) {
      session = state.session;
      tally.clear(); plot.clear(); view.decision(null); view.announced = null;
      tablesAt = 0;
      paceFrom = pace = null;
    }
    shown(state, info);
    view.taught(state.labels);
    if (state.speed) { plot.seconds = 10 * Math.sqrt(state.speed); plot.dirty = true; }
    paceFrom = pace = null;
  };

  const frame = (now) => {
    plot.draw();
    if (fresh) {
      fresh = false;
      view.now(latest);
      view.decision(tally.last);
      view.announce(tally.last);
      if (now - figuresAt > FIGURES) { figuresAt = now; view.figures(tally, late, pace); }
      if (now - tablesAt > TABLES) { tablesAt = now; view.tables(tally); }
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  addEventListener("pagehide", () => source.close());
  // for tests and the curious
  window.edgeflow = { source, tally, info, get frames() { return { all: frames, late: lateFrames }; } };
}

function controls(source, info) {
  const person = $("person"), speed = $("speed"), pause = $("pause"), restart = $("restart");
  const seen = (one) => (info.unseen.includes(one) ? "" : " (not a test subject)");
  person.replaceChildren(...info.people.map((one) => new Option(one + seen(one), one, false, one === info.person)));
  [speed.min, speed.max] = info.speeds;
  const fixed = info.speeds[0] === info.speeds[1];
  for (const node of [person, speed, pause, restart]) node.disabled = false;
  person.disabled = info.people.length < 2;
  speed.disabled = fixed;
  $("controls").onsubmit = (event) => event.preventDefault();
  person.onchange = () => source.set({ person: person.value });
  speed.oninput = () => { $("speed-text").textContent = `${speed.value}×`; };
  speed.onchange = () => source.set({ speed: Number(speed.value) });
  pause.onclick = () => source.set({ paused: pause.getAttribute("aria-pressed") !== "true" });
  restart.onclick = () => source.set({ restart: true });
}

/** Set the controls to what the source says. */
function shown(state) {
  if (state.person !== undefined) $("person").value = state.person;
  if (state.speed !== undefined && document.activeElement !== $("speed")) $("speed").value = state.speed;
  if (state.speed !== undefined) $("speed-text").textContent = `${state.speed}×`;
  if (state.paused !== undefined) {
    $("pause").setAttribute("aria-pressed", String(state.paused));
    $("pause").textContent = state.paused ? "Go on" : "Pause";
  }
}

function lost(text) {
  status("lost", "no answer");
  alert_(text);
}

function status(state, text) {
  const node = $("status");
  if (node.dataset.state === state && node.textContent === text) return;
  node.dataset.state = state;
  node.firstElementChild.textContent = text;
}

function alert_(text) {
  const node = $("alert");
  if (node.textContent !== text) node.textContent = text;
  node.hidden = text === "";
}

offer();
start();
