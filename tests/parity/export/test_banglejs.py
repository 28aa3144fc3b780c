"""The app of the Bangle.js 2 (tier parity): its machine code has no relocation left and gives the
oracle's bits at any address, even when it is moved between two calls; its JavaScript asks the watch
for the right samples and shows what the machine code says.

It alone would catch an address that is not prepared, and a field that C and JavaScript see apart.
"""

import base64
import json
import re
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeflow
from edgeflow.errors import ExportError
from edgeflow.program import Program
from tests.parity.export.machines import ECOSYSTEMS
from tests.parity.export.watch_programs import movement, stream, watch_program
from tests.random_nodes.draw import DRAW
from tests.random_programs import random_program

G = np.float32(9.80665)
#: Of the app's memory, from its beginning: sensors, time, class, share.
FIELDS = struct.Struct("<3fIii")

pytestmark = pytest.mark.board  # the export itself takes the cross-compiler


def code_of(app: Path, name: str = "gait") -> bytes:
    (text,) = re.findall(r'^atob\("(.+)"\)$', (app / f"{name}.bin.js").read_text(), re.M)
    return base64.b64decode(text)


class Processor:
    """A Cortex-M4 with nothing but the code, the app's memory and a stack."""

    STACK, MEMORY, RETURN = 0x30000000, 0x31000000, 0x32000000

    def __init__(self) -> None:
        unicorn = pytest.importorskip("unicorn", reason="unicorn is not installed")
        from unicorn import arm_const as arm

        self.arm = arm
        self.uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        for start in (self.STACK, self.MEMORY, self.RETURN):
            self.uc.mem_map(start, 0x10000)
        self.uc.mem_map(0x20000000, 0x100000)

    def call(self, code: int) -> int:
        """Call the code at an address with the app's memory; the stack must come back."""
        uc, arm = self.uc, self.arm
        uc.reg_write(arm.UC_ARM_REG_SP, self.STACK + 0x8000)
        uc.reg_write(arm.UC_ARM_REG_R0, self.MEMORY)
        uc.reg_write(arm.UC_ARM_REG_LR, self.RETURN | 1)
        uc.emu_start(code | 1, self.RETURN, count=2_000_000)
        assert uc.reg_read(arm.UC_ARM_REG_SP) == self.STACK + 0x8000
        assert uc.reg_read(arm.UC_ARM_REG_PC) & ~1 == self.RETURN
        return int(uc.reg_read(arm.UC_ARM_REG_R0))

    def answers(
        self, blob: bytes, samples: np.ndarray, addresses: list[int]
    ) -> list[tuple[int, int, int]]:
        """Return decisions, class and share after each sample [n, 3].

        The code is at each address in turn, and goes to the next one with all that it has changed.
        """
        uc, found = self.uc, []
        uc.mem_write(self.MEMORY, bytes(0x10000))
        uc.mem_write(addresses[0], blob)
        for number, sample in enumerate(samples):
            at = addresses[number % len(addresses)]
            uc.mem_write(self.MEMORY, sample.astype("<f4").tobytes())
            decisions = self.call(at)
            _, _, _, _, decision, share = FIELDS.unpack(uc.mem_read(self.MEMORY, FIELDS.size))
            found.append((decisions, decision, share))
            code = bytes(uc.mem_read(at, len(blob)))
            uc.mem_write(at, b"\xff" * len(blob))
            uc.mem_write(addresses[(number + 1) % len(addresses)], code)
        return found


@pytest.fixture(scope="module")
def program() -> Program:
    return watch_program()


