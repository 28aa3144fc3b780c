"""Apps tier: the page's sources that need no server: WebAssembly, motion sensors, Web Serial, Web Bluetooth.

They alone would catch a page that steps other samples than it shows, or a board by other bytes than the protocol's,
and sources that say nothing where a browser or a phone lacks something.
"""

import asyncio
import contextlib
import functools
import http.server
import json
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import websockets

from edgeflow.codegen.build import compile_program
from edgeflow.data import Dataset, load_dataset
from edgeflow.data.quality import check as check_quality
from edgeflow.device import open_board
from edgeflow.program import Program
from tests.apps.browser import Page, browser, find_browser
from tests.apps.peripheral import FLAGS, peripheral
from tests.apps.test_live_server import oracle

#: What a browser offers of a serial port and of the Nordic UART service, over a socket to a board.
SHIM = """
const link = async () => { const s = new WebSocket(%(bridge)s); s.binaryType = "arraybuffer"; await new Promise((r) => { s.onopen = r; }); return s; };
const port = {
  async open({ baudRate }) {
    window.baud = baudRate;
    const s = await link();
    this.readable = new ReadableStream({ start(c) { s.onmessage = (e) => c.enqueue(new Uint8Array(e.data)); s.onclose = () => c.error(new Error("gone")); } });
    this.writable = new WritableStream({ write(bytes) { s.send(bytes); } });
    this.close = async () => s.close();
  },
  async close() {},
};
Object.defineProperty(navigator, "serial", { value: { requestPort: async () => port } });
const device = Object.assign(new EventTarget(), { gatt: { disconnect() {}, async connect() {
  const s = await link(), from = Object.assign(new EventTarget(), { properties: { notify: true }, async startNotifications() {} });
  s.onmessage = (e) => { for (let at = 0; at < e.data.byteLength; at += 20) { from.value = new DataView(e.data.slice(at, at + 20)); from.dispatchEvent(new Event("characteristicvaluechanged")); } };
  s.onclose = () => device.dispatchEvent(new Event("gattserverdisconnected"));
  const to = { properties: { writeWithoutResponse: true }, async writeValueWithoutResponse(bytes) { if (bytes.length > 20) throw new Error("too long"); s.send(bytes); } };
  return { async getPrimaryService() { return { async getCharacteristic(id) { return id.startsWith("6e400002") ? to : from; } }; } };
} } });
Object.defineProperty(navigator, "bluetooth", { value: { requestDevice: async () => device } });
"""
#: A phone's 60 events per second.
FEED = """(() => {
  let n = 0;
  setInterval(() => {
    const t = n++ / 60, w = (k) => Math.sin(k * t);
    dispatchEvent(new DeviceMotionEvent("devicemotion", {
      accelerationIncludingGravity: { x: 9 * w(3), y: 5 * w(4), z: 9.8 + w(5) }, acceleration: { x: 0, y: 0, z: 0 },
      rotationRate: { alpha: 90 * w(2), beta: 60 * w(6), gamma: 30 * w(7) }, interval: 16 }));
  }, 1000 / 60);
})()"""
RECORD = """(() => {
  const { source } = edgeflow, before = source.onstep;
  window.seen = [];
  source.onstep = (steps) => { if (steps.first === 0) seen.length = 0; seen.push(steps); before(steps); };
  source.set({ restart: true, speed: 5 });
})()"""


@pytest.fixture(scope="module")
def program(model: Path) -> Program:
    return Program.load(model)


