"""A board as a Bluetooth peripheral that Chromium itself emulates (its domain BluetoothEmulation)."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import websockets

from tests.apps.browser import Page

#: What the browser is started with.
FLAGS = ("--enable-experimental-web-platform-features", "--enable-features=WebBluetooth")
_ADDRESS = "09:09:09:09:09:09"
_SERVICE, _TO_BOARD, _FROM_BOARD = (f"6e40000{n}-b5a3-f393-e0a9-e50e24dcca9e" for n in (1, 2, 3))
#: Seconds that a read waits for bytes, and most bytes of a value.
_WAIT, _MOST = 0.05, 512


@contextlib.asynccontextmanager
async def peripheral(page: Page, transport: Any) -> AsyncIterator[dict[str, int]]:
    """Put a board's bytes behind the Nordic UART service; yield how often it was read and written.

    The emulation has no notifications: what comes from the board is read.
    """
    counts, events = {"read": 0, "write": 0}, asyncio.Queue[tuple[str, dict[str, Any]]]()
    page.heard = lambda method, event: events.put_nowait((method, event))
    async with websockets.connect(page.browser, max_size=None) as socket:
        whole = Page(socket, page.browser)
        whole.heard = page.heard
        tasks = [asyncio.create_task(whole.listen())]
        await whole.call("BluetoothEmulation.enable", state="powered-on", leSupported=True)
        await whole.call(
            "BluetoothEmulation.simulatePreconnectedPeripheral", address=_ADDRESS, name="board",
            manufacturerData=[], knownServiceUuids=[_SERVICE],
        )  # fmt: skip
        made = await whole.call(
            "BluetoothEmulation.addService", address=_ADDRESS, serviceUuid=_SERVICE
        )
        for uuid, properties in (
            (_TO_BOARD, {"write": True, "writeWithoutResponse": True}),
            (_FROM_BOARD, {"read": True}),
        ):
            await whole.call(
                "BluetoothEmulation.addCharacteristic", serviceId=made["serviceId"],
                characteristicUuid=uuid, properties=properties,
            )  # fmt: skip
        await page.call("DeviceAccess.enable")
        tasks.append(asyncio.create_task(_serve(page, whole, events, transport, counts)))
        yield counts
        for task in tasks:
            task.cancel()


async def _serve(
    page: Page, whole: Page, events: Any, transport: Any, counts: dict[str, int]
) -> None:
    loop, waiting = asyncio.get_running_loop(), bytearray()
    while True:
        method, event = await events.get()
        if method == "DeviceAccess.deviceRequestPrompted" and event["devices"]:
            chosen = event["devices"][0]["id"]
            with contextlib.suppress(AssertionError):  # it was chosen before
                await page.call("DeviceAccess.selectPrompt", id=event["id"], deviceId=chosen)
        elif method == "BluetoothEmulation.gattOperationReceived":
            await whole.call(
                "BluetoothEmulation.simulateGATTOperationResponse", address=event["address"],
                type=event["type"], code=0,
            )  # fmt: skip
        elif method == "BluetoothEmulation.characteristicOperationReceived":
            counts[event["type"]] += 1
            answer = {}
            if event["type"] == "write":
                transport.write(base64.b64decode(event["data"]))
            else:
                if not waiting:
                    waiting += await loop.run_in_executor(None, transport.read, _WAIT)
                answer["data"] = base64.b64encode(waiting[:_MOST]).decode()
                del waiting[:_MOST]
            await whole.call(
                "BluetoothEmulation.simulateCharacteristicOperationResponse", code=0,
                characteristicId=event["characteristicId"], type=event["type"], **answer,
            )  # fmt: skip
