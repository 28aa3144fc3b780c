/* edgeflow live on this computer, through one WebSocket. */

import { Source } from "../source.js";

const RETRY = 1000; // ms

export class WebSocketSource extends Source {
  #socket = null;
  #closed = false;
  #info = null;
  #opened = null;

  open() {
    return new Promise((resolve) => {
      this.#opened = resolve;
      this.#connect();
    });
  }

  set(wishes) {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ type: "set", ...wishes }));
    }
  }

  close() {
    this.#closed = true;
    this.#socket?.close();
  }

  #connect() {
    const socket = new WebSocket(`ws://${location.host}/live`);
    this.#socket = socket;
    socket.onmessage = (event) => this.#take(JSON.parse(event.data));
    socket.onclose = () => {
      if (this.#closed) return;
      const text = "edgeflow live does not answer; trying again. Start the command again if it ended.";
      this.onstate({ state: "lost", text });
      setTimeout(() => this.#connect(), RETRY);
    };
  }

  #take(message) {
    if (message.type === "steps") {
      this.onstep(message);
    } else if (message.type === "hello") {
      const before = this.#info;
      this.#info = message;
      if (before === null) this.#opened(message);
      else if (before.model !== message.model || before.data !== message.data) location.reload();
    } else if (message.type === "state") {
      // a page that just opened first draws what the hello says
      Promise.resolve().then(() => this.onstate(message));
    } else if (message.type === "error") {
      this.onstate({ state: "refused", text: message.text });
    }
  }
}
