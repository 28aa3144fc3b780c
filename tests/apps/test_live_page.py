"""Apps tier: the page of ``edgeflow live`` in a headless Chromium.

They alone would catch steps that the page loses or shows wrongly, errors in its scripts, requests to other hosts, late
pictures, memory that grows, what hands and screen readers cannot use, and a layout that is wider than a phone.
"""

import asyncio
import contextlib
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.data import Dataset
from edgeflow.program import Program
from edgeflow.program.nodes.cutoff import Cutoff
from tests.apps.browser import Page, browser, find_browser
from tests.apps.conftest import Live, live
from tests.apps.test_live_server import oracle

#: Keeps the decision of each step since the last restart, and what the matrix must add up to.
RECORD = """(() => {
  const { source } = edgeflow, before = source.onstep;
  window.seen = { first: null, decisions: [], next: 0, gaps: 0 };
  source.onstep = (steps) => {
    if (steps.first === 0) Object.assign(seen, { first: 0, decisions: [], next: 0 });
    if (seen.first === 0) {
      if (steps.first !== seen.next) seen.gaps += 1;
      seen.next = steps.first + steps.y.length;
      seen.decisions.push(...steps.decision);
    }
    before(steps);
  };
  source.set({ restart: true });
})()"""


@pytest.fixture(autouse=True)
def _chromium() -> None:
    find_browser()


@contextlib.asynccontextmanager
async def shown(
    live_: Live, width: int = 1280, height: int = 900, **media: str
) -> AsyncIterator[Page]:
    async with browser() as page:
        if media:
            await page.media(**media)
        await page.open(live_.address, width, height)
        await page.until("window.edgeflow && edgeflow.tally.steps > 5")
        yield page


def no_other_host(page: Page) -> bool:
    allowed = ("http://127.0.0.1:", "ws://127.0.0.1:", "about:", "data:")
    return all(url.startswith(allowed) for url in page.requests)


async def five_hundred(live_: Live, picture: Path) -> tuple[list[int], int, list[str], bool, str]:
    async with shown(live_) as page:
        await page.js(RECORD)
        await page.until("seen.decisions.length >= 500", 60)
        await page.picture(picture)
        decisions, gaps = await page.js("seen.decisions"), await page.js("seen.gaps")
        note = await page.js("document.getElementById('matrix-note').textContent")
        return decisions, gaps, page.problems, no_other_host(page), note


@pytest.mark.parametrize("board", [None, pytest.param("qemu-m4", marks=pytest.mark.board)], ids=str)
def test_500_steps_of_a_test_subject_are_the_programs(
    board: str | None, model: Path, seglearn: Dataset, tmp_path: Path
) -> None:
    arguments = [] if board is None else ["--board", board]
    with live(model, "--speed", "5", *arguments) as shown_:
        picture = tmp_path / "live.png"
        decisions, gaps, problems, own, note = asyncio.run(five_hundred(shown_, picture))
    wanted = oracle(model, seglearn, "9").argmax(axis=1)[: len(decisions)]
    assert decisions == wanted.tolist()
    assert (gaps, problems, own) == (0, [], True)
    assert picture.stat().st_size > 10_000
    assert " right" in note


