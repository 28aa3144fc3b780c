"""Apps tier: the page's end of the serial protocol, in Node.js against the Python end.

It alone would catch a page that writes or reads other bytes than ``docs/protocol.md`` says.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeflow.apps.server import PAGE
from edgeflow.codegen.build import compile_program
from edgeflow.device import protocol
from edgeflow.device.protocol import Message
from tests.random_programs import random_program

SCRIPT = """
import { readFileSync } from "node:fs";
import * as f from %(frames)s;
const ask = JSON.parse(readFileSync(0, "utf8"));
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const hex = (b) => Array.from(b, (v) => v.toString(16).padStart(2, "0")).join("");
const out = {};
out.frames = ask.messages.map((m) => hex(f.encodeFrame({ ...m, body: bytes(m.body) })));
out.read = ask.frames.map((code) => { const m = f.decodeFrame(bytes(code)); return m && { ...m, body: hex(m.body) }; });
out.hello = f.decodeHello(bytes(ask.hello));
out.steps = hex(f.encodeSteps(ask.x.map((row) => Int16Array.from(row)), true));
out.answers = ask.answers.map(([body, counted]) => { const { y, cycles } = f.decodeSteps(bytes(body), ask.y.length, ask.y[0].length, counted); return { y: y.map((r) => [...r]), cycles }; });
console.log(JSON.stringify(out));
"""


def node(script: str, ask: Any) -> Any:
    program = shutil.which("node")
    if program is None:
        pytest.skip("no Node.js: apt-get install nodejs")
    command = [program, "--input-type=module", "-e", script]
    done = subprocess.run(
        command, input=json.dumps(ask), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def bodies(rng: np.random.Generator) -> list[bytes]:
    """Lengths around what one code of COBS covers, with few zeros, many and none."""
    found = [b""]
    for length in (1, 2, 243, 244, 245, 246, 253, 254, 255, 256, 502):
        for zeros in (0.0, 0.01, 0.5, 1.0):
            body = rng.integers(1, 256, length)
            body[rng.random(length) < zeros] = 0
            found.append(body.astype(np.uint8).tobytes())
    return found


def test_frames_are_the_same_bytes_at_both_ends() -> None:
    rng = np.random.default_rng(0)
    messages = [
        Message(int(rng.integers(256)), int(rng.integers(256)), body, int(rng.integers(2**32)))
        for body in bodies(rng)
    ]
    frames = [protocol.encode_frame(one) for one in messages]
    codes = [one[1:-1] for one in frames]
    broken = [code[:-1] for code in codes] + [bytes([code[0] ^ 1]) + code[1:] for code in codes]
    x = rng.integers(-(2**15), 2**15, (5, 6), np.int16)
    y = rng.integers(-(2**15), 2**15, (5, 7), np.int16)
    cycles = rng.integers(0, 2**32, 5, np.uint32)
    answer = bytes((5, 0)) + y.astype("<i2").tobytes()
    hello = bytes([2, *range(16)]) + np.array([6, 7, 100], "<u2").tobytes()
    hello += "böard\0".encode() + b"0.2.0\0" + b"\x10\x00" + (10**9).to_bytes(4, "little")
    ask = {
        "messages": [vars(one) | {"body": one.body.hex()} for one in messages],
        "frames": [one.hex() for one in codes + broken],
        "hello": hello.hex(),
        "x": x.tolist(),
        "y": y.tolist(),
        "answers": [
            (answer.hex(), False),
            ((answer + cycles.astype("<u4").tobytes()).hex(), True),
        ],
    }
    found = node(SCRIPT % {"frames": json.dumps((PAGE / "frames.js").as_uri())}, ask)
    assert found["frames"] == [one.hex() for one in frames]
    wanted = [vars(one) | {"body": one.body.hex()} for one in messages]
    assert found["read"][: len(codes)] == wanted
    decoded = [protocol.decode_frame(code) for code in broken]
    for one, other in zip(found["read"][len(codes) :], decoded, strict=True):
        assert (one is None) == (other is None)
    said = protocol.decode_hello(hello)
    assert found["hello"] == {
        "protocol": 2, "model": said.model_hash.hex(), "build": said.build_id.hex(), "inputs": 6,
        "outputs": 7, "window": 100, "board": "böard", "version": "0.2.0", "maxSteps": 16,
        "cyclesHz": 10**9,
    }  # fmt: skip
    assert bytes.fromhex(found["steps"]) == protocol.encode_steps(x, True)
    assert found["answers"][0] == {"y": y.tolist(), "cycles": None}
    assert found["answers"][1] == {"y": y.tolist(), "cycles": cycles.tolist()}


MOTION = """
import { readFileSync } from "node:fs";
globalThis.location = { search: "" };
const { readers, Resampler } = await import(%(motion)s);
const ask = JSON.parse(readFileSync(0, "utf8"));
const out = { read: [], errors: [] };
const event = { accelerationIncludingGravity: { x: 9.80665, y: 0, z: -9.80665 }, acceleration: { x: 1, y: 2, z: 3 },
                rotationRate: { alpha: 180, beta: 90, gamma: 0 } };
