"""Board files and build folders from elsewhere run no program of their own (tier: unit).

Alone they would catch a key of a board file that reaches a compiler or emulator without being
looked at, a list of known tools that leaves out a board of ours, and a ``build.json`` that leads
out of its folder. That a refused program does not start is tested with the commands (tests/cli).
"""

import json
import shutil
from pathlib import Path

import pytest

from edgeflow.codegen.build import Build
from edgeflow.device.runners import runners
from edgeflow.errors import TargetError
from edgeflow.resources import resource
from edgeflow.targets.board import list_boards, load_board
from edgeflow.targets.core import CoreSpec
from edgeflow.targets.runner import (
    AdbRunner,
    HardwareRunner,
    NativeRunner,
    QemuRunner,
    QemuUserRunner,
)
from edgeflow.targets.trust import TRUSTED_OPTIONS

BOARDS = resource("targets")
CORE = """
description = "a core"
prefix = "arm-none-eabi-"
flags = ["-mcpu=cortex-m4"]
link_flags = []
specs = "nano.specs"
disassembler = "thumb"
kernels = ["c"]
"""


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A board file of one's own, with its core and SoC beside it."""
    shutil.copytree(BOARDS / "soc" / "cortexm", tmp_path / "soc" / "own")
    (tmp_path / "cores").mkdir()
    (tmp_path / "cores" / "own.toml").write_text(CORE)
    text = (BOARDS / "qemu-m4.toml").read_text()
    text = text.replace('core = "cortex-m4"', 'core = "own"').replace('"cortexm"', '"own"')
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


def refused(path: Path) -> str:
    with pytest.raises(TargetError) as error:
        load_board(path)
    text = str(error.value)
    assert "\n" not in text
    assert "--trust-board" in text and str(path) in text
    return text


@pytest.mark.parametrize("name", [board.name for board in list_boards()])
def test_a_copy_of_a_shipped_board_needs_no_trust(name: str, tmp_path: Path) -> None:
    for folder in ("cores", "soc"):
        shutil.copytree(BOARDS / folder, tmp_path / folder)
    copy = shutil.copy(BOARDS / f"{name}.toml", tmp_path)
    assert load_board(copy).core == load_board(name).core


def test_a_board_of_ones_own_needs_none_either(board: Path) -> None:
    assert load_board(board).soc == board.parent / "soc" / "own"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('prefix = "arm-none-eabi-"', 'prefix = "/tmp/evil-"', "core.prefix: '/tmp/evil-gcc'"),
        ('prefix = "arm-none-eabi-"', 'prefix = "./"', "core.prefix"),
        ('prefix = "arm-none-eabi-"', 'prefix = "evil-"', "core.prefix"),
        ('"nano.specs"', '"evil.specs"', "core.specs: 'evil.specs'"),
        ('"nano.specs"', '"/tmp/nano.specs"', "core.specs"),
        *(
            ('"-mcpu=cortex-m4"', f'"{flag}"', f"core.flags: '{flag}'")
            for flag in (
                "-fplugin=evil.so", "-fplugin-arg-x-y=1", "-specs=evil.specs", "--specs=x.specs",
                "@arguments", "-B/tmp", "-B.", "-wrapper", "-include", "evil.c", "-imacros",
                "-Wp,-include,evil.h", "-Wa,-I/etc", "-Wl,-plugin,evil.so", "-Xlinker",
                "-I/etc", "-fuse-ld=evil", "-fdump-tree-all", "-save-temps", "-o", "-x",
                "-mcpu=x -fplugin=y", "-DA=1;system(1)", "-T/tmp/link.ld", "-fprofile-use=/etc",
                "-flto=evil", "-march=@x", "-mcpu=../x/y", "",
            )
        ),
        *(
            ("link_flags = []", f'link_flags = ["{flag}"]', f"core.link_flags: '{flag}'")
            for flag in ("-plugin", "-Wl,-plugin=/tmp/x.so", "-Wl,--script=x", "-L/tmp", "-lx",
                         "/tmp/evil.o", "-Wl,@x", "-Wl,-rpath,/tmp")
        ),
        ('kernels = ["c"]', 'kernels = ["c"]\n[tvm]\nkernels = ["tvm"]\n[tvm.target]\n'
         'kind = "llvm"\nlibs = "evil.so"', "core.tvm.target.libs"),
        ('kernels = ["c"]', 'kernels = ["c"]\n[tvm]\nkernels = ["tvm"]\n[tvm.target]\n'
         'kind = "llvm"\ncl-opt = ["-load=evil.so"]', "core.tvm.target.cl-opt"),
    ],
)  # fmt: skip
def test_a_core_that_needs_trust(board: Path, old: str, new: str, message: str) -> None:
    core = board.parent / "cores" / "own.toml"
    assert old in CORE
    core.write_text(CORE.replace(old, new, 1))
    assert message in refused(board)
    assert load_board(board, trusted=True).core.name == "own"