@pytest.fixture(scope="module")
def folder(
    program: Program, seglearn: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Serve the page beside the model in WebAssembly and recordings; yield the address."""
    find_browser()
    pytest.importorskip("ziglang", reason="no ziglang: pip install ziglang")
    web = pytest.importorskip("edgeflow.exporting.web", reason="no export to the web")
    assert web is not None
    from edgeflow.exporting import export

    out = tmp_path_factory.mktemp("web") / "page"
    export(program, "web", out, data=seglearn)
    shutil.copytree(out, out.with_name("as-exported"))
    # all of a subject's, in the place of some
    recordings = [one for one in seglearn.split("test") if one.person == "9"]
    content = {
        "data": seglearn.name,
        "channels": seglearn.channels,
        "recordings": [
            {"person": r.person, "label": seglearn.classes[r.label], "x": r.x.tolist()}
            for r in recordings
        ],
    }
    (out / "recordings.json").write_text(json.dumps(content))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(out.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/page/index.html"
        server.shutdown()


@contextlib.asynccontextmanager
async def bridge(build: Any) -> AsyncIterator[str]:
    """Start a board; yield the address of a socket with its bytes."""
    board = open_board(build.spec(), image=build.elf)
    with board:
        board.flash()
        transport = board._open()
        loop = asyncio.get_running_loop()

        async def talk(page: Any) -> None:
            async def up() -> None:
                while True:
                    data = await loop.run_in_executor(None, transport.read, 0.2)
                    if data:
                        await page.send(data)

            reading = asyncio.create_task(up())
            async for data in page:
                transport.write(data)
            reading.cancel()

        async with websockets.serve(talk, "127.0.0.1", 0) as server:
            number = next(iter(server.sockets)).getsockname()[1]
            yield f"ws://127.0.0.1:{number}/"


async def press(page: Page) -> None:
    """Press the button that a browser wants before it opens a device."""
    await page.until("document.getElementById('begin')?.hidden === false")
    await page.js("document.getElementById('begin').click()")


async def stepping(page: Page) -> None:
    await page.until("window.edgeflow && edgeflow.tally.steps > 5", 40)


async def decisions(page: Page, steps: int) -> tuple[list[list[int]], list[int], int]:
    """Return outputs and decisions of the first steps after a new start, and mismatches."""
    await page.js(RECORD)
    await page.until(f"seen.reduce((n, one) => n + one.y.length, 0) >= {steps}", 90)
    found = "[seen.flatMap(s => s.y), seen.flatMap(s => s.decision), seen.at(-1).mismatches]"
    y, decided, mismatches = await page.js(found)
    return y, decided, mismatches


def check(found: tuple[Any, ...], model: Path, data: Dataset) -> None:
    y, decided, mismatches = found
    wanted = oracle(model, data, "9")[: len(y)]
    assert np.array_equal(y, wanted)
    assert decided == wanted.argmax(axis=1).tolist()
    assert mismatches == 0


def test_webassembly_gives_the_programs_steps(folder: str, model: Path, seglearn: Dataset) -> None:
    async def watch() -> Any:
        async with browser() as page:
            await page.open(f"{folder}?source=wasm")
            await page.until("window.edgeflow && edgeflow.tally.steps > 5")
            assert "running" in await page.js("document.getElementById('status').textContent")
            found = await decisions(page, 500)
            assert page.problems == []
            return found

    check(asyncio.run(watch()), model, seglearn)


def test_the_exported_folder_is_a_page(folder: str) -> None:
    """It begins with recordings, offers what else there is, and asks no other server."""

    async def watch() -> None:
        async with browser() as page:
            await page.open(folder.replace("/page/", "/as-exported/"))
            await page.until("window.edgeflow && edgeflow.tally.counted > 1", 90)
            links = "[...document.querySelectorAll('#sources a')].map((a) => a.textContent)"
            assert await page.js(links) == [
                "Recordings",
                "This phone",
                "Board by USB",
                "Board by Bluetooth",
                "Record",
            ]
            chosen = "document.querySelector('#sources a[aria-current]').textContent"
            assert await page.js(chosen) == "Recordings"
            assert await page.js("edgeflow.info.people") == ["9", "10"]
            assert await page.js("edgeflow.info.training.mean.length") == 6
            assert page.problems == []
            for other in ("This phone", "Recordings"):
                await page.js(
                    f"[...document.querySelectorAll('#sources a')].find((a) => a.textContent === '{other}').click()"
                )
                await page.until(
                    f"document.querySelector('#sources a[aria-current]')?.textContent === '{other}'"
                )

    asyncio.run(watch())


@pytest.mark.parametrize(
    ("source", "name"),
    [("serial", "host"), ("bluetooth", "host"), pytest.param("serial", "qemu-m4", marks=pytest.mark.board)],
)  # fmt: skip
def test_a_board_behind_the_browser_gives_the_programs_steps(
    source: str, name: str, folder: str, model: Path, program: Program, seglearn: Dataset,
    tmp_path: Path,
) -> None:  # fmt: skip
    build = compile_program(program, name, tmp_path / "build")

    async def watch() -> Any:
        async with bridge(build) as address, browser() as page:
            shim = SHIM % {"bridge": json.dumps(address)}
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=shim)
            await page.open(f"{folder}?source={source}")
            await press(page)
            await stepping(page)
            assert await page.js("edgeflow.info.board.name") == name
            assert "running" in await page.js("document.getElementById('status').textContent")
            found = await decisions(page, 500)
            assert page.problems == []
            return found

    check(asyncio.run(watch()), model, seglearn)


def test_a_board_by_bluetooth_that_the_browser_emulates(
    folder: str, model: Path, program: Program, seglearn: Dataset, tmp_path: Path
) -> None:
    """The browser's own stack: its chooser, connection, discovery, writes and reads."""
    build = compile_program(program, "host", tmp_path / "build")

    async def watch() -> Any:
        with open_board(build.spec(), image=build.elf) as board:
            board.flash()
            transport = board._open()
            async with browser(*FLAGS) as page, peripheral(page, transport) as counts:
                await page.open(f"{folder}?source=bluetooth")
                await press(page)
                await stepping(page)
                found = await decisions(page, 500)
                assert page.problems == []
                assert min(counts.values()) > 10
                return found

    check(asyncio.run(watch()), model, seglearn)


def test_another_model_on_the_board_is_told_of(
    folder: str, program: Program, tmp_path: Path
) -> None:
    other = replace(program, output_scale=program.output_scale * 2)
    build = compile_program(other, "host", tmp_path / "build")

    async def watch() -> str:
        async with bridge(build) as address, browser() as page:
            shim = SHIM % {"bridge": json.dumps(address)}
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=shim)
            await page.open(f"{folder}?source=serial")
            await press(page)
            await page.until("document.getElementById('alert')?.hidden === false", 40)
            return await page.js("document.getElementById('alert').textContent")

    text = asyncio.run(watch())
    assert "the board runs another model" in text and "edgeflow flash" in text


