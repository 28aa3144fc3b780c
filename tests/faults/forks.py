"""Commands as processes that can be killed, without the seconds that imports take.

A server imports what the commands need and forks for each; a child is a process like any other.
Run as a module it is the server: a JSON request a line on stdin, a JSON answer a line on stdout.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

#: Environment variable by which programs that a command starts are known.
MARK = "EDGEFLOW_TEST_FAULT"


class Forks:
    """The server, from outside.

    Parameters
    ----------
    environment : dict
        Of all commands.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).resolve().parent.parent.parent, env=environment,
        )  # fmt: skip
        assert self._ask({})["ready"]

    def start(self, *arguments: str | Path, folder: Path, **environment: str) -> int:
        """Start a command; return the number of its process."""
        request = {
            "arguments": [str(a) for a in arguments],
            "folder": str(folder),
            "environment": environment,
        }
        return int(self._ask(request)["pid"])

    def kill(self, pid: int) -> None:
        """Kill a process that `wait` was not called for yet; no error if it has ended."""
        os.kill(pid, signal.SIGKILL)

    def wait(self, pid: int) -> tuple[int, str]:
        """Return the exit code of a process, negative after a signal, and its stderr."""
        found = self._ask({"wait": pid})
        return int(found["code"]), str(found["stderr"])

    def run(self, *arguments: str | Path, folder: Path, **environment: str) -> tuple[int, str]:
        """Run a command to its end."""
        return self.wait(self.start(*arguments, folder=folder, **environment))

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def offspring(mark: str, patience: float = 20.0) -> list[str]:
    """Return programs that a killed command started and that still run after some seconds."""
    wanted = f"{MARK}={mark}".encode()
    end = time.monotonic() + patience
    while True:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                pass  # it ended
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


def _serve() -> None:
    import matplotlib.figure  # noqa: F401
    import onnx  # noqa: F401
    import torch
    import torch._dynamo

    import edgeflow.cli
    import edgeflow.exporting.library
    import edgeflow.profiling.compare
    import edgeflow.profiling.report
    import edgeflow.recipes.search
    import edgeflow.training  # noqa: F401

    torch.set_num_threads(1)  # a fork has one
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    told: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "arguments" in request:
            heard = os.memfd_create("stderr")
            pid = os.fork()
            if pid == 0:
                _become(request, heard)
            told[pid] = heard
            answer: dict[str, Any] = {"pid": pid}
        elif "wait" in request:
            code = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
            heard = told.pop(request["wait"])
            text = os.pread(heard, os.fstat(heard).st_size, 0).decode("utf-8", "replace")
            os.close(heard)
            answer = {"code": code, "stderr": text}
        else:
            answer = {"ready": True}
        print(json.dumps(answer), file=answers, flush=True)


def _become(request: dict[str, Any], heard: int) -> None:
    import tempfile

    import edgeflow.cli

    code = 70
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for old, new in ((nothing, 0), (nothing, 1), (heard, 2)):
            os.dup2(old, new)
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        tempfile.tempdir = None  # by the new environment
        sys.argv = ["edgeflow", *request["arguments"]]
        edgeflow.cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
