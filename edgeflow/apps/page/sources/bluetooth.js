/* A board by Web Bluetooth: the Nordic UART service carries the bytes of the serial protocol. */

import { BoardReplay } from "../board.js";

const SERVICE = "6e400001-b5a3-f393-e0a9-e50e24dcca9e";
const TO_BOARD = "6e400002-b5a3-f393-e0a9-e50e24dcca9e";
const FROM_BOARD = "6e400003-b5a3-f393-e0a9-e50e24dcca9e";
const CHUNK = 20; // bytes that every connection takes

export class BluetoothSource extends BoardReplay {
  gesture = "Choose the board by Bluetooth";
  #device = null;

  async connect() {
    if (!("bluetooth" in navigator)) throw new Error(isSecureContext ? "this browser has no Web Bluetooth: use Chrome or Edge, on a computer or on Android" : "Web Bluetooth works on pages of https:// or localhost only");
    if (this.#device === null) {
      try {
        this.#device = await navigator.bluetooth.requestDevice({ filters: [{ services: [SERVICE] }] });
      } catch {
        throw new Error("no board was chosen: switch it and Bluetooth on, press the button and choose it");
      }
    }
    try {
      const server = await this.#device.gatt.connect(), service = await server.getPrimaryService(SERVICE);
      const to = await service.getCharacteristic(TO_BOARD), from = await service.getCharacteristic(FROM_BOARD);
      if (from.properties.notify) await from.startNotifications();
      return new UartTransport(this.#device, to, from);
    } catch (error) {
      throw new Error(`the board cannot be reached by Bluetooth (${error.message}): bring it near and switch it on`);
    }
  }

  async close() { await super.close(); this.#device?.gatt.disconnect(); }
}

class UartTransport {
  onbytes = () => {};
  onlost = () => {};

  constructor(device, to, from) {
    this.to = to;
    from.addEventListener("characteristicvaluechanged", ({ target: { value } }) => this.onbytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)));
    const lost = () => { this.lost = true; this.onlost(new Error("the Bluetooth connection was lost")); };
    device.addEventListener("gattserverdisconnected", lost, { once: true });
    if (!from.properties.notify) this.#read(from, lost);
  }

  /** Ask a board that does not notify; each answer is an event, too. */
  async #read(from, lost) {
    try {
      while (!this.lost) await from.readValue();
    } catch {
      if (!this.lost) lost();
    }
  }

  async write(bytes) {
    const send = this.to.properties.writeWithoutResponse ? "writeValueWithoutResponse" : "writeValueWithResponse";
    for (let at = 0; at < bytes.length; at += CHUNK) await this.to[send](bytes.slice(at, at + CHUNK));
  }
}
