"""Apps tier: "that was X" on the live page: a label is learned by whatever runs the model, and forgotten.

They alone would catch a label that goes to another window than the one that ended last, and a page whose board or
WebAssembly then steps otherwise than the reference that learned the same.
"""

import asyncio
import contextlib
import functools
import http.server
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.compression.adapt import with_learning
from edgeflow.data import Dataset
from edgeflow.exporting import export
from edgeflow.program import Program
from tests.apps.browser import Page, browser, find_browser
from tests.apps.conftest import live
from tests.apps.test_live_sources import FEED, SHIM, bridge, press

#: Keeps the outputs of all steps of the session by their number.
RECORD = """(() => {
  const { source } = edgeflow, before = source.onstep;
  window.seen = [];
  source.onstep = (steps) => { steps.y.forEach((y, i) => { seen[steps.first + i] = y; }); window.wrong = steps.mismatches; before(steps); };
  source.set({ restart: true, speed: 5 });
})()"""
TAUGHT = "document.getElementById('taught').textContent"


@pytest.fixture(scope="module")
def learner(model: Path, seglearn: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model with prototypes."""
    find_browser()
    path = tmp_path_factory.mktemp("learner") / "model.onnx"
    with_learning(Program.load(model), seglearn, "prototypes").save(path)
    return path


@pytest.fixture(scope="module")
def windows(learner: Path, seglearn: Dataset) -> np.ndarray:
    """Windows of the subject that the page begins with, as integers [n, time, channels]."""
    program = Program.load(learner)
    n = program.window
    parts = [one.x for one in seglearn.split("test") if one.person == "9"]
    whole = np.concatenate([x[: len(x) // n * n].reshape(-1, n, x.shape[1]) for x in parts])
    return program.quantize_input(whole)


@pytest.fixture(scope="module")
def folder(
    learner: Path, seglearn: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of the page beside the model in WebAssembly, with all recordings of a subject."""
    pytest.importorskip("ziglang", reason="no ziglang: pip install ziglang")
    out = tmp_path_factory.mktemp("web") / "page"
    export(Program.load(learner), "web", out, data=seglearn)
    content = json.loads((out / "recordings.json").read_text())
    content["recordings"] = [
        {"person": r.person, "label": seglearn.classes[r.label], "x": r.x.tolist()}
        for r in seglearn.split("test")
        if r.person == "9"
    ]
    (out / "recordings.json").write_text(json.dumps(content))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(out))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/index.html"
        server.shutdown()


async def paused(page: Page, on: bool) -> int:
    """Pause, or go on; return how many steps have run once the page stands still."""
    await page.js(f"edgeflow.source.set({{ paused: {str(on).lower()} }})")
    if not on:
        return 0
    await page.until("document.getElementById('status').textContent.trim() === 'paused'")
    steps = -1
    while steps != (steps := int(await page.js("seen.length"))):
        await asyncio.sleep(0.3)
    return steps


async def click(page: Page, name: str) -> None:
    """Press the button of an accessible name."""
    tree = await page.call("Accessibility.getFullAXTree")
    found = [
        node for node in tree["nodes"]
        if node.get("role", {}).get("value") == "button" and node["name"]["value"] == name
    ]  # fmt: skip
    assert len(found) == 1, name
    where = await page.call("DOM.resolveNode", backendNodeId=found[0]["backendDOMNodeId"])
    await page.call(
        "Runtime.callFunctionOn", objectId=where["object"]["objectId"],
        functionDeclaration="function () { this.click(); }",
    )  # fmt: skip


async def labels(page: Page, name: str) -> tuple[int, int, list[list[int]], int]:
    """Label a window, and forget; return the steps before each, all outputs, and mismatches."""
    await page.until("window.edgeflow && edgeflow.tally.steps > 5", 60)
    await page.js(RECORD)
    await page.until("seen.length > 230", 90)
    first = await paused(page, True)
    assert await page.js(TAUGHT) == "nothing learned yet"
    assert await page.js("document.getElementById('forget').disabled")
    await click(page, f"That was {name}")
    await page.until(f"{TAUGHT} === 'learned: 1 {name}'", 30)
    await paused(page, False)
    await page.until(f"seen.length > {first} + 230", 90)
    second = await paused(page, True)
    await click(page, "Forget all labels")
    await page.until(f"{TAUGHT} === 'nothing learned yet'", 30)
    await paused(page, False)
    await page.until(f"seen.length > {second} + 150", 90)
    assert page.problems == []
    y, wrong = await page.js("[seen, window.wrong]")
    return first, second, y, wrong


