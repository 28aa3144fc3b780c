/* The serial protocol of docs/protocol.md: frames, and a client that asks and is answered. */

const HELLO = 1, STEP = 2, BYE = 4, LEARN = 5, FORGET = 6, LOAD = 8, REPLY = 0x80, ERROR = 0xff;
const VERSION = 2;
const SYNC = Uint8Array.of(0, 10, 102, 114, 97, 109, 101, 10, 0); // "frame" as a line, from any state
const OTHER_SESSION = 5;

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});

/** CRC-32 of Ethernet and zlib. */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff];
  return (crc ^ 0xffffffff) >>> 0;
}

/** Consistent overhead byte stuffing: the same bytes without zeros. */
export function cobsEncode(bytes) {
  const out = [0];
  let at = 0, code = 1;
  bytes.forEach((byte, i) => {
    if (byte !== 0) { out.push(byte); code += 1; }
    if (byte === 0 || code === 255) {
      out[at] = code;
      code = 1;
      if (byte !== 0 && i === bytes.length - 1) { at = -1; return; }
      at = out.push(0) - 1;
    }
  });
  if (at >= 0) out[at] = code;
  return Uint8Array.from(out);
}

/** Undo it; null: damaged. */
export function cobsDecode(code) {
  const out = [];
  for (let at = 0; at < code.length;) {
    const length = code[at];
    if (length === 0 || at + length > code.length) return null;
    for (let i = 1; i < length; i++) {
      if (code[at + i] === 0) return null;
      out.push(code[at + i]);
    }
    at += length;
    if (length < 255 && at < code.length) out.push(0);
  }
  return Uint8Array.from(out);
}

/** Return the bytes of a frame, with a zero before and after. */
export function encodeFrame({ type, sequence, session = 0, body = [] }) {
  const payload = new Uint8Array(6 + body.length + 4);
  const view = new DataView(payload.buffer);
  view.setUint32(0, session, true);
  payload[4] = type;
  payload[5] = sequence;
  payload.set(body, 6);
  view.setUint32(6 + body.length, crc32(payload.subarray(0, 6 + body.length)), true);
  return Uint8Array.of(0, ...cobsEncode(payload), 0);
}

/** Return the message of a frame given without its zeros; null: damaged. */
export function decodeFrame(code) {
  const data = cobsDecode(code);
  if (data === null || data.length < 10) return null;
  const view = new DataView(data.buffer), end = data.length - 4;
  if (crc32(data.subarray(0, end)) !== view.getUint32(end, true)) return null;
  return { session: view.getUint32(0, true), type: data[4], sequence: data[5], body: data.slice(6, end) };
}

/** Return the content of a reply to HELLO. */
export function decodeHello(body) {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const hex = (from) => Array.from(body.subarray(from, from + 8), (b) => b.toString(16).padStart(2, "0")).join("");
  const texts = [];
  let at = 23;
  for (let k = 0; k < 2; k++) {
    const end = body.indexOf(0, at);
    if (end < 0) throw new Error("the board's answer is cut off: reset it, then try again");
    texts.push(new TextDecoder().decode(body.subarray(at, end)));
    at = end + 1;
  }
  if (body.length < at + 6) throw new Error("the board's answer is cut off: reset it, then try again");
  return {
    protocol: body[0], model: hex(1), build: hex(9), inputs: view.getUint16(17, true), outputs: view.getUint16(19, true),
    window: view.getUint16(21, true), board: texts[0], version: texts[1], maxSteps: view.getUint16(at, true), cyclesHz: view.getUint32(at + 2, true),
  };
}

/** Return the body of STEP for samples, Int16Array each. */
export function encodeSteps(samples, reset) {
  const inputs = samples[0]?.length ?? 0, body = new Uint8Array(2 + 2 * inputs * samples.length);
  const view = new DataView(body.buffer);
  body[0] = reset ? 1 : 0;
  body[1] = samples.length;
  samples.forEach((x, n) => x.forEach((v, c) => view.setInt16(2 + 2 * (n * inputs + c), v, true)));
  return body;
}

/** Return {y: Int16Array each, cycles: numbers or null} of a reply to STEP. */
export function decodeSteps(body, steps, outputs, counted) {
  const cut = 2 + 2 * outputs * steps;
  if (body[0] !== steps || body.length !== cut + (counted ? 4 * steps : 0)) throw new Error(`the board answered ${steps} steps with ${body.length} bytes that do not fit them`);
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const y = Array.from({ length: steps }, (_, n) => Int16Array.from({ length: outputs }, (_, o) => view.getInt16(2 + 2 * (n * outputs + o), true)));
  return { y, cycles: counted ? Array.from({ length: steps }, (_, n) => view.getUint32(cut + 4 * n, true)) : null };
}