def test_the_matrix_adds_up_to_the_programs_accuracy(model: Path, seglearn: Dataset) -> None:
    program = Program.load(model)
    data = [one for one in seglearn.split("test") if one.person == "10"]

    async def whole(live_: Live) -> list[list[int]]:
        async with shown(live_) as page:
            await page.js("edgeflow.source.set({ restart: true })")
            await page.until("edgeflow.tally.steps >= 2000", 60)
            await page.js("edgeflow.source.set({ paused: true })")
            await asyncio.sleep(0.3)
            counted = "[edgeflow.tally.steps, edgeflow.tally.confusion.map(row => [...row])]"
            return await page.js(counted)

    with live(model, "--speed", "20", "--person", "10") as shown_:
        steps, matrix = asyncio.run(whole(shown_))
    n = program.window
    x = np.concatenate([one.x[: len(one.x) // n * n].reshape(-1, n, 6) for one in data])
    truth = np.concatenate([[one.label] * (len(one.x) // n) for one in data])
    names = list(program.classes)
    decided = [names.index(one) for one in program.predict(x[: steps // n])]
    wanted = np.zeros((len(names), len(names)), int)
    np.add.at(wanted, (truth[: steps // n], decided), 1)
    assert matrix == wanted.tolist()


#: Of a model of each kind: what its page must show, in words.
KINDS = {
    "values": "document.querySelectorAll('#bars li').length === 7 && document.getElementById('matrix')"
    ".offsetParent === null && document.getElementById('decision').offsetParent === null"
    " && [...document.querySelectorAll('#bars b')].every((b) => /^[−\\d.e]+$/.test(b.textContent))",
    "stream": "edgeflow.tally.counted > 150 && edgeflow.tally.counted === edgeflow.tally.steps - 50",
    "early": "/^after [1-9]\\d? of 100 samples$/.test(document.getElementById('after').textContent)",
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_of_models_are_shown(kind: str, model: Path, tmp_path: Path) -> None:
    program = Program.load(model)
    known = {key: program.metadata[key] for key in ("data", "units")}
    made = {
        "values": replace(program, classes=(), metadata=known),
        "stream": replace(program, window=0, metadata=known),
        "early": replace(
            program, nodes=(*program.nodes, Cutoff("leave", 7, threshold=0, start=40))
        ),
    }[kind]
    made.save(tmp_path / "model.onnx")

    async def look(live_: Live) -> list[str]:
        async with shown(live_) as page:
            await page.until("edgeflow.tally.steps > 250")
            await page.js("edgeflow.source.set({ paused: true })")
            await page.until(KINDS[kind], 5)
            return page.problems

    with live(tmp_path / "model.onnx", "--speed", "5") as shown_:
        assert asyncio.run(look(shown_)) == []


def test_controls_work_by_keyboard(model: Path) -> None:
    async def press(page: Page, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            await page.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key,
                windowsVirtualKeyCode=code, text="\r" if key == "Enter" else "",
            )  # fmt: skip

    async def use(live_: Live) -> list[str]:
        async with shown(live_) as page:
            await page.js("document.getElementById('speed').focus()")
            for _ in range(4):
                await press(page, "ArrowRight", 39)
            await page.until("document.getElementById('speed-text').textContent === '5×'")
            await page.js("document.getElementById('pause').focus()")
            await press(page, "Enter", 13)
            await page.until("document.getElementById('status').textContent.trim() === 'paused'")
            before = await page.js("edgeflow.tally.steps")
            await asyncio.sleep(0.5)
            assert await page.js("edgeflow.tally.steps") == before
            await press(page, "Enter", 13)
            await page.until("document.getElementById('status').textContent.trim() === 'running'")
            await page.js("document.getElementById('person').focus()")
            await press(page, "ArrowDown", 40)
            await page.until(
                "edgeflow.tally.steps < 50 && document.getElementById('person').value === '10'"
            )
            await page.js("document.getElementById('theme').focus()")
            await press(page, "Enter", 13)
            await page.until("document.documentElement.dataset.theme === 'dark'")
            # the order of the tab key is that of the page
            await page.js("document.activeElement.blur()")
            names = []
            for _ in range(8):
                await press(page, "Tab", 9)
                names.append(await page.js("document.activeElement.id"))
            assert page.problems == []
            return names

    with live(model) as shown_:
        names = asyncio.run(use(shown_))
    order = [name for name in names if name in ("person", "speed", "pause", "restart", "theme")]
    assert set(order) >= {"person", "speed", "pause", "restart"}
    at = order.index("person")
    assert order[at : at + 4] == ["person", "speed", "pause", "restart"]


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_nothing_is_wider_than_the_screen(width: int, model: Path, tmp_path: Path) -> None:
    async def measure(live_: Live) -> tuple[int, list[str]]:
        async with shown(live_, width, 800) as page:
            await page.until("edgeflow.tally.counted > 0")
            await asyncio.sleep(0.6)
            await page.picture(
                tmp_path / f"{width}.png", await page.js("document.body.scrollHeight")
            )
            wide = await page.js("document.documentElement.scrollWidth")
            clipped = await page.js(
                "[...document.querySelectorAll('button, dd, h2, .big')].filter(e => "
                "e.offsetParent && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1)"
                ".map(e => e.textContent)"
            )
            return wide, clipped

    with live(model, "--speed", "5") as shown_:
        wide, clipped = asyncio.run(measure(shown_))
    assert wide <= width and clipped == []


def axe() -> str:
    """Return the source of axe-core: npm's newest, kept in a cache, or that of a PyPI package."""
    npm = shutil.which("npm")
    folder = (
        Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edgeflow-tests" / "axe"
    )
    file = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not file.is_file() and npm is not None:
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(folder), "--no-save", "axe-core@4"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(command, capture_output=True, timeout=120, check=False)
    if not file.is_file():
        found = importlib.util.find_spec("axe_core_python")
        if found is None or not found.submodule_search_locations:
            pytest.skip("no axe-core: npm install axe-core, or pip install axe-core-python")
        file = Path(found.submodule_search_locations[0]) / "axe.min.js"
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(scheme: str, model: Path) -> None:
    source = axe()

    async def look(live_: Live) -> list[str]:
        async with shown(live_, prefers_color_scheme=scheme) as page:
            await page.until("edgeflow.tally.counted > 2")
            await asyncio.sleep(0.6)
            assert await page.js("document.documentElement.dataset.theme") == scheme
            await page.call("Runtime.evaluate", expression=source)
            return await page.js(
                "axe.run().then(r => r.violations.filter(v => ['serious', 'critical'].includes("
                "v.impact)).map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' ')))"
            )

    with live(model, "--speed", "5") as shown_:
        assert asyncio.run(look(shown_)) == []


def test_a_screen_reader_hears_of_changed_decisions_only(model: Path, seglearn: Dataset) -> None:
    program = Program.load(model)
    watch = """(() => { window.heard = []; new MutationObserver(() => heard.push(
      document.getElementById('announce').textContent)).observe(
      document.getElementById('announce'), { childList: true, characterData: true, subtree: true }) })()"""

    async def listen(live_: Live) -> tuple[list[str], int, str]:
        async with shown(live_) as page:
            await page.js(watch)
            await page.js("edgeflow.source.set({ restart: true })")
            await page.until("edgeflow.tally.steps >= 1500", 60)
            await page.js("edgeflow.source.set({ paused: true })")
            await asyncio.sleep(0.3)
            label = await page.js("document.getElementById('plot').getAttribute('aria-label')")
            return await page.js("heard"), await page.js("edgeflow.tally.counted"), label

    with live(model, "--speed", "5") as shown_:
        heard, counted, label = asyncio.run(listen(shown_))
    assert all(one != other for one, other in itertools.pairwise(heard))
    assert 0 < len(heard) < counted
    assert all(one.removeprefix("Decision: ") in program.classes for one in heard)
    assert "Last decision:" in label


@pytest.mark.board
def test_a_killed_board_is_shown_and_the_page_goes_on(model: Path, tmp_path: Path) -> None:
    async def kill(live_: Live) -> float:
        async with shown(live_) as page:
            (emulator,) = live_.children()
            loop = asyncio.get_running_loop()
            os.kill(emulator, signal.SIGKILL)
            began = loop.time()
            await page.until("!document.getElementById('alert').hidden", 10)
            took = loop.time() - began
            text = await page.js("document.getElementById('alert').textContent")
            assert "the board qemu-m4 does not answer; trying again" in text
            steps = await page.js("edgeflow.tally.steps")
            await page.until(f"edgeflow.tally.steps > {steps} + 50", 30)
            assert await page.js("document.getElementById('alert').hidden")
            assert await page.js("edgeflow.tally.mismatches") == 0
            return took

    with live(model, "--board", "qemu-m4") as shown_:
        assert asyncio.run(kill(shown_)) < 2


def test_a_page_outlives_its_server(model: Path) -> None:
    async def end(live_: Live) -> list[str]:
        async with shown(live_) as page:
            live_.process.send_signal(signal.SIGINT)
            await page.until("!document.getElementById('alert').hidden", 10)
            text = await page.js("document.getElementById('alert').textContent")
            return text

    with live(model) as shown_:
        assert "trying again" in asyncio.run(end(shown_))


@pytest.mark.slow
def test_a_minute_is_smooth_and_memory_stays(model: Path) -> None:
    """50 Hz x 6 channels for 60 s: pictures later than 100 ms, and bytes of the page's heap."""

    async def minute(live_: Live) -> tuple[dict[str, int], float]:
        async with shown(live_) as page:
            await asyncio.sleep(5)  # what is compiled on first use
            await page.call("HeapProfiler.enable")

            async def heap() -> float:
                await page.call("HeapProfiler.collectGarbage")
                return float((await page.call("Runtime.getHeapUsage"))["usedSize"])

            before, frames = await heap(), await page.js("edgeflow.frames")
            await asyncio.sleep(60)
            after, now = await heap(), await page.js("edgeflow.frames")
            return {key: now[key] - frames[key] for key in now}, after - before

    with live(model) as shown_:
        frames, grown = asyncio.run(minute(shown_))
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    if load > 1.5 and frames["late"] > 0.01 * frames["all"]:
        assert grown <= 5e6, grown
        pytest.skip(f"{load:.1f} programs wait for each core: no word on {frames}")
    assert shown_.seconds <= 20, "from the command to the page"
    assert frames["all"] >= 1200
    assert frames["late"] <= 0.01 * frames["all"], frames
    assert grown <= 5e6, grown
