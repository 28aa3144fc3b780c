/* What the page shows in words, bars and tables. */

import { softmax } from "./tally.js";

const $ = (id) => document.getElementById(id);

export class View {
  /** @param info what Source.open() gave */
  constructor(info) {
    this.info = info;
    this.classes = info.classes.length > 0;
    this.announced = null;
    this.reach = new Map(); // largest of the values of a unit
    this.#facts();
    this.#bars();
    this.#tiles();
    this.#drift();
    this.#matrix();
    $("legend").replaceChildren(...legendOf(info));
    $("wave-note").textContent = `${info.channels.length} channels at ${number(info.rate_hz)} Hz`;
  }

  // ---- built once

  #facts() {
    const { info } = this;
    const facts = [["runs on", info.board.name], ["model", info.model.slice(0, 8)], ["data", info.data]];
    $("facts").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
    $("facts").firstChild.title = info.board.description;
    $("costs-note").textContent = sentence(info.board.costs);
    $("decision-title").textContent = this.classes ? "Decision" : "Outputs";
    $("bars-title").textContent = this.classes ? "Confidence now" : "Now";
    $("decision").hidden = !this.classes && info.outputs > 1; // the bars have it
    this.scored = this.classes && info.labelled;
    $("matrix").closest("section").hidden = !this.scored;
    document.body.classList.toggle("values", !this.classes);
    document.body.classList.toggle("alone", !this.scored);
    document.title = `${info.board.name} · EdgeFlow live`;
  }

  #bars() {
    const { info } = this;
    const names = this.classes ? info.classes : Array.from({ length: info.outputs }, (_, i) => info.output_names[i] ?? `output ${i + 1}`);
    this.bars = names.map((name, i) => {
      const fill = el("i"), mark = el("s", { hidden: "" }), text = el("b", {}, "");
      const track = el("span", { class: this.classes ? "track" : "track two", "aria-hidden": "true" }, fill, mark);
      const unit = this.classes || !info.output_units[i] ? "" : ` [${info.output_units[i]}]`;
      const row = el("li", {}, el("span", { class: "name", title: name + unit }, name), track, text);
      return { row, fill, mark, text };
    });
    $("bars").replaceChildren(...this.bars.map((bar) => bar.row));
  }

  #tiles() {
    const titles = {
      instructions: "instructions per step", uj: "energy per step", us: "time of a step",
      late: "behind schedule", equal: "equal to the reference", steps: "steps",
    };
    this.tiles = {};
    $("tiles").replaceChildren(...Object.entries(titles).map(([key, title]) => {
      const value = el("dd", {}, "–"), note = el("dd", { class: "soft" }, "");
      this.tiles[key] = { value, note };
      return el("div", {}, el("dt", {}, title), value, note);
    }));
  }

  #drift() {
    const head = ["channel", "training mean", "mean now", "shift", "gain"];
    const table = el("table", {}, el("caption", { class: "unseen" }, "Mean and gain of each input against the training subjects"),
      el("thead", {}, el("tr", {}, ...head.map((h, i) => el("th", { scope: "col", class: i === 1 ? "wide" : "" }, h)))));
    this.drift = this.info.channels.map((name, c) => {
      const cells = [0, 1, 2, 3].map((i) => el("td", { class: i ? "" : "wide" }, "–"));
      const unit = this.info.units[c] ? el("small", {}, ` ${this.info.units[c]}`) : "";
      return { cells, row: el("tr", {}, el("th", { scope: "row" }, name, unit), ...cells) };
    });
    table.append(el("tbody", {}, ...this.drift.map((one) => one.row)));
    $("drift").replaceChildren(table);
  }

  #matrix() {
    if (!this.scored) return;
    const { classes } = this.info;
    const table = el("table", { class: "grid" }, el("caption", { class: "unseen" }, "Rows are what was performed, columns what the model decided"),
      el("thead", {}, el("tr", {}, el("td", { class: "corner" }, "performed ↓ decided →"), ...classes.map((c) => el("th", { scope: "col", title: c }, c)), el("th", { scope: "col" }, "right"))));
    this.cells = classes.map((name) => {
      const cells = classes.map(() => el("td", {}, "")), share = el("td", { class: "share" }, "");
      return { cells, share, row: el("tr", {}, el("th", { scope: "row", title: name }, name), ...cells, share) };
    });
    table.append(el("tbody", {}, ...this.cells.map((one) => one.row)));
    $("matrix").replaceChildren(table);
  }

  /** Offer a button for each class, of a model that learns; `ask` takes wishes of Source.set(). */
  teach(ask) {
    $("teach").hidden = !this.info.learns;
    if (!this.info.learns) return;
    $("that-was").replaceChildren(...this.info.classes.map((name, k) => {
      const button = el("button", { type: "button", "aria-label": `That was ${name}` }, name);
      button.onclick = () => ask({ learn: k });
      return button;
    }));
    $("forget").onclick = () => ask({ forget: true });
    this.taught([]);
  }

  /** Tell how many labels of each class were learned. */
  taught(labels) {
    if (!this.info.learns || labels === undefined) return;
    const known = labels.map((n, k) => (n ? `${n} ${this.info.classes[k]}` : "")).filter(Boolean);
    set($("taught"), known.length ? `learned: ${known.join(", ")}` : "nothing learned yet");
    $("forget").disabled = known.length === 0;
  }

  // ---- with each frame of the screen

  /** Show the outputs of the last step. */
  now(steps) {
    const { info } = this, i = steps.y.length - 1;
    if (this.classes) {
      const shares = softmax(steps.y[i], info.output_scale);
      this.bars.forEach((bar, k) => {
        const top = k === steps.decision[i];
        const share = top ? steps.confidence[i] : shares[k];
        bar.fill.style.transform = `scaleX(${share.toFixed(4)})`;
        set(bar.text, `${Math.round(100 * share)} %`);
        bar.row.classList.toggle("top", top);
      });
    } else {
      const values = [steps.decision[i]].flat(), truths = [steps.truth[i] ?? []].flat();
      this.bars.forEach((bar, k) => {
        const unit = info.output_units[k] ?? "", truth = truths[k] ?? null;
        // values of one unit share an axis
        const reach = Math.max((this.reach.get(unit) ?? 0) * 0.9995, Math.abs(values[k]), Math.abs(truth ?? 0), 1e-9);
        this.reach.set(unit, reach);
        bar.fill.style.transform = `scaleX(${(values[k] / reach).toFixed(4)})`;
        bar.mark.hidden = truth === null;
        if (truth !== null) bar.mark.style.left = `${(50 + 49 * truth / reach).toFixed(2)}%`;
        set(bar.text, unit ? `${number(values[k])} ${unit}` : number(values[k]));
      });
    }
    set($("bars-note"), info.window ? `sample ${steps.position[i] + 1} of ${steps.length[i]}` : "");
  }

  /** Show the last decision. */
  decision(made) {
    const { info } = this;
    if (!made) {
      set($("decision"), "waiting");
      set($("truth"), info.window ? `the first decision comes after ${info.window} samples` : "");
      set($("after"), "");
      return;
    }
    const name = this.classes ? info.classes[made.decision] : `${number([made.decision].flat()[0])} ${info.output_units[0] ?? ""}`.trim();
    const truth = truthOf(made, info);
    const marks = !this.classes && info.outputs > 1 && truth !== null;
    set($("decision"), name);
    $("truth").dataset.right = made.right === null ? "" : String(made.right);
    set($("truth"), truth === null ? "" : marks ? "the thin marks are what was recorded" : made.right === null ? `recorded: ${truth}` : made.right ? `✓ right: ${truth} was performed` : `✗ wrong: ${truth} was performed`);
    set($("after"), info.window ? `after ${made.after} of ${made.of} samples` : "");
  }

  /** Tell a screen reader, and the picture's alternative, once a decision has changed. */
  announce(made) {
    if (!made || !this.classes) return;
    const name = this.info.classes[made.decision];
    if (name !== this.announced) set($("announce"), `Decision: ${name}`);
    this.announced = name;
    const rightness = made.right === null ? "" : made.right ? ", which is right" : `, wrong: ${truthOf(made, this.info)} was performed`;
    $("plot").setAttribute("aria-label", `Signal of ${this.info.channels.length} channels over the last seconds. Last decision: ${name}${rightness}.`);
  }

  // ---- a few times a second

  figures(tally, late, pace) {
    const { cost } = tally, { tiles } = this;
    tile(tiles.instructions, count(cost.instructions.value), cost.instructions.last === null ? "not counted" : `last ${count(cost.instructions.last)}`);
    tile(tiles.uj, unit(cost.uj.value, "µJ"), cost.uj.value === null ? "not known" : "estimated");
    tile(tiles.us, unit(cost.us.value, "µs"), cost.cycles.value === null ? (cost.us.value === null ? "not known" : "measured") : `${count(cost.cycles.value)} cycles`);
    tile(tiles.late, late === null ? "–" : unit(Math.round(10 * late) / 10, "ms"), pace === null ? "" : `${number(pace)}× of real time`);
    if (this.info.board.checked) tile(tiles.equal, tally.mismatches ? count(tally.mismatches) : tally.steps ? "all" : "–", tally.mismatches ? "steps differ" : "outputs, bit for bit");
    else tile(tiles.equal, this.info.board.name === "reference" ? "itself" : "–", "no board runs");
    tiles.equal.value.classList.toggle("bad", tally.mismatches > 0);
    tile(tiles.steps, count(tally.steps), tally.missed ? `${count(tally.missed)} not shown` : this.info.early_exit && tally.afters.n ? `${number(tally.afters.value)} samples per decision` : "since the start");
  }

  tables(tally) {
    tally.drift().forEach((d, c) => {
      const [trained, now, shift, gain] = this.drift[c].cells;
      set(trained, d.trained === null ? "–" : number(d.trained));
      set(now, tally.samples ? number(d.mean) : "–");
      const known = d.shift !== null && tally.samples > this.info.rate_hz;
      set(shift, known ? `${signed(d.shift)} σ` : "–");
      set(gain, known ? `${d.gain.toFixed(2)}×` : "–");
      flag(shift, known && Math.abs(d.shift) > 1);
      flag(gain, known && (d.gain > 1.5 || d.gain < 1 / 1.5));
    });
    if (!this.scored) return;
    set($("matrix-note"), tally.counted ? `${(100 * tally.right / tally.counted).toFixed(1)} % of ${count(tally.counted)} right` : "no decision yet");
    this.cells.forEach(({ cells, share }, t) => {
      const row = tally.confusion[t], total = row.reduce((a, b) => a + b, 0);
      cells.forEach((cell, d) => {
        set(cell, row[d] ? count(row[d]) : "");
        cell.style.setProperty("--share", total ? (row[d] / total).toFixed(3) : 0);
        cell.className = !row[d] ? "" : (t === d ? "hit" : "miss") + (row[d] / total > 0.55 ? " full" : "");
      });
      set(share, total ? `${Math.round(100 * row[t] / total)} %` : "");
    });
  }
}

