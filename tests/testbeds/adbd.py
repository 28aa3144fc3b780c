"""The real adbd, the end of ``adb`` on an Android device, on this machine, at a network port."""

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

#: As ``scripts/adbd.sh`` puts it beside the Python packages.
ROOT = Path(sys.prefix) / "adbd"
ADBD = ROOT / "usr/lib/android-sdk/platform-tools/adbd"


class Proxy(threading.Thread):
    """A network port in front of another, which changes a byte or ends.

    Parameters
    ----------
    port : int
        Of the other.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        #: Text whose first byte arrives changed, once.
        self.spoil: bytes | None = None
        self.cut = False
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._carry, args=[near, far], daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, contextlib.suppress(OSError):
            while not self.cut:
                for one, other in ((near, far), (far, near)):
                    if one not in select.select([near, far], [], [], 0.05)[0]:
                        continue
                    data = one.recv(65536)
                    if not data:
                        return
                    if one is near and self.spoil is not None and self.spoil in data:
                        where = data.index(self.spoil)
                        data = data[:where] + bytes([data[where] ^ 0x10]) + data[where + 1 :]
                        self.spoil = None
                    other.sendall(data)

    def close(self) -> None:
        self._server.close()
        self.cut = True


@contextlib.contextmanager
def device(folder: Path) -> Iterator[Proxy]:
    """Run adbd, with a server of ``adb`` that is its own; the environment of this process knows it.

    Parameters
    ----------
    folder : Path
        Home of both.
    """
    libraries = [str(path) for path in sorted(ROOT.glob("usr/lib/*-linux-gnu"))]
    libraries += [f"{path}/android" for path in libraries]
    port, server = _free_port(), _free_port()
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder),
        "LD_LIBRARY_PATH": ":".join(libraries), "ADBD_PORT": str(port),
    }  # fmt: skip
    with (folder / "adbd.log").open("w") as log:
        daemon = subprocess.Popen(
            [ADBD], env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    before = dict(os.environ)
    os.environ |= {"ANDROID_ADB_SERVER_PORT": str(server), "HOME": str(folder)}
    proxy = Proxy(port)
    try:
        deadline = time.monotonic() + 10
        while "connected" not in _adb("connect", f"127.0.0.1:{proxy.port}"):
            assert time.monotonic() < deadline and daemon.poll() is None
            time.sleep(0.1)
        yield proxy
    finally:
        _adb("kill-server")
        proxy.close()
        daemon.kill()
        daemon.wait()
        os.environ.clear()
        os.environ.update(before)


def _adb(*arguments: str) -> str:
    return subprocess.run(["adb", *arguments], capture_output=True, text=True, timeout=30).stdout


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