def check(
    found: tuple[int, int, list[list[int]], int], learner: Path, windows: np.ndarray, label: int
) -> None:
    """Compare with the reference, which learns the window that ended last."""
    program = Program.load(learner)
    first, second, y, wrong = found
    n = program.window
    state = program.run_on(windows[first // n - 1][None])[1]
    state = program.reset(program.learn(state, label))
    count = -(-len(y) // n)
    trained = program.run(windows[:count]).reshape(-1, program.outputs)
    learned = program.run_on(windows[:count], program.reset(state, count))[0]
    learned = learned.reshape(-1, program.outputs)
    expected = np.concatenate([trained[:first], learned[first:second], trained[second:]])
    np.testing.assert_array_equal(np.array(y), expected[: len(y)])
    assert (learned[first:second] != trained[first:second]).any()
    assert wrong == 0


@pytest.mark.parametrize("board", [None, pytest.param("qemu-m4", marks=pytest.mark.board)], ids=str)
def test_the_servers_model_learns(board: str | None, learner: Path, windows: np.ndarray) -> None:
    name = Program.load(learner).classes[2]

    async def watch(address: str) -> Any:
        async with browser() as page:
            await page.open(address)
            return await labels(page, name)

    with live(learner, *([] if board is None else ["--board", board])) as shown:
        check(asyncio.run(watch(shown.address)), learner, windows, 2)


@pytest.mark.parametrize(
    "source", ["wasm", "serial", pytest.param("bluetooth", marks=pytest.mark.slow)]
)
def test_the_pages_own_model_learns(
    source: str, folder: str, learner: Path, windows: np.ndarray, tmp_path: Path
) -> None:
    program = Program.load(learner)

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Page]:
        if source == "wasm":
            async with browser() as page:
                await page.open(f"{folder}?source=wasm")
                yield page
            return
        build = compile_program(program, "host", tmp_path / "build")
        async with bridge(build) as address, browser() as page:
            shim = SHIM % {"bridge": json.dumps(address)}
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=shim)
            await page.open(f"{folder}?source={source}")
            await press(page)
            yield page

    async def watch() -> Any:
        async with opened() as page:
            return await labels(page, program.classes[1])

    check(asyncio.run(watch()), learner, windows, 1)


def test_what_a_phone_measures_is_learned(folder: str, learner: Path) -> None:
    program = Program.load(learner)
    n = program.window
    press_it = f"""(() => {{
      const steps = seen.length;
      document.querySelector('[aria-label="That was {program.classes[3]}"]').click();
      return steps; }})()"""

    async def watch() -> Any:
        async with browser() as page:
            await page.call("Browser.grantPermissions", permissions=["sensors"])
            await page.open(f"{folder}?source=motion")
            await page.until("document.getElementById('begin')?.hidden === false")
            await page.js(FEED)
            await page.js("document.getElementById('begin').click()")
            await page.until("window.edgeflow && edgeflow.tally.steps > 5", 40)
            await page.js(RECORD)
            await page.js(
                "window.xs = []; const on = edgeflow.source.onstep; edgeflow.source.onstep = (s) => { s.x.forEach((x, i) => { xs[s.first + i] = x; }); on(s); }; edgeflow.source.set({ restart: true });"
            )
            await page.until(f"seen.length > {n} + 20", 60)
            first = await page.js(press_it)
            await page.until(f"seen.length >= {3 * n}", 60)
            assert await page.js(TAUGHT) == f"learned: 1 {program.classes[3]}"
            assert page.problems == []
            return first, await page.js(f"[xs.slice(0, {3 * n}), seen.slice(0, {3 * n})]")

    first, (x, y) = asyncio.run(watch())
    windows = program.quantize_input(np.array(x, np.float32).reshape(3, n, -1))
    check((first, 3 * n, y, 0), learner, windows, 3)


def test_other_models_have_no_such_buttons(model: Path) -> None:
    async def look(address: str) -> bool:
        async with browser() as page:
            await page.open(address)
            await page.until("window.edgeflow && edgeflow.tally.steps > 5", 60)
            return bool(await page.js("document.getElementById('teach').hidden"))

    with live(model) as shown:
        assert asyncio.run(look(shown.address))
