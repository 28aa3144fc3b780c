"""What the virtual nRF52840 learned is in its flash: there after power-off, whatever cuts a save.

Alone catches a flash driver that erases or writes otherwise than the chip's registers ask for.
"""

import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.device.client import Client
from edgeflow.device.transport import Transport
from edgeflow.errors import DeviceError, NoRoomError, ProtocolError
from edgeflow.program import Program
from edgeflow.program.learning import learned_size
from edgeflow.targets.board import Region, load_board
from edgeflow.targets.elf import Image
from edgeflow.targets.slots import SLOTS, with_slots
from tests.random_nodes.adaptive import ALL, random_learner

if not os.environ.get("CI"):
    pytest.importorskip("unicorn", reason="not installed: unicorn (scripts/setup.sh installs it)")

pytestmark = pytest.mark.board

BOARD = "nrf52840-dk"
PAGE = 4096


class Wire(Transport):
    """The chip's serial port, and its power."""

    def __init__(self) -> None:
        from tests.testbeds.nrf52840.chip import Nrf52840

        super().__init__("virtual nRF52840")
        self._said: queue.Queue[bytes] = queue.Queue()
        self.chip = Nrf52840(self._said.put)

    def read(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self._said.get(timeout=0.02)
            except queue.Empty:
                if not self.chip.powered:
                    raise self.gone("no power") from None
                if time.monotonic() > deadline:
                    return b""

    def write(self, data: bytes) -> None:
        with self.chip.core.visit():
            self.chip.receive(data)

    def close(self) -> None:
        self.chip.core.close()

    def flash(self, build: Build) -> None:
        """Write an image, as a flash tool does: other pages stay."""
        image = (build.directory / "firmware.bin").read_bytes()
        self.chip.core.uc.mem_write(0, image)

    def power_cycle(self) -> None:
        with self.chip.core.visit():
            self.chip.power_off()
            self.chip.power_on()
        while not self._said.empty():
            self._said.get()

    def keep(self, client: Client, *, words: int | None = None, erases: int | None = None) -> bool:
        """Ask the board to keep what it learned; return whether it lost power before it answered.

        It does so with the so-many-th word that it writes, or page that it erases.
        """
        with self.chip.core.visit():
            self.chip.words_left, self.chip.erases_left = words, erases
        try:
            client.keep_learned()
        except DeviceError:
            assert not self.chip.powered
            return True
        with self.chip.core.visit():
            self.chip.words_left = self.chip.erases_left = None
        return False


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


def connected(wire: Wire, program: Program) -> Client:
    return Client(wire, program.hash, boot_time=0.2)


def taught(client: Client, program: Program, seed: int) -> bytes:
    """Let a board and the reference read random samples, and learn; return what both then know."""
    x = np.random.default_rng(seed).integers(-2000, 2000, (40, program.inputs)).astype(np.int16)
    client.forget()
    client.steps(x, reset=True)
    _, state = program.run_on(x[None])
    if program.learns:
        client.learn(seed % program.outputs)
        state = program.learn(state, seed % program.outputs)
    blob = client.save_learned()
    assert blob == program.save_learned(state)
    return blob


@pytest.mark.parametrize("kind", ALL)
def test_what_was_learned_is_there_after_power_off(kind: str, wire: Wire, tmp_path: Path) -> None:
    program = random_learner(3, kind, 9, 3)
    wire.flash(compile_program(program, BOARD, tmp_path / "build"))
    wire.power_cycle()
    client = connected(wire, program)
    fresh = client.save_learned()
    with pytest.raises(ProtocolError, match="keeps nothing"):
        client.load_kept()
    blob = taught(client, program, 1)
    assert blob != fresh
    client.keep_learned()
    taught(client, program, 2)  # not kept
    wire.power_cycle()
    client = connected(wire, program)
    assert client.save_learned() == blob
    x = np.random.default_rng(5).integers(-2000, 2000, (30, program.inputs)).astype(np.int16)
    expected = program.run_on(x[None], program.load_learned(blob))[0][0]
    np.testing.assert_array_equal(client.steps(x, reset=True).y, expected)
    client.forget()
    np.testing.assert_array_equal(client.steps(x, reset=True).y, program.run(x[None])[0])
    client.load_kept()
    np.testing.assert_array_equal(client.steps(x, reset=True).y, expected)
    client.forget()
    client.keep_learned()
    with wire.chip.core.visit():
        wire.chip.reset()
    assert connected(wire, program).save_learned() == fresh


def test_a_cut_leaves_the_old_or_the_new(wire: Wire, tmp_path: Path) -> None:
    """At each word that a save writes and at each page that it erases, in both slots."""
    program = random_learner(4, "prototypes", 3, 2)
    wire.flash(compile_program(program, BOARD, tmp_path / "build"))
    wire.power_cycle()
    client = connected(wire, program)
    words = -(-learned_size(program) // 4) + 2
    kept = taught(client, program, 0)
    assert not wire.keep(client)
    found = {"old": 0, "new": 0}
    cuts = [{"erases": 1}, *({"words": n} for n in range(1, words + 1))]
    for seed, cut in enumerate([*cuts, *cuts], start=1):
        new = taught(client, program, seed)
        assert new != kept
        assert wire.keep(client, **cut), cut
        wire.power_cycle()
        client = connected(wire, program)
        there = client.save_learned()
        assert there in (kept, new), cut
        found["new" if there == new else "old"] += 1
        kept = new
        client.load_learned(new)
        assert not wire.keep(client)  # the next one works; each goes to the other slot
        if seed == len(cuts):
            assert not wire.keep(client)
    # with its last word a blob is whole
    assert found == {"old": 2 * (len(cuts) - 1), "new": 2}


def test_another_programs_learning_is_refused(wire: Wire, tmp_path: Path) -> None:
    one, other = (random_learner(seed, "prototypes", 9, 3) for seed in (3, 4))
    assert learned_size(one) == learned_size(other)
    builds = [compile_program(p, BOARD, tmp_path / str(n)) for n, p in enumerate((one, other))]
    wire.flash(builds[0])
    wire.power_cycle()
    client = connected(wire, one)
    blob = taught(client, one, 1)
    client.keep_learned()
    wire.flash(builds[1])
    wire.power_cycle()
    client = connected(wire, other)
    assert client.save_learned() == other.save_learned(other.initial_state())
    with pytest.raises(ProtocolError, match="nothing of this program"):
        client.load_kept()
    wire.flash(builds[0])
    wire.power_cycle()
    assert connected(wire, one).save_learned() == blob


def test_a_worn_out_flash_is_told_of(wire: Wire, tmp_path: Path) -> None:
    """A word that is not what was written: the save fails, and what was kept is still there."""
    program = random_learner(4, "prototypes", 3, 2)
    wire.flash(compile_program(program, BOARD, tmp_path / "build"))
    wire.power_cycle()
    client = connected(wire, program)
    kept = taught(client, program, 0)
    client.keep_learned()
    slots = with_slots(load_board(BOARD), learned_size(program)).memory[SLOTS]
    wire.chip.flips.add(slots.base + slots.size // 2 + 4)
    taught(client, program, 1)
    with pytest.raises(ProtocolError, match="its flash failed"):
        client.keep_learned()
    wire.power_cycle()
    assert connected(wire, program).save_learned() == kept


def test_an_image_that_reaches_into_the_slots_does_not_link(tmp_path: Path) -> None:
    program = random_learner(3, "head", 9, 3)
    build = compile_program(program, BOARD, tmp_path / "build")
    board = load_board(BOARD)
    slots = with_slots(board, learned_size(program)).memory[SLOTS]
    assert slots.base + slots.size == board.memory["flash"].size
    assert all(section.end <= slots.base for section in Image(build.elf).sections if section.data)
    size = (build.directory / "firmware.bin").stat().st_size
    pages = -(-size // PAGE)
    for more, fits in ((slots.size, True), (slots.size - PAGE, False)):
        flash = Region(base=0, size=pages * PAGE + more)
        small = board.model_copy(update={"memory": {**board.memory, "flash": flash}})
        if fits:
            compile_program(program, small, tmp_path / "fits")
        else:
            with pytest.raises(NoRoomError, match=f"of {flash.size - slots.size:,} bytes of flash"):
                compile_program(program, small, tmp_path / "not")