@pytest.fixture(scope="module")
def app(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bangle") / "app"
    edgeflow.export(program, "banglejs", folder, name="gait")
    return folder


def in_g(samples: int) -> np.ndarray:
    """Return accelerations as the watch gives them: multiples of 1/8192 g within 4 g."""
    return np.clip(np.rint(movement(samples, 3, seed=6) / G * 8192), -32768, 32767) / 8192


def expected(program: Program, samples: np.ndarray) -> list[tuple[int, ...]]:
    factors = np.float32(9.80665) * np.array([1, -1, -1], np.float32)
    time = np.arange(1, len(samples) + 1, dtype=np.int64) * 20_000
    return stream(program, samples.astype(np.float32) * factors, time)


@pytest.mark.parametrize("address", [0x20000000, 0x20001234, 0x200ABCD8])
def test_code_gives_the_oracles_bits_at_any_address(
    address: int, program: Program, app: Path
) -> None:
    samples = in_g(300)
    processor = Processor()
    found = processor.answers(code_of(app), samples, [address])
    wanted = expected(program, samples)
    decided = [(decision, share) for decisions, decision, share in found if decisions]
    assert len(decided) == len(wanted) and len({decision for decision, _ in decided}) > 1
    for (decision, share), y in zip(decided, wanted, strict=True):
        odds = np.exp((np.array(y) - max(y)) * program.output_scale)
        assert decision == int(np.argmax(y)) and abs(share - 100 / odds.sum()) <= 1
    memory = bytes(processor.uc.mem_read(Processor.MEMORY, 4096))
    assert np.array(wanted[-1], "<i2").tobytes() in memory  # all outputs, bit for bit


def test_code_may_move_between_calls(program: Program, app: Path) -> None:
    samples, blob = in_g(120), code_of(app)
    still = Processor().answers(blob, samples, [0x20000000])
    moved = Processor().answers(blob, samples, [0x20004000, 0x20001238, 0x200A0004])
    assert moved == still


def test_no_relocation_is_left(app: Path) -> None:
    """Places are words in the code that hold offsets in it, before it has run."""
    blob = code_of(app)
    _, memory, count, base, places = struct.unpack_from("<IHHII", blob)
    assert 0 < count < 100 and base == 0 and len(blob) == places + 4 * count
    assert memory % 8 == 0 and memory < 2048
    offsets = struct.unpack_from(f"<{count}I", blob, places)
    assert list(offsets) == sorted(set(offsets)) and offsets[-1] + 4 <= places
    for offset in offsets:
        (target,) = struct.unpack_from("<I", blob, offset)
        assert 16 <= target & ~1 < places
    assert len(blob) <= 24_000


def test_every_layer_can_be_moved(tmp_path: Path) -> None:
    stack = random_program(3, 3, [6] * len(DRAW), 4, 12, 12, cells=list(DRAW), delta=True)
    form = replace(stack.input, channels=("ax", "ay", "az"), scale=np.full(3, 0.01, np.float32))
    program = replace(stack, input=form, rate_hz=50.0, metadata={"units": ["m/s2"] * 3}, window=9)
    edgeflow.export(program, "banglejs", tmp_path / "app", name="all_of_them")
    samples = in_g(40)
    processor = Processor()
    found = processor.answers(code_of(tmp_path / "app", "all_of_them"), samples, [0x20000040])
    wanted = expected(program, samples)
    shares = [share for decisions, _, share in found if decisions]
    # thousandths of the first output, cut off
    assert shares == [
        int(np.float32(y[0]) * np.float32(program.output_scale * 1000)) for y in wanted
    ]


def test_app_shows_what_the_code_answers(program: Program, app: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed: apt-get install nodejs")
    samples, blob = in_g(100), code_of(app)
    answers = Processor().answers(blob, samples, [0x20000000])
    scene = {
        "name": "gait", "code": base64.b64encode(blob).decode(), "samples": samples.tolist(),
        "answers": answers,
    }  # fmt: skip
    command = ["node", ECOSYSTEMS / "banglejs" / "bangle.js", app / "gait.app.js"]
    done = subprocess.run(command, input=json.dumps(scene), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    log = json.loads(done.stdout)
    assert np.array_equal(np.array(log["sensors"]), samples.astype(np.float32))
    shown = [(program.classes[d], f"{share} %") for decisions, d, share in answers if decisions]
    assert log["shown"] == [text for pair in shown for text in pair] and len(shown) == 5
    # 50 samples per second: off, rate with its filter, on; and back to 12.5 when the app ends
    assert log["asked"] == [[0x18, 0x6C], [0x1B, 0x42], [0x18, 0xEC]] and log["interval"] == 20
    assert log["restored"] == [[[0x18, 0x6C], [0x1B, 0], [0x18, 0xEC]], 80]


def test_metadata_names_what_is_there(app: Path) -> None:
    about = json.loads((app / "metadata.json").read_text())
    assert {"id", "name", "version", "description", "icon", "tags", "supports"} <= about.keys()
    files = [about["icon"], about["readme"], *(one["url"] for one in about["storage"])]
    assert all((app / file).is_file() for file in files)
    assert {one["name"] for one in about["storage"]} == {"gait.app.js", "gait.bin", "gait.img"}
    (text,) = re.findall(r'^atob\("(.+)"\)$', (app / "app-icon.js").read_text(), re.M)
    icon = base64.b64decode(text)
    assert icon[:3] == bytes((48, 48, 1)) and len(icon) == 3 + 48 * 48 // 8
    assert f"{len(code_of(app)):,} bytes" in (app / "README.md").read_text()


def test_long_names_are_refused(program: Program, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="at most 21 letters"):
        edgeflow.export(program, "banglejs", tmp_path / "app", name="x" * 22)