for (const [channels, units] of ask.models) {
  try { out.read.push(readers(channels, units).map((one) => one(event))); } catch (error) { out.errors.push(error.message); }
}
const resampler = new Resampler(ask.rate);
out.samples = ask.events.map(([at, value]) => resampler.take(at, [value]));
console.log(JSON.stringify(out));
"""


def test_motion_samples_come_at_the_models_rate_in_its_units(tmp_path: Path) -> None:
    axes = [f"{kind}_{axis}" for kind in ("acc", "gyr") for axis in "xyz"]
    ask = {
        "models": [
            (axes, ["g"] * 3 + ["rad/s"] * 3),
            (["ax", "gz"], ["m/s2", "deg/s"]),
            (["heart_rate"], ["bpm"]),
            (["acc_x"], ["counts"]),
            (["acc_x"], []),
        ],
        "rate": 50,
        "events": [(0, 0.0), (16, 1.6), (33, 3.3), (50, 5.0), (100, 10.0), (1000, 0.0)],
    }
    script = MOTION % {"motion": json.dumps((PAGE / "sources" / "motion.js").as_uri())}
    found = node(script, ask)
    assert np.allclose(found["read"][0], [1, 0, -1, np.pi / 2, 0, np.pi])
    assert np.allclose(found["read"][1], [9.80665, 180])
    assert "heart_rate" in found["errors"][0] and "acceleration in x, y and z" in found["errors"][0]
    assert "“counts”" in found["errors"][1] and "a unit that it does not name" in found["errors"][2]
    values = [value for one in found["samples"][:5] for (value,) in one["samples"]]
    assert np.allclose(values, [0, 2, 4, 6, 8, 10])  # a sample each 20 ms of a line
    assert [one["gap"] for one in found["samples"]] == [True, *[False] * 4, True]


FIRMWARE = """
import { readFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { FrameClient } from %(frames)s;
const ask = JSON.parse(readFileSync(0, "utf8"));
const child = spawn(ask.program, [], { stdio: ["pipe", "pipe", "inherit"] });
const transport = { onbytes: () => {}, onlost: () => {}, write: async (bytes) => { child.stdin.write(bytes); } };
child.stdout.on("data", (bytes) => transport.onbytes(bytes));
const client = new FrameClient(transport, { timeout: 5000 });
const hello = await client.open();
const first = await client.steps(ask.x.slice(0, 100).map((x) => Int16Array.from(x)), true);
const rest = await client.steps(ask.x.slice(100).map((x) => Int16Array.from(x)), false);
await client.close();
const said = await new Promise((resolve) => { let text = ""; transport.onbytes = () => {}; child.stdout.on("data", (b) => { text += b; if (text.includes("board host")) resolve(true); }); child.stdin.write("info\\n"); });
child.kill();
const y = [...first.y, ...rest.y].map((row) => [...row]);
console.log(JSON.stringify({ said, hello, y, cycles: [...first.cycles, ...rest.cycles] }));
"""


def test_the_page_steps_the_firmware(tmp_path: Path) -> None:
    """The image of the board ``host``, a program that speaks the protocol."""
    program, rng = random_program(3, 6, [16], 5, 12, 12), np.random.default_rng(0)
    build = compile_program(program, "host", tmp_path / "build")
    limit = 2 ** (program.input.bits - 1) - 1
    x = rng.integers(-limit, limit + 1, (500, program.inputs)).astype(np.int16)
    ask = {"program": str(build.elf), "x": x.tolist()}
    found = node(FIRMWARE % {"frames": json.dumps((PAGE / "frames.js").as_uri())}, ask)
    assert found["said"], "after BYE it speaks text"
    assert found["hello"]["model"] == program.hash.hex()
    assert found["hello"]["build"] == build.build_id
    assert found["hello"]["board"] == "host"
    assert (np.array(found["y"]) == program.run(x[None])[0]).all()
    assert len(found["cycles"]) == 500