@pytest.mark.parametrize(
    ("runner", "message"),
    [
        ('args = ["-plugin", "/tmp/evil.so"]', "runner.args: '-plugin'"),
        ('args = ["-chardev", "file,id=x,path=/tmp/x"]', "runner.args: '-chardev'"),
        ('args = ["-incoming", "exec:touch /tmp/x"]', "runner.args: '-incoming'"),
        ('args = ["-bios", "/etc/passwd"]', "runner.args: '-bios /etc/passwd'"),
        ('args = ["-bios"]', "runner.args: '-bios '"),
        ('args = ["-cpu", "rv32,x=/tmp/y"]', "runner.args: '-cpu"),
        ('args = ["-bios", "none", "-semihosting"]', "runner.args: '-semihosting'"),
        ('args = ["/tmp/disk"]', "runner.args: '/tmp/disk'"),
    ],
)
def test_arguments_of_an_emulator(board: Path, runner: str, message: str) -> None:
    board.write_text(board.read_text().replace("[estimate]", f"{runner}\n[estimate]"))
    assert message in refused(board)
    load_board(board, trusted=True)


def test_every_field_was_thought_of() -> None:
    """A new field of a core or runner is a name that no tool reads, or has its check."""
    checked = {
        "prefix",
        "flags",
        "link_flags",
        "specs",
        "tvm",
        "machine",
        "cpu",
        "args",
        "options",
        "launcher",
        "serial",
        "folder",
    }
    harmless = {"name", "description", "kernels", "macros", "usb", "chip"}
    choices = {"disassembler", "kind", "system", "program", "order"}
    fields = {
        name
        for kind in (CoreSpec, QemuRunner, QemuUserRunner, NativeRunner, AdbRunner, HardwareRunner)
        for name in kind.model_fields
    }
    assert fields == checked | harmless | choices


def test_every_option_of_a_flash_tool_was_thought_of() -> None:
    """A new one is a word or number that starts no program, or needs trust."""
    words = {
        "openocd": {"interfaces", "config", "transport"}, "pyocd": {"target", "frequency", "probe"},
        "gdb": {"server", "reset", "scan"}, "st-flash": {"serial"},
        "uf2": {"family", "board_id", "enter", "touch"}, "nrfutil-dfu": {"device_type", "touch"},
        "west": {"runner"}, "avrdude": {"programmer", "part", "baud", "erase"},
        "bossac": {"offset", "touch"}, "dfu-util": {"usb", "serial", "alt", "layout"},
        "esptool": {"chip", "offset", "baud", "stub"},
        "stm32flash": {"mode", "gpio", "baud", "device_id"},
    }  # fmt: skip
    for name, kind in runners().items():
        assert set(kind.Options.model_fields) - set(TRUSTED_OPTIONS) == words.get(name, set()), name


HARDWARE = """[runner]
kind = "hardware"
order = ["openocd", "pyocd", "gdb", "west"]
"""


def with_options(board: Path, options: str) -> Path:
    head = board.read_text().partition("[runner]")[0]
    board.write_text(f"{head}{HARDWARE}{options}")
    return board


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('[runner.options.openocd]\nconfig = ["x.cfg"]\ncommands = ["exec sh"]',
         "runner.options.openocd.commands: ['exec sh'] is code"),
        ('[runner.options.openocd]\nconfig = ["x.cfg"]\ncommands = ["shutdown"]',
         "runner.options.openocd.commands: ['shutdown'] is code"),
        *(
            (f'[runner.options.openocd]\nconfig = ["{name}"]', "is more than a name")
            for name in ("/tmp/x.cfg", "../x.cfg", "board/../../x.cfg", "./x.cfg", "x; exec sh",
                         "~/x.cfg", "a b", "$x", "[exec sh]", "", "-c", "board/.x.cfg", "|sh")
        ),
        ('[runner.options.pyocd]\npack = "x.pack"', "runner.options.pyocd.pack: 'x.pack' is code"),
        ('[runner.options.pyocd]\nprobe = "--script"', "runner.options.pyocd.probe"),
        ('[runner.options.gdb]\nserver = "| sh"', "runner.options.gdb.server"),
        ('[runner.options.gdb]\nserver = "/etc/passwd"', "runner.options.gdb.server"),
        ('[runner.options.west]\nbuild_dir = "x"', "runner.options.west.build_dir: 'x' is code"),
        ("[runner.options.pyocd]\ntarget = {a = 1}", "runner.options.pyocd.target"),
        ('[runner.options.pyocd]\nunheard_of = "a b"', "runner.options.pyocd.unheard_of"),
    ],
)  # fmt: skip
def test_options_of_flash_tools(board: Path, options: str, message: str) -> None:
    assert message in refused(with_options(board, options))
    load_board(board, trusted=True)


