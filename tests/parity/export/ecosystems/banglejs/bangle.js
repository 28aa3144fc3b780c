// A stand-in for Espruino on a Bangle.js 2, for node: `node bangle.js APP < scene.json`. What the
// machine code answers is in the scene, as an emulator found it; what the app gives to it, shows
// and asks of the watch is printed.
const fs = require("fs");
const vm = require("vm");

const scene = JSON.parse(fs.readFileSync(0, "utf8"));
const log = { sensors: [], shown: [], registers: [], interval: 0, restored: [] };
const handlers = {}, killed = [];
let memory = null, call = 0;

const E = {
  nativeCall(address, signature, code) {
    if (address !== 1 || signature !== "int(int)") throw new Error("unlike the machine code");
    if (code !== storage.read(scene.name + ".bin")) throw new Error("another code");
    return (where) => {
      if (where !== 0x20001000) throw new Error("not the memory's address");
      const view = new DataView(memory.buffer);
      log.sensors.push([0, 4, 8].map((at) => view.getFloat32(at, true)));
      const [decisions, decision, share] = scene.answers[call++];
      view.setInt32(16, decision, true);
      view.setInt32(20, share, true);
      return decisions;
    };
  },
  getAddressOf(array, flat) {
    if (!flat || !(array instanceof Uint8Array)) return 0;
    memory = array;
    return 0x20001000;
  },
  on: (event, handler) => killed.push(handler),
};
const storage = {
  read: (name) => (name === scene.name + ".bin" ? Buffer.from(scene.code, "base64").toString("latin1") : undefined),
};
const Bangle = {
  appRect: { x: 0, y: 24, x2: 175, y2: 175 },
  on: (event, handler) => (handlers[event] = handler),
  setUI: (mode) => (log.ui = mode.mode),
  accelWr: (register, value) => log.registers.push([register, value]),
  setPollInterval: (interval) => (log.interval = interval),
};
const g = {
  getWidth: () => 176,
  getHeight: () => 176,
  clear: () => g,
  reset: () => g,
  clearRect: () => g,
  setFont: () => g,
  setFontAlign: () => g,
  drawString(text, x, y) {
    if (x < 0 || x > 176 || y < 0 || y > 176) throw new Error("outside of the screen");
    log.shown.push(String(text));
    return g;
  },
};
vm.runInNewContext(fs.readFileSync(process.argv[2], "utf8"), {
  E, Bangle, g, load() {}, Uint8Array, Int32Array, Float32Array, Error,
  require: (name) => (name === "Storage" ? storage : undefined),
});
for (const [x, y, z] of scene.samples) handlers.accel({ x, y, z });
log.asked = log.registers.splice(0);
const asked = log.interval;
killed.forEach((handler) => handler());
log.restored = [log.registers, log.interval];
log.interval = asked;
console.log(JSON.stringify(log));
