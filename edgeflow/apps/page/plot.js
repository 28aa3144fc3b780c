/* The waveform: a lane per unit, a ribbon of decisions below, time from left to right. */

const RIBBON = 34; // CSS pixels
const AXIS = 20;
const GAP = 10;
const LEFT = 46;
const KEPT = 1 << 15; // samples; a power of two

export class Plot {
  /** @param canvas element  @param info what Source.open() gave */
  constructor(canvas, info) {
    this.canvas = canvas;
    this.info = info;
    this.lanes = lanesOf(info);
    this.values = info.channels.map(() => new Float32Array(KEPT));
    this.starts = new Uint8Array(KEPT); // 1: first sample of a window or recording
    this.marks = [];
    this.end = 0; // samples so far
    this.first = 0;
    this.seconds = 10;
    this.ranges = this.lanes.map(() => 0);
    this.theme();
    new ResizeObserver(() => this.#size()).observe(canvas);
  }

  /** Read the colours again, after those of the page have changed. */
  theme() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    this.colours = [0, 1, 2, 3, 4, 5].map((i) => of(`--channel-${i}`));
    this.ink = { text: of("--ink"), soft: of("--soft"), line: of("--line"), good: of("--good"), bad: of("--bad"), fill: of("--fill"), font: of("--font") };
    this.dirty = true;
  }

  clear() {
    this.end = this.first = 0;
    this.marks = [];
    this.dirty = true;
  }

  /** Add a batch and the decisions in it. */
  take(steps, decisions) {
    if (steps.first !== this.end) { this.clear(); this.first = this.end = steps.first; }
    steps.x.forEach((sample, i) => {
      const at = (this.end + i) % KEPT;
      this.starts[at] = steps.position[i] === 0 ? 1 : 0;
      sample.forEach((value, c) => { this.values[c][at] = value ?? NaN; });
    });
    this.end += steps.x.length;
    for (const one of decisions) {
      const before = this.marks.at(-1);
      if (!this.info.window && before && same(before, one) && before.at === one.at - 1) before.at = one.at;
      else this.marks.push({ ...one, from: this.info.window ? one.at - one.of + 1 : one.at });
    }
    const oldest = this.end - KEPT;
    while (this.marks.length && this.marks[0].at < oldest) this.marks.shift();
    this.dirty = true;
  }

  /** Draw what has changed; called once per frame of the screen. */
  draw() {
    if (!this.dirty || !this.width) return;
    this.dirty = false;
    const { context: g, width, height, ink } = this;
    g.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    const shown = Math.min(Math.round(this.seconds * this.info.rate_hz), KEPT);
    const from = this.end - shown;
    const x = (i) => LEFT + ((i - from) / shown) * (width - LEFT - 4);
    const ribbon = this.info.classes.length ? RIBBON : 0;
    const lane = (height - ribbon - AXIS - GAP * this.lanes.length) / this.lanes.length;
    g.font = `12px ${ink.font}`;
    this.lanes.forEach((one, k) => this.#lane(g, one, k, k * (lane + GAP), lane, x, Math.max(from, this.first, this.end - KEPT)));
    if (ribbon) this.#ribbon(g, x, from, height - ribbon - AXIS);
    this.#axis(g, x, from, height);
  }

  #lane(g, lane, k, top, height, x, from) {
    let most = 0;
    for (const c of lane.channels) for (let i = from; i < this.end; i++) most = Math.max(most, Math.abs(this.values[c][i % KEPT]) || 0);
    // grows at once and shrinks slowly, so that the scale is calm
    const wanted = nice(most * 1.05);
    this.ranges[k] = wanted > this.ranges[k] ? wanted : this.ranges[k] * 0.9 > wanted ? this.ranges[k] * 0.9 : this.ranges[k];
    const range = nice(this.ranges[k]);
    const y = (v) => top + height / 2 - (v / range) * (height / 2 - 4);
    g.lineWidth = 1;
    g.strokeStyle = this.ink.line;
    for (const v of [-range, 0, range]) line(g, LEFT, y(v), this.width - 4, y(v));
    g.fillStyle = this.ink.soft;
    g.textAlign = "right";
    g.textBaseline = "middle";
    for (const v of [-range, 0, range]) g.fillText(short(v), LEFT - 8, Math.min(Math.max(y(v), top + 7), top + height - 5));
    if (lane.unit && height > 60) g.fillText(lane.unit, LEFT - 8, top + 22);
    g.lineWidth = 1.6;
    g.lineJoin = "round";
    const stride = Math.max(1, Math.floor((this.end - from) / (this.width * 1.5)));
    lane.channels.forEach((c, n) => {
      g.strokeStyle = this.colours[n % this.colours.length];
      g.setLineDash(n < this.colours.length ? [] : [4, 3]);
      g.beginPath();
      let pen = false;
      for (let i = from - (from % stride) + (from % stride ? stride : 0); i < this.end; i += stride) {
        const v = this.values[c][i % KEPT];
        if (Number.isNaN(v)) pen = false;
        else if (pen) g.lineTo(x(i), y(v));
        else { g.moveTo(x(i), y(v)); pen = true; }
      }
      g.stroke();
    });
    g.setLineDash([]);
  }