def test_names_of_a_tools_own_scripts_need_no_trust(board: Path) -> None:
    options = """[runner.options.openocd]
config = ["interface/cmsis-dap.cfg", "target/nrf52.cfg", "board/st_nucleo_l4.cfg"]
transport = "swd"
[runner.options.pyocd]
target = "nrf52840"
frequency = 1_000_000
probe = "remote:127.0.0.1:7123"
[runner.options.gdb]
server = "localhost:3333"
"""
    spec = load_board(with_options(board, options))
    assert {"openocd", "pyocd", "gdb"} <= set(getattr(spec.runner, "options", {}))


def test_a_machine_is_a_name(board: Path) -> None:
    board.write_text(board.read_text().replace('"mps2-an386"', '"mps2-an386,dumpdtb=/tmp/x"'))
    assert "runner.machine" in refused(board)


def test_a_core_of_user_mode_is_a_name(tmp_path: Path) -> None:
    text = (BOARDS / "qemu-a53.toml").read_text()
    path = tmp_path / "own.toml"
    path.write_text(text.replace('cpu = "cortex-a53"', 'cpu = "max,x=/etc/passwd"'))
    assert "runner.cpu" in refused(path)


@pytest.mark.parametrize("runner", ['kind = "native"', 'kind = "qemu-user"'])
def test_no_start_up_code_for_a_program_of_this_machine(board: Path, runner: str) -> None:
    """It would run with the rights of the user, so it is refused even with trust."""
    head, _, tail = board.read_text().partition("[runner]")
    user = '\nprogram = "qemu-aarch64"\ncpu = "max"' if "user" in runner else ""
    board.write_text(f"{head}[runner]\n{runner}{user}\n[estimate]{tail.partition('[estimate]')[2]}")
    with pytest.raises(TargetError, match="soc: runner.kind '.*' has an operating system"):
        load_board(board, trusted=True)


@pytest.mark.parametrize("file", ["soc/own", "soc/own/link.ld", "soc/own/start.c"])
def test_sources_are_beside_the_board_file(board: Path, tmp_path: Path, file: str) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    (board.parent / file).rename(elsewhere)
    (board.parent / file).symlink_to(elsewhere)
    assert "soc: " in (text := refused(board)) and "outside of the board file's folder" in text
    assert load_board(board, trusted=True).soc is not None


@pytest.mark.parametrize("name", ['a";x.toml', "a\nb.toml", "a\\.toml", "\x1b[31m.toml", "ä.toml"])
def test_the_name_of_a_board_is_no_code(board: Path, name: str) -> None:
    """It goes into the firmware as a text of C."""
    odd = board.rename(board.parent / name)
    with pytest.raises(TargetError, match="rename the file"):
        load_board(odd, trusted=True)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    content = {
        "edgeflow": "1", "board": "host", "core": "host", "model_hash": "00" * 8, "layers": ["a"],
        "kernels": ["kernels/x.c"], "optimize": "balanced", "choices": [], "placement": {},
        "tvm_layers": [], "name": None,
    }  # fmt: skip
    (tmp_path / "build.json").write_text(json.dumps(content))
    (tmp_path / "firmware.elf").write_bytes(b"")
    return tmp_path


def test_a_build_file_is_read(build: Path) -> None:
    assert Build.load(build).kernels == ("kernels/x.c",)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"board": "./evil.toml"}, "board: './evil.toml' is a path"),
        ({"board": "evil.toml"}, "board: 'evil.toml' is a path"),
        ({"board": "/tmp/evil"}, "board: '/tmp/evil' is a path"),
        ({"board": 5}, "board: "),
        ({"core": "../x"}, "core: '../x' is a path"),
        ({"kernels": ["/etc/passwd"]}, "kernels.0: '/etc/passwd' is outside"),
        ({"kernels": ["kernels/../../x.c"]}, "kernels.0: 'kernels/../../x.c' is outside"),
        ({"kernels": "abc"}, "kernels: "),
        ({"layers": [1]}, "layers.0: "),
        ({"layers": {"a": 1}}, "layers: "),
        ({"name": "../x"}, "name: '../x' is no name"),
        ({"name": "a b"}, "name: 'a b' is no name"),
        ({"placement": {"weights": 1}}, "placement.weights: "),
        ({"placement": {"colour": "red"}}, "placement.colour: "),
        ({"choices": [{"layer": 1}]}, "choices.0"),
        ({"model_hash": "zz"}, "model_hash: not 16 hex digits"),
        ({"optimize": None}, "optimize: "),
        ([], "damaged"),
    ],
)
def test_a_build_file_that_is_wrong(build: Path, values: object, message: str) -> None:
    file = build / "build.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **values} if isinstance(values, dict) else values))
    with pytest.raises(TargetError) as error:
        Build.load(build)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert str(file) in str(error.value)


def test_nothing_is_missing_from_a_build_file(build: Path) -> None:
    file = build / "build.json"
    content = json.loads(file.read_text())
    for key in ("board", "core", "model_hash", "layers", "kernels", "placement"):
        file.write_text(json.dumps({k: v for k, v in content.items() if k != key}))
        with pytest.raises(TargetError, match=f"{key}: Field required"):
            Build.load(build)
