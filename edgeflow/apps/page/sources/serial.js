/* A board at a USB port, by Web Serial: Chromium on a desktop. */

import { BoardReplay } from "../board.js";

const BAUD = 115200;

export class SerialSource extends BoardReplay {
  gesture = "Choose the board's port";
  #port = null;
  #transport = null;

  async connect() {
    if (!("serial" in navigator)) throw new Error(isSecureContext ? "this browser has no Web Serial: use Chrome or Edge on a computer, or “edgeflow live BUILD --port …”" : "Web Serial works on pages of https:// or localhost only");
    if (this.#port === null) {
      try {
        this.#port = await navigator.serial.requestPort();
      } catch {
        throw new Error("no port was chosen: connect the board, press the button and choose its port");
      }
    }
    await this.#close();
    try {
      await this.#port.open({ baudRate: Number(new URLSearchParams(location.search).get("baud")) || BAUD });
    } catch (error) {
      throw new Error(`the port cannot be opened (${error.message}): close other programs that have it open, or connect the board again`);
    }
    return (this.#transport = new SerialTransport(this.#port));
  }

  async #close() {
    await this.#transport?.close();
    this.#transport = null;
    try { await this.#port.close(); } catch { /* was not open */ }
  }

  async close() { await super.close(); await this.#close(); }
}

class SerialTransport {
  onbytes = () => {};
  onlost = () => {};

  constructor(port) {
    this.reader = port.readable.getReader();
    this.writer = port.writable.getWriter();
    this.#read();
  }

  async #read() {
    try {
      for (;;) {
        const { value, done } = await this.reader.read();
        if (done) return;
        this.onbytes(value);
      }
    } catch (error) {
      this.onlost(new Error(`the port went away (${error.message}): connect the board again`));
    }
  }

  write(bytes) { return this.writer.write(bytes); }

  async close() {
    await this.reader.cancel().catch(() => {});
    this.reader.releaseLock();
    this.writer.releaseLock();
  }
}
