/* Recordings stepped by a board that the browser reaches itself; WebAssembly checks each output. */

import { FrameClient } from "./frames.js";
import { Replay } from "./local.js";

const NANOSECONDS = 1e9;

export class BoardReplay extends Replay {
  #client = null;

  /** Return an open transport for FrameClient. Overridden. */
  async connect() { throw new Error("nothing to connect to"); }

  async prepare() {
    await this.reopen();
    const { hello } = this.#client, costs = hello.cyclesHz === 0 ? "this board has no counter of cycles" : hello.cyclesHz === NANOSECONDS ? "time measured by the clock of the board's system" : "cycles measured by the board";
    return { name: hello.board, description: `${hello.board} by EdgeFlow ${hello.version}`, costs, checked: true };
  }

  async reopen() {
    const client = new FrameClient(await this.connect());
    const hello = await client.open(), { hash } = this.model.info;
    if (hello.model !== hash) throw new Error(`the board runs another model (${hello.model}) than this page (${hash}): write the build of this one to it with “edgeflow flash”`);
    if (this.labels.some((n) => n > 0)) await client.loadLearned(this.model.saveLearned());
    else if (this.model.info.learns) await client.forget(); // whatever it kept in its flash
    this.#client = client;
  }

  async teach(number) {
    if (number === null) await this.#client.forget();
    else await this.#client.learn(number);
    await super.teach(number);
  }

  async steps(samples, reset) {
    const { y, cycles } = await this.#client.steps(samples.map((x) => this.model.quantize(x)), reset);
    if (reset) this.model.reset();
    const held = samples.map((x, n) => {
      if (this.model.step(x).some((v, o) => v !== y[n][o])) this.mismatches += 1;
      return Boolean(this.model.decided);
    });
    return { y, cycles, held };
  }

  async close() { super.close(); await this.#client?.close(); }

  price(cycles) {
    const hz = this.#client.hello.cyclesHz, us = cycles.map((c) => (1e6 * c) / hz);
    return { us, uj: null, cycles: hz === NANOSECONDS ? null : cycles };
  }
}
