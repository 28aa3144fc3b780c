"""A headless Chromium, driven through its DevTools protocol."""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import websockets

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_START = 30.0  # seconds


def find_browser() -> str:
    """Return a browser's path; skip without one."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium-headless-shell")
    return found


class Page:
    """A tab: commands, scripts, and what it logged and requested."""

    def __init__(self, socket: Any, browser: str) -> None:
        self._socket = socket
        self.browser = browser  # its own address: of commands that are no tab's
        self._number = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.heard: Callable[[str, dict[str, Any]], None] = lambda method, event: None

    async def listen(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            else:
                self._note(message["method"], message["params"])

    def _note(self, method: str, event: dict[str, Any]) -> None:
        self.heard(method, event)
        if method == "Runtime.exceptionThrown":
            detail = event["exceptionDetails"]
            self.problems.append(detail.get("exception", {}).get("description") or detail["text"])
        elif method == "Runtime.consoleAPICalled" and event["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.problems.append(" ".join(str(a.get("value")) for a in event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{event['entry']['text']} {event['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(event["url"])

    async def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        future = self._answers[self._number] = asyncio.get_running_loop().create_future()
        text = json.dumps({"id": self._number, "method": method, "params": parameters})
        await self._socket.send(text)
        message = await asyncio.wait_for(future, 60)
        assert "error" not in message, f"{method}: {message['error']}"
        return message["result"]

    async def js(self, code: str) -> Any:
        """Return the value of an expression, awaited if it is a promise."""
        result = await self.call(
            "Runtime.evaluate",
            expression=code,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, code: str, seconds: float = 60.0) -> Any:
        """Wait until an expression is true; return its value."""
        async with asyncio.timeout(seconds):
            while not (value := await self.js(code)):
                await asyncio.sleep(0.05)
        return value

    async def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        await self.size(width, height)
        await self.call("Page.navigate", url=url)

    async def size(self, width: int, height: int) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    async def media(self, **features: str) -> None:
        """Set what media queries see: prefers_color_scheme="dark"."""
        found = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=found)

    async def picture(self, file: Path, height: int | None = None) -> None:
        """Save a PNG of the window, or of the page's first `height` pixels."""
        clip = {}
        if height is not None:
            width = await self.js("innerWidth")
            area = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            clip = {"clip": area, "captureBeyondViewport": True}
        found = await self.call("Page.captureScreenshot", format="png", **clip)
        file.write_bytes(base64.b64decode(found["data"]))


@contextlib.asynccontextmanager
async def browser(*flags: str) -> AsyncIterator[Page]:
    """Yield a new tab of a new browser that has no profile."""
    program = find_browser()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            program, "--headless=new", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", *flags, "about:blank",
        ]  # fmt: skip
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # it refuses to run as root otherwise
        # Debian's command is a script around the program: a group of their own ends as one
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            address = await _address(Path(profile) / "DevToolsActivePort", process)
            async with websockets.connect(address, max_size=None) as whole:
                created = {
                    "id": 1,
                    "method": "Target.createTarget",
                    "params": {"url": "about:blank"},
                }
                await whole.send(json.dumps(created))
                target = json.loads(await whole.recv())["result"]["targetId"]
            tab = address.split("/devtools/")[0] + f"/devtools/page/{target}"
            async with websockets.connect(tab, max_size=None) as socket:
                page = Page(socket, address)
                listening = asyncio.create_task(page.listen())
                for domain in ("Runtime", "Log", "Network", "Page"):
                    await page.call(f"{domain}.enable")
                yield page
                listening.cancel()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _address(file: Path, process: subprocess.Popen[bytes]) -> str:
    async with asyncio.timeout(_START):
        while not (file.exists() and file.read_text().count("\n")):
            assert process.poll() is None, "the browser ended"
            await asyncio.sleep(0.05)
    port, path = file.read_text().split("\n")[:2]
    return f"ws://127.0.0.1:{port}{path}"
