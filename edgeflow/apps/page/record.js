/* Labelled recordings of a phone's motion sensors, as the CSV that “edgeflow train --data” reads. */

import { MotionSensors, Resampler, readers } from "./sources/motion.js";
import { startTheme } from "./theme.js";
import { el } from "./view.js";

const CHANNELS = ["acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"];
const UNITS = ["g", "g", "g", "rad/s", "rad/s", "rad/s"];
const DIGITS = 6;

const $ = (id) => document.getElementById(id);
const kept = []; // {person, label, rate, x}
let current = null, resampler = null, sensors = null;

startTheme($("theme"), () => {});

/** Return all recordings as a table of text. */
export function csv(recordings, rate) {
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [`# rate_hz: ${rate}`, `# units: ${UNITS.join(", ")}`, ["person", "recording", "label", ...CHANNELS].join(",")];
  recordings.forEach(({ person, label, x }, number) => {
    const head = [person, number, label].map((one) => quoted(String(one))).join(",");
    for (const sample of x) lines.push(`${head},${sample.map((v) => Number(v.toPrecision(DIGITS))).join(",")}`);
  });
  return `${lines.join("\n")}\n`;
}

$("about").onsubmit = async (event) => {
  event.preventDefault();
  say("");
  const names = $("labels").value.split(",").map((one) => one.trim()).filter(Boolean);
  if (new Set(names).size !== names.length || names.length === 0) { say("labels are names that differ, separated by commas: rest, walk"); return; }
  try {
    sensors ??= await MotionSensors.open(take, readers(CHANNELS, UNITS));
  } catch (error) {
    say(error.message);
    return;
  }
  status("running", "ready");
  $("begin").textContent = "Set";
  $("rate").disabled = kept.length > 0;
  resampler = new Resampler(Number($("rate").value));
  $("buttons").replaceChildren(...names.map((name) => {
    const button = el("button", { type: "button", "aria-pressed": "false" }, name);
    button.onclick = () => (current?.button === button ? stop() : begin(name, button));
    return button;
  }));
};

function begin(label, button) {
  stop();
  resampler.clear();
  current = { person: $("person").value.trim() || "p1", label, button, x: [] };
  button.setAttribute("aria-pressed", "true");
  status("lost", `recording ${label}`);
}

/** End what is recorded; a gap of the sensors ends it too, and begins the next. */
function stop() {
  if (current === null) return;
  const { button, ...recording } = current;
  current = null;
  button.setAttribute("aria-pressed", "false");
  if (recording.x.length) kept.push(recording);
  status("running", "ready");
  show();
}

function take(at, sample) {
  if (current === null || !sample.every(Number.isFinite)) return;
  const { samples, gap } = resampler.take(at, sample);
  if (gap && current.x.length) {
    const { label, button } = current;
    stop();
    begin(label, button);
  }
  current.x.push(...samples);
}

function show() {
  const rate = Number($("rate").value), sums = new Map();
  for (const one of kept) {
    const key = JSON.stringify([one.person, one.label]), [n, seconds] = sums.get(key) ?? [0, 0];
    sums.set(key, [n + 1, seconds + one.x.length / rate]);
  }
  const head = ["subject", "label", "recordings", "seconds"];
  const rows = [...sums].map(([key, [n, seconds]]) => el("tr", {}, ...JSON.parse(key).map((one) => el("th", { scope: "row" }, one)), el("td", {}, String(n)), el("td", {}, seconds.toFixed(1))));
  $("table").replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, ...rows)));
  $("kept").textContent = kept.length ? `${kept.length} recordings` : "nothing yet";
  $("save").disabled = $("undo").disabled = kept.length === 0;
  $("rate").disabled = kept.length > 0;
}

$("begin").disabled = false; // a press before would send the form
$("undo").onclick = () => { kept.pop(); show(); };
$("save").onclick = () => {
  stop();
  const link = el("a", { download: `${kept[0].person}.csv`, href: URL.createObjectURL(new Blob([csv(kept, Number($("rate").value))], { type: "text/csv" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};
addEventListener("beforeunload", (event) => { if (kept.length) event.preventDefault(); });

function status(state, text) {
  $("status").dataset.state = state;
  $("status").firstElementChild.textContent = text;
}

function say(text) {
  $("alert").textContent = text;
  $("alert").hidden = text === "";
}

// for tests and the curious
window.edgeflow = { kept, csv: () => csv(kept, Number($("rate").value)) };
