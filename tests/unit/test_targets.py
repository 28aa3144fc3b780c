"""Board and core files: all shipped ones load, and each mistake gets one line that names the key."""

import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from edgeflow.errors import TargetError, ToolMissingError
from edgeflow.resources import resource
from edgeflow.targets.board import drivers, list_boards, load_board
from edgeflow.targets.core import load_core
from edgeflow.targets.pins import pin_number
from edgeflow.targets.soc import soc_files
from edgeflow.targets.toolchain import board_defines, board_sources
from edgeflow.targets.tools import find_tool

NAMES = [board.name for board in list_boards()]

GOOD = """
description = "a board"
core = "cortex-m4"
soc = "cortexm"
clock_hz = 25_000_000
stack = "4K"

[memory.flash]
base = 0x0800_0000
size = "256K"

[memory.ram]
base = 0x2000_0000
size = 65536

[uart]
driver = "cmsdk"
base = 0x4000_4000
irq = 0

[runner]
kind = "qemu"
system = "arm"
machine = "mps2-an386"
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


def test_shipped_boards_in_order_of_size():
    order = ["atmega", "cortex-m", "rv", "cortex-a", "host"]
    families = [next(f for f in order if b.core.name.startswith(f)) for b in list_boards()]
    assert families == sorted(families, key=order.index) and set(families) == set(order)
    sizes = [int(re.sub(r"\D", "", b.core.name) or 0) for b in list_boards()]
    pairs = zip(pairwise(families), pairwise(sizes), strict=True)
    assert all(low <= high for (family, after), (low, high) in pairs if family == after)


def test_every_shipped_core_loads_and_has_portable_kernels():
    files = sorted((resource("targets") / "cores").glob("*.toml"))
    assert {board.core.name for board in list_boards()} == {file.stem for file in files}
    for file in files:
        core = load_core(file.stem)
        assert core.name == file.stem
        assert core.kernels[-1] == "c"


@pytest.mark.parametrize("name", NAMES)
def test_shipped_board_has_its_files(name):
    board = load_board(name)
    if board.uart is None:
        assert board.soc is None and not board.memory
        return
    assert "link.ld" in soc_files(board.soc)
    assert drivers("uart", board.soc)[board.uart.driver].is_file()
    assert board.runner.bare_metal
    assert {board.core.compiler, *board.runner.tools} == set(board.tools)
    assert board.runs_here or board.sources, "a real board says where its numbers are from"


def test_sizes_and_name_of_a_file(write):
    board = load_board(write(GOOD))
    assert board.name == "mine"
    assert board.memory["flash"].size == 256 * 1024
    assert board.memory["ram"].size == 65536
    assert board.stack == 4096
    assert board.core == load_core("cortex-m4")


@pytest.mark.parametrize(
    ("pin", "number"),
    [
        ("P0.06", 6),
        ("P1.3", 35),
        ("PA2", 2),
        ("PD8", 56),
        ("PG15", 111),
        ("GP0", 0),
        ("GPIO21", 21),
    ],
)
def test_pins_reach_c_as_numbers(write, pin, number):
    text = GOOD.replace("irq = 0", f'irq = 0\ntx = "{pin}"\nrx = "PB0"\naf = 7')
    defines = board_defines(load_board(write(text)))
    assert defines["EF_UART_TX"] == f"{number}u"
    assert (defines["EF_UART_RX"], defines["EF_UART_AF"]) == ("16u", "7u")


@pytest.mark.parametrize("pin", ["", "PA", "P0.32", "PL0", "GP64", "2", "pa2", "PA²"])
def test_what_is_no_pin(pin):
    with pytest.raises(ValueError, match="is no pin"):
        pin_number(pin)


def test_unverified_keys_are_in_the_file(write):
    keys = ["clock_hz", "memory.ram.size", "uart.irq", "runner.machine"]
    text = GOOD.replace(
        "[memory.flash]", f"sources = ['a sheet']\nunverified = {keys}\n[memory.flash]"
    )
    board = load_board(write(text))
    assert (board.sources, list(board.unverified)) == (("a sheet",), keys)


def test_core_beside_the_board_file(write, tmp_path):
    cores = tmp_path / "cores"
    cores.mkdir()
    shipped = (resource("targets") / "cores" / "cortex-m3.toml").read_text()
    (cores / "my-core.toml").write_text(shipped)
    board = load_board(write(GOOD.replace('"cortex-m4"', '"my-core"')))
    assert board.core.name == "my-core"
    assert board.core.flags == load_core("cortex-m3").flags


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('size = "256K"', 'size = "256X"', "memory.flash.size: '256X' is not a size"),
        ('size = "256K"', "size = 0", "memory.flash.size: "),
        ('size = "256K"', "size = true", "memory.flash.size: "),
        ("base = 0x2000_0000", "base = 0x0803_F000", "memory.ram: overlaps memory.flash"),
        ('stack = "4K"', 'stack = "1M"', "stack: must be more than 0 and at most memory.ram.size"),
        ('stack = "4K"', "", "stack: must be more than 0 and at most memory.ram.size"),
        (
            'driver = "cmsdk"',
            'driver = "pl012"',
            "uart.driver: no UART driver 'pl012'; did you mean 'pl011'? known: 16550",
        ),
        (
            'soc = "cortexm"',
            'soc = "cortexn"',
            "soc: no soc 'cortexn'; did you mean 'cortexm'? known",
        ),
        ("irq = 0", "irq = 0\ncolour = 1", "uart.colour: unknown key"),
        ("irq = 0", "", "uart.irq: missing key"),
        ('machine = "mps2-an386"', "", "runner.machine: missing key"),
        ('machine = "mps2-an386"', 'cpu = "x"', "runner.machine: missing key"),
        ('kind = "qemu"', 'kind = "jtag"', "runner.kind: must be one of 'qemu', 'qemu-user', "),
        ('kind = "qemu"', "", "runner.kind: missing key"),
        ('soc = "cortexm"', "", "memory: only a board with a 'soc' has one"),
        ("clock_hz = 25_000_000", "", "uart.clock_hz: missing key"),
        ('"a board"', "7", "description: "),
        ("[memory.flash]", "[memory.rom]", "memory.flash: missing key"),
        ('core = "cortex-m4"', 'core = "cortex-m5"', "core: no core 'cortex-m5'; did you mean"),
        ('core = "cortex-m4"', "", "core: missing key"),
        ('core = "cortex-m4"', 'name = "x"', "name: unknown key"),
        ('core = "cortex-m4"', "core = ", "not valid TOML"),
        ("[uart]", '[placement]\nweights = "tcm"\n[uart]', "placement.weights: no memory 'tcm'"),
        ("[uart]", "[memory.weights]\nbase = 0\nsize = 16\n[uart]", "memory.weights: a memory's"),
        ("irq = 0", 'irq = 0\ntx = "PA2"', "uart: rx: missing key"),
        ("irq = 0", 'irq = 0\ntx = "PA16"\nrx = "PA3"', "uart.tx: 'PA16' is no pin: write it"),
        ("irq = 0", "irq = 0\naf = 7", "uart: tx: missing key"),
        ("[memory.flash]", 'unverified = ["uart.baud"]\n[memory.flash]', "unverified: there is no"),
        ("[memory.flash]", 'unverified = ["core.prefix"]\n[memory.flash]', "unverified: there is"),
        ("[uart]", '[memory."a b"]\nbase = 0\nsize = 16\n[uart]', "memory.a b: a memory's name"),
    ],
)
def test_mistake_is_named_in_one_line(write, old, new, message):
    assert old in GOOD
    path = write(GOOD.replace(old, new, 1))
    with pytest.raises(TargetError) as error:
        load_board(path)
    text = str(error.value)
    assert text.startswith(f"{path}: {message}")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('base = "cortexn"', "base: no family 'cortexn' with a link.ld"),
        ('base = "stm32f4"', "base: no family 'stm32f4' with a link.ld"),
        ('base = "../cores"', "base: "),
        ("boot_crc = 1", "boot_crc: unknown key"),
    ],
)
def test_mistake_in_a_soc_file_is_named(write, tmp_path, text, message):
    folder = tmp_path / "soc" / "own"
    folder.mkdir(parents=True)
    (folder / "soc.toml").write_text(text)
    with pytest.raises(TargetError) as error:
        load_board(write(GOOD.replace('"cortexm"', '"own"')))
    assert f"soc.toml: {message}" in str(error.value) and "\n" not in str(error.value)


def test_a_family_has_the_files_of_its_base_and_its_own_instead(write, tmp_path):
    folder = tmp_path / "soc" / "own"
    folder.mkdir(parents=True)
    (folder / "soc.toml").write_text('base = "cortexm"')
    (folder / "ef_hal_cycles.c").write_text("/* mine */")
    board = load_board(write(GOOD.replace('"cortexm"', '"own"')))
    files = soc_files(board.soc)
    assert files["ef_hal_cycles.c"] == folder / "ef_hal_cycles.c"
    assert files["start.c"] == resource("targets") / "soc" / "cortexm" / "start.c"
    sources = board_sources(board)
    assert sources[0] == files["start.c"] and sources.count(files["ef_hal_cycles.c"]) == 1


def test_mistake_in_a_core_file_is_named(write, tmp_path):
    (tmp_path / "cores").mkdir()
    (tmp_path / "cores" / "odd.toml").write_text(
        'description = "odd"\nprefix = ""\ndisassembler = "native"\nkernels = ["asm"]\n'
    )
    with pytest.raises(
        TargetError, match=r"odd\.toml: kernels\.0: no kernel set 'asm'; known: armv6m"
    ):
        load_board(write(GOOD.replace("cortex-m4", "odd")))


def test_unknown_board_suggests_a_near_name():
    with pytest.raises(TargetError) as error:
        load_board("qemu-m5")
    assert str(error.value).startswith("no board 'qemu-m5'; did you mean 'qemu-m")
    assert str(error.value).endswith("? 'edgeflow boards' lists them")
    with pytest.raises(TargetError, match="^no board 'zzz'; 'edgeflow boards' lists them$"):
        load_board("zzz")


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(TargetError, match="no such file"):
        load_board(tmp_path / "none.toml")
    with pytest.raises(TargetError):
        load_board(tmp_path)  # a folder is no board either


def test_missing_tool_names_the_packages(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("arm-none-eabi-gcc") is None
    with pytest.raises(ToolMissingError) as error:
        find_tool("arm-none-eabi-gcc")
    assert str(error.value) == (
        "arm-none-eabi-gcc is not installed: "
        "sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
    )
