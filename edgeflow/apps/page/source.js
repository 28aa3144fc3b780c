/* Where samples and outputs come from. One interface, several bodies in sources/:

     websocket  edgeflow live: the reference or a board on this computer
     wasm       recordings and the model in the page, without a server
     motion     the motion sensors of the phone that shows the page
     serial     a board at a USB port, by Web Serial
     bluetooth  a board by Web Bluetooth (Nordic UART service)

   open() -> info   what edgeflow/apps/session.py calls hello: names, classes, channels, units, rate
   onstep(steps)    a batch of steps: arrays with an entry per step (Session.message)
   onstate(state)   {state: running|paused|lost|ended|refused, text, session, person, speed, paused, labels}
   set({person, speed, paused, restart, learn, forget})
                    learn: the class of the window that ended last, of a model whose info.learns
   close()

   An error of open() or set() is an Error whose message says what to do. */

export class Source {
  onstep = () => {};
  onstate = () => {};
  /** What a button has to say before open() may be called, where the browser wants a gesture. */
  gesture = "";

  async open() { throw new Error("this source cannot be opened"); }
  set(_wishes) {}
  close() {}
}

const KINDS = {
  websocket: async () => (await import("./sources/websocket.js")).WebSocketSource,
  wasm: async () => (await import("./sources/wasm.js")).WasmSource,
  motion: async () => (await import("./sources/motion.js")).MotionSource,
  serial: async () => (await import("./sources/serial.js")).SerialSource,
  bluetooth: async () => (await import("./sources/bluetooth.js")).BluetoothSource,
};

const made = () => document.querySelector('meta[name="edgeflow-source"]').content;
const asked = () => new URLSearchParams(location.search).get("source") ?? made();

/** Return what a page without a server can show: {kind, text, chosen} of each source. */
export function choices() {
  if (made() === "websocket") return [];
  const texts = { wasm: "Recordings", motion: "This phone", serial: "Board by USB", bluetooth: "Board by Bluetooth" };
  return Object.entries(texts).map(([kind, text]) => ({ kind, text, chosen: kind === asked() }));
}

/** Return the source that the page is made for; ?source=KIND asks for another one. */
export async function makeSource() {
  const kind = asked();
  if (!Object.hasOwn(KINDS, kind)) {
    throw new Error(`there is no source “${kind}”: use one of ${Object.keys(KINDS).join(", ")}`);
  }
  return new (await KINDS[kind]())();
}