function truthOf(made, info) {
  if (made.truth === null || made.truth === undefined) return null;
  return Number.isInteger(made.truth) ? info.labels[made.truth] ?? String(made.truth) : [made.truth].flat().map(number).join("  ");
}

function legendOf(info) {
  const seen = new Map();
  return info.channels.map((name, c) => {
    const key = info.units[c] || name.replace(/[_ .-]?[xyz]$/i, "");
    const n = seen.get(key) ?? 0;
    seen.set(key, n + 1);
    return el("li", {}, el("i", { style: `background: var(--channel-${n % 6})`, "aria-hidden": "true" }), name);
  });
}

function tile({ value, note }, text, more) { set(value, text); set(note, more); }
function flag(cell, on) { cell.classList.toggle("flag", on); cell.title = on ? "far from the training subjects" : ""; }
function set(node, text) { if (node.textContent !== text) node.textContent = text; }
function signed(v) {
  const size = Math.abs(v).toFixed(2);
  return Number(size) === 0 ? size : (v < 0 ? "−" : "+") + size;
}
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");
const count = (v) => (v === null ? "–" : Math.round(v).toLocaleString("en"));
const unit = (v, name) => (v === null ? "–" : `${number(v)} ${name}`);

/** Three digits, without an exponent where that is short. */
export function number(v) {
  if (v === null || !Number.isFinite(v)) return "–";
  const size = Math.abs(v);
  const text = size >= 1000 ? Math.round(v).toLocaleString("en") : size >= 1e-3 || v === 0 ? String(Number(v.toPrecision(3))) : v.toExponential(1);
  return text.replace("-", "−");
}

/** Make an element; `style` is set property by property, as the page's policy allows. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "style") node.style.cssText = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}
