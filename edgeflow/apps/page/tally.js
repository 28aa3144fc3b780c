/* What the steps of a session add up to: confusion matrix, drift, costs. No DOM here. */

export class Tally {
  /** @param info what Source.open() gave */
  constructor(info) {
    this.info = info;
    this.classes = info.classes;
    this.clear();
  }

  clear() {
    const { classes, channels } = this.info;
    this.steps = 0;
    this.missed = 0;
    this.mismatches = 0;
    this.confusion = classes.map(() => new Float64Array(classes.length));
    this.counted = 0;
    this.right = 0;
    this.mean = new Float64Array(channels.length);
    this.square = new Float64Array(channels.length); // sum of squared deviations (Welford)
    this.samples = 0;
    this.last = null; // the last decision: {decision, truth, right, after, of, early}
    this.early = 0; // samples after which an early exit decided in this window
    this.cost = { instructions: mean(), cycles: mean(), uj: mean(), us: mean() };
    this.afters = mean();
  }

  /** Take a batch; return the decisions that fell in it, [{at, decision, truth, right, after, of, early}]. */
  take(steps) {
    if (steps.first < this.steps || steps.first === 0) this.clear();
    this.missed += steps.first - this.steps;
    const n = steps.y.length;
    this.steps = steps.first + n;
    this.mismatches = steps.mismatches;
    const found = [];
    for (let i = 0; i < n; i++) {
      this.#drift(steps.x[i]);
      const made = this.#decide(steps, i);
      if (made) found.push(made);
    }
    for (const [name, cost] of Object.entries(this.cost)) {
      for (const value of steps[name] ?? []) if (value !== null) cost.add(value);
    }
    if (found.length) this.last = found.at(-1);
    return found;
  }

  #decide(steps, i) {
    const { window, warmup, hop = 1 } = this.info;
    const position = steps.position[i];
    if (position === 0) this.early = 0;
    if (steps.held[i] && this.early === 0) this.early = position + 1;
    const last = position === steps.length[i] - 1;
    if (window ? !last : position < warmup || (position - warmup) % hop) return null;
    const decision = steps.decision[i];
    const truth = steps.truth[i];
    const after = this.early || position + 1;
    const made = { at: steps.first + i, decision, truth, right: null, after, of: steps.length[i], early: this.early > 0 };
    if (this.classes.length && Number.isInteger(truth)) {
      made.right = decision === truth;
      this.confusion[truth][decision] += 1;
      this.counted += 1;
      this.right += made.right ? 1 : 0;
    }
    if (window) this.afters.add(after);
    return made;
  }

  #drift(x) {
    this.samples += 1;
    for (let c = 0; c < x.length; c++) {
      if (x[c] === null) continue;
      const away = x[c] - this.mean[c];
      this.mean[c] += away / this.samples;
      this.square[c] += away * (x[c] - this.mean[c]);
    }
  }

  /** Shift in standard deviations of the training data, and gain, of each channel; null: not known. */
  drift() {
    const training = this.info.training;
    return this.info.channels.map((name, c) => {
      const std = Math.sqrt(this.square[c] / Math.max(this.samples, 1));
      const known = training !== null && training.std[c] > 0;
      return {
        name,
        unit: this.info.units[c] ?? "",
        mean: this.mean[c],
        trained: training?.mean[c] ?? null,
        shift: known ? (this.mean[c] - training.mean[c]) / training.std[c] : null,
        gain: known ? std / training.std[c] : null,
      };
    });
  }
}

function mean() {
  return {
    n: 0, sum: 0, last: null,
    add(value) { this.n += 1; this.sum += value; this.last = value; },
    get value() { return this.n ? this.sum / this.n : null; },
  };
}

/** Softmax of outputs, which times `scale` are logits. */
export function softmax(y, scale) {
  const top = Math.max(...y);
  const powers = y.map((v) => Math.exp((v - top) * scale));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / total);
}