/** Asks a board, one question at a time.

    The transport has write(bytes) -> promise and calls its onbytes(Uint8Array) and onlost(error). */
export class FrameClient {
  #transport;
  #received = [];
  #waiting = null;
  #sequence = 0;
  #session = 0;
  hello = null;

  constructor(transport, { timeout = 1000, attempts = 8 } = {}) {
    this.#transport = transport;
    this.timeout = timeout;
    this.attempts = attempts;
    transport.onbytes = (bytes) => this.#take(bytes);
    transport.onlost = (error) => this.#waiting?.reject(error);
  }

  /** Begin a session; return what the board says of itself. */
  async open() {
    this.#session = 1 + Math.floor(Math.random() * 0xfffffffe);
    this.#sequence = 255;
    this.#received = [];
    this.hello = decodeHello(await this.#ask(HELLO, Uint8Array.of(VERSION), true));
    return this.hello;
  }

  /** Run samples, Int16Array each; return {y, cycles}. */
  async steps(samples, reset) {
    const y = [], cycles = [], { maxSteps, outputs, cyclesHz } = this.hello;
    const most = Math.min(maxSteps, 16);
    for (let at = 0; at < samples.length; at += most) {
      const part = samples.slice(at, at + most);
      const body = await this.#ask(STEP, encodeSteps(part, reset && at === 0));
      const found = decodeSteps(body, part.length, outputs, cyclesHz !== 0);
      y.push(...found.y);
      if (found.cycles) cycles.push(...found.cycles);
    }
    return { y, cycles: cyclesHz !== 0 ? cycles : null };
  }

  /** Label what the board read last: the number of a class. */
  async learn(label) { await this.#ask(LEARN, u16(label)); }

  /** Return the board to the trained model. */
  async forget() { await this.#ask(FORGET, []); }

  /** Give the board what was learned: the bytes of saveLearned() of model.js. */
  async loadLearned(blob) {
    const { inputs, maxSteps } = this.hello, size = 2 * inputs * maxSteps; // fits in a frame, as samples do
    for (let at = 0; at < blob.length; at += size) await this.#ask(LOAD, [...u16(at), ...blob.subarray(at, at + size)]);
  }

  /** Let the board return to text mode; its answer is not waited for. */
  async close() {
    this.#sequence = (this.#sequence + 1) % 256;
    const frame = encodeFrame({ type: BYE, sequence: this.#sequence, session: this.#session });
    try { await this.#transport.write(frame); } catch { /* it is gone */ }
  }

  async #ask(type, body, sync = false) {
    this.#sequence = (this.#sequence + 1) % 256;
    const frame = encodeFrame({ type, sequence: this.#sequence, session: this.#session, body });
    for (let attempt = 0; attempt < this.attempts; attempt++) {
      if (sync || attempt >= 3) await this.#transport.write(SYNC);
      const reply = this.#reply(type);
      await this.#transport.write(frame);
      const found = await reply;
      if (found !== null) return found;
    }
    throw new Error("the board does not answer: reset it, or write the build to it with “edgeflow flash”");
  }

  /** Return the body of the reply to come; null: not in time. */
  #reply(type) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => { this.#waiting = null; resolve(null); }, this.timeout);
      const settle = (call) => (value) => { clearTimeout(timer); this.#waiting = null; call(value); };
      this.#waiting = { type, resolve: settle(resolve), reject: settle(reject) };
    });
  }

  #take(bytes) {
    for (const byte of bytes) {
      if (byte !== 0) { this.#received.push(byte); continue; }
      const message = this.#received.length ? decodeFrame(Uint8Array.from(this.#received)) : null;
      this.#received = [];
      if (message !== null) this.#answer(message);
    }
    if (this.#received.length > 1 << 16) this.#received = [];
  }

  #answer({ session, type, sequence, body }) {
    const waiting = this.#waiting;
    if (waiting === null || session !== this.#session || sequence !== this.#sequence) return;
    if (type === (waiting.type | REPLY)) waiting.resolve(body);
    else if (type === ERROR) waiting.reject(new Error(refusal(body)));
  }
}

const u16 = (number) => [number & 255, number >> 8];

function refusal(body) {
  if (body[0] === OTHER_SESSION) return body[1] ? "another program began to talk to the board: stop it, then try again" : "the board was reset";
  if (body[0] === 3) return `the board speaks version ${body[1]} of the protocol, this page version ${VERSION}: compile and flash the model again`;
  return `the board refused a message (code ${body[0]}): compile and flash the model again`;
}