  #ribbon(g, x, from, top) {
    const { labels } = this.info;
    g.textBaseline = "middle";
    g.textAlign = "center";
    for (const mark of this.marks) {
      if (mark.at < from) continue;
      const left = Math.max(x(mark.from), LEFT);
      const right = x(mark.at + 1);
      const colour = mark.right === null ? this.ink.soft : mark.right ? this.ink.good : this.ink.bad;
      g.fillStyle = this.ink.fill;
      g.fillRect(left, top, Math.max(right - left - 2, 1), RIBBON);
      g.fillStyle = colour;
      g.fillRect(left, top, Math.max(right - left - 2, 1), 3);
      const point = x(mark.from + mark.after);
      if (mark.early && point > LEFT) { g.strokeStyle = colour; g.lineWidth = 1; g.setLineDash([3, 3]); line(g, point, 0, point, top - 4); g.setLineDash([]); }
      const sign = mark.right === null ? "" : mark.right ? "✓ " : "✗ ";
      const name = sign + labels[mark.decision];
      const room = right - left - 8;
      g.fillStyle = this.ink.text;
      if (g.measureText(name).width <= room) g.fillText(name, (left + right) / 2 - 1, top + (mark.early ? 12 : 19));
      else if (sign && room > 8) g.fillText(sign.trim(), (left + right) / 2 - 1, top + 19);
      const note = `after ${mark.after}`;
      g.fillStyle = this.ink.soft;
      if (mark.early && g.measureText(note).width <= room) g.fillText(note, (left + right) / 2 - 1, top + 26);
    }
  }

  #axis(g, x, from, height) {
    const rate = this.info.rate_hz;
    const step = [1, 2, 5, 10, 20, 50, 100].find((s) => this.seconds / s <= 8) ?? 200;
    g.fillStyle = this.ink.soft;
    g.textAlign = "center";
    g.textBaseline = "alphabetic";
    for (let s = Math.ceil(Math.max(from, 0) / rate / step) * step; s * rate <= this.end; s += step) {
      const at = x(s * rate);
      if (at > LEFT + 8 && at < this.width - 14) g.fillText(`${s} s`, at, height - 4);
    }
  }

  #size() {
    const { canvas } = this;
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    const [width, height] = [this.width, this.height].map((size) => Math.round(size * this.ratio));
    if (this.context && canvas.width === width && canvas.height === height) return;
    canvas.width = width;
    canvas.height = height;
    this.context = canvas.getContext("2d");
    this.dirty = true;
    this.draw(); // at once: a new size has cleared the picture
  }
}

/** Channels of one unit share a lane; names such as acc_x and gyr_x keep apart what has no unit. */
export function lanesOf(info) {
  const lanes = new Map();
  info.channels.forEach((name, c) => {
    const unit = info.units[c] ?? "";
    const key = unit || name.replace(/[_ .-]?[xyz]$/i, "");
    if (!lanes.has(key)) lanes.set(key, { unit, channels: [] });
    lanes.get(key).channels.push(c);
  });
  return [...lanes.values()].slice(0, 8);
}

const same = (a, b) => a.decision === b.decision && a.right === b.right;

function line(g, x0, y0, x1, y1) {
  g.beginPath();
  g.moveTo(x0, Math.round(y0) + 0.5 * (y0 === y1));
  g.lineTo(x1, Math.round(y1) + 0.5 * (y0 === y1));
  g.stroke();
}

function nice(v) {
  if (!(v > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(v));
  return [1, 1.5, 2, 3, 5, 7.5, 10].find((s) => s * power >= v * 0.999) * power;
}

const short = (v) => String(Number(v.toPrecision(2)));