def test_motion_sensors_are_stepped_at_the_models_rate(folder: str, program: Program) -> None:
    async def watch() -> Any:
        async with browser() as page:
            await page.call("Browser.grantPermissions", permissions=["sensors"])
            await page.open(f"{folder}?source=motion")
            await page.until("document.getElementById('begin')?.hidden === false")
            await page.js(FEED)
            await page.js("document.getElementById('begin').click()")
            await page.until("window.edgeflow && edgeflow.tally.steps > 5", 40)
            await page.js(RECORD)
            before = await page.js("performance.now()")
            await page.until("seen.reduce((n, one) => n + one.y.length, 0) >= 250", 60)
            took = await page.js("performance.now()") - before
            x, y = await page.js("[seen.flatMap(s => s.x), seen.flatMap(s => s.y)]")
            assert page.problems == []
            return np.array(x, np.float32), np.array(y, np.int16), took

    x, y, took = asyncio.run(watch())
    whole = len(x) // program.window * program.window
    windows = x[:whole].reshape(-1, program.window, 6)
    wanted = program.run(program.quantize_input(windows)).reshape(whole, -1)
    assert np.array_equal(y[:whole], wanted)
    assert len(x) / took * 1000 == pytest.approx(program.rate_hz, rel=0.1)


def spoiled(folder: str, source: str, script: str, press: bool) -> str:
    """Return what the page says where something is missing."""

    async def watch() -> str:
        async with browser() as page:
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
            await page.open(f"{folder}?source={source}")
            if press:
                await page.until("document.getElementById('begin')?.hidden === false")
                await page.js("document.getElementById('begin').click()")
            await page.until("document.getElementById('alert')?.hidden === false", 40)
            return await page.js("document.getElementById('alert').textContent")

    return asyncio.run(watch())


NO = "delete Navigator.prototype.%s"
LACKS: list[tuple[str, str, bool, str]] = [
    ("serial", NO % "serial", True, "this browser has no Web Serial: use Chrome or Edge"),
    ("bluetooth", NO % "bluetooth", True, "this browser has no Web Bluetooth"),
    ("motion", "delete window.DeviceMotionEvent", True, "no motion sensors: open the page on a phone"),
    ("motion", "DeviceMotionEvent.requestPermission = async () => 'denied'", True, "were not allowed"),
    ("motion", "DeviceMotionEvent.requestPermission = async () => 'granted'", True, "no motion sensor gives samples here"),
    ("nothing", "", False, "there is no source “nothing”: use one of websocket"),
    ("wasm", "window.fetch = async () => new Response('', { status: 404, statusText: 'Not Found' })", False, "404 Not Found): put model.js and model.wasm"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "script", "press", "message"), LACKS, ids=[f"{i}-{one[0]}" for i, one in enumerate(LACKS)]
)  # fmt: skip
def test_what_is_missing_is_said(
    source: str, script: str, press: bool, message: str, folder: str
) -> None:
    assert message in spoiled(folder, source, script, press)


def test_recordings_of_a_phone_are_a_data_set(folder: str, tmp_path: Path) -> None:
    """Two labels of one subject, each twice; the data set's check knows gravity and the rate."""

    async def record() -> str:
        async with browser() as page:
            await page.call("Browser.grantPermissions", permissions=["sensors"])
            await page.open(folder.replace("index.html", "record.html"))
            await page.until("document.getElementById('begin')?.disabled === false")
            await page.js(FEED)
            await page.js("document.getElementById('person').value = 'ann, \"a\"'")
            await page.js("document.getElementById('begin').click()")
            button = "[...document.querySelectorAll('#buttons button')].find((b) => b.textContent === '%s')"
            await page.until("document.querySelectorAll('#buttons button').length === 2", 30)
            for label in ("rest", "walk", "rest", "walk"):
                await page.js(f"{button % label}.click()")
                await asyncio.sleep(0.8)
                if label == "walk":  # the other label ends one, too
                    await page.js(f"{button % label}.click()")
            assert await page.js("document.getElementById('kept').textContent") == "4 recordings"
            assert await page.js("document.querySelectorAll('#table tbody tr').length") == 2
            assert page.problems == []
            text = await page.js("edgeflow.csv()")
            await page.js("edgeflow.kept.length = 0")  # the browser would ask before it leaves
            return str(text)

    path = tmp_path / "ann.csv"
    path.write_text(asyncio.run(record()))
    data = load_dataset(path, partial=True)
    assert (data.rate_hz, data.classes, len(data.recordings)) == (50, ["rest", "walk"], 4)
    assert {r.person for r in data.recordings} == {'ann, "a"'}
    assert 0.3 < min(len(r.x) for r in data.recordings) / 50 < 2
    found = check_quality(data)
    assert [one["sensor"] for one in found.gravity] == ["acc"]
