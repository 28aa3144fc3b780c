/* Recordings and the model in the page itself, without a server: a static folder. */

import { Replay } from "../local.js";

export class WasmSource extends Replay {
  async prepare() {
    return {
      name: "this browser", description: "WebAssembly in this browser",
      costs: "the model runs in this page, in WebAssembly: a board's instructions and energy are not known here",
    };
  }
}
