"""Processes that read inputs, with limits of time and memory, so that no crash goes unseen."""

import faulthandler
import json
import multiprocessing
import os
import resource
import shutil
import signal
import struct
import warnings
from pathlib import Path

from tests.input_fuzz.doors import DOORS, content_of, wrong

#: Seconds of the processor, and of the clock as the machine may be busy, for one input.
SECONDS, CLOCK = 10, 60
#: Most memory that reading may add to a process: of what is resident, as the system counts it.
MEMORY = 2 << 30
#: Where a process gets no more, so that the machine lives on.
_END = 8 << 30
#: Failures of a kind after which it is left.
_ENOUGH = 25
_CLEAR_EVERY = 200


def run(
    kind: str, contents: list[bytes], numbers: range, folder: Path, found: list[tuple[int, str]]
) -> None:
    """Read inputs in a process of its own, and in another where that ends; add what goes wrong.

    A process ends by SIGPROF or SIGALRM where an input takes too long, and by itself where one
    takes too much memory.
    """
    spawn = multiprocessing.get_context("spawn")
    folder.mkdir(parents=True, exist_ok=True)
    while numbers and len(found) < _ENOUGH:
        (folder / "at").write_bytes(struct.pack("q", -1))
        process = spawn.Process(target=_work, args=(kind, contents, numbers, folder))
        process.start()
        process.join()
        lines = (folder / "wrong").read_text() if (folder / "wrong").exists() else ""
        (folder / "wrong").unlink(missing_ok=True)
        found += [tuple(json.loads(line)) for line in lines.splitlines()]
        if process.exitcode == 0:
            return
        at = struct.unpack("q", (folder / "at").read_bytes())[0]
        if at < 0:
            raise RuntimeError(f"{kind}: no process starts ({process.exitcode})")
        if not found or found[-1][0] != at:
            found.append((at, _ended(process.exitcode) + (folder / "stack").read_text()[-3000:]))
        numbers = range(at + numbers.step, numbers.stop, numbers.step)


def _ended(code: int | None) -> str:
    if code == -signal.SIGPROF:
        return f"more than {SECONDS} s of the processor\n"
    if code == -signal.SIGALRM:
        return f"more than {CLOCK} s\n"
    return f"the process ended with {code}\n"


def _work(kind: str, contents: list[bytes], numbers: range, folder: Path) -> None:
    warnings.simplefilter("ignore")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    silence = os.open(folder / "printed", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    resource.setrlimit(resource.RLIMIT_DATA, (_END, _END))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    stack = (folder / "stack").open("w")
    faulthandler.enable(stack)
    for number in (signal.SIGPROF, signal.SIGALRM):
        faulthandler.register(number, stack, chain=True)
    door, at = DOORS[kind], os.open(folder / "at", os.O_WRONLY)
    path = folder / door.name
    path.write_bytes(contents[0])
    wrong(door.read, path)  # loads libraries
    before = _peak()
    with (folder / "wrong").open("w") as file:
        for count, number in enumerate(numbers):
            os.pwrite(at, struct.pack("q", number), 0)
            path.write_bytes(content_of(kind, contents, number))
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.setitimer(signal.ITIMER_REAL, CLOCK)
            text = wrong(door.read, path)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if os.fstat(silence).st_size and "Traceback" in (folder / "printed").read_text(
                errors="replace"
            ):
                text = f"printed {(folder / 'printed').read_text(errors='replace')[-2000:]}. {text}"
            os.truncate(silence, 0)
            if _peak() - before > MEMORY:
                text = f"{(_peak() - before) >> 20} MiB of memory. {text}"
            if text:
                file.write(json.dumps([number, text]) + "\n")
                file.flush()
            if "MiB of memory" in text:
                os._exit(3)
            if count % _CLEAR_EVERY == 0:
                shutil.rmtree(folder / "cache", ignore_errors=True)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
