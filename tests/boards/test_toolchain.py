"""Compiling and linking: what goes wrong is said in one line, what goes well is repeatable."""

import shutil
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgeflow.codegen.build import compile_program
from edgeflow.errors import NoRoomError, TargetError, ToolMissingError
from edgeflow.targets.board import list_boards, load_board
from edgeflow.targets.core import load_core
from edgeflow.targets.toolchain import (
    board_defines,
    board_include_dirs,
    board_sources,
    compile_sources,
    link,
    objcopy,
)
from tests.random_programs import random_program
from tests.unit.test_progress import Told, stages

ECHO = Path(__file__).parent.parent / "boards" / "echo.c"
BOARDS = list_boards()


def need(board):
    missing = [tool for tool in board.tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")


def build(board, folder, sources=(ECHO,)):
    objects = compile_sources(
        board.core,
        [*sources, *board_sources(board)],
        folder / "objects",
        include_dirs=board_include_dirs(),
        defines=board_defines(board),
        extra_flags=["-O2"],
    )
    return link(board, objects, folder / "firmware.elf")


def symbols(path):
    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_same_sources_give_the_same_bits_at_fixed_addresses(board, tmp_path):
    need(board)
    first = build(board, tmp_path / "a")
    # another folder, another copy of the sources
    copy = tmp_path / "elsewhere" / "echo.c"
    copy.parent.mkdir()
    shutil.copy(ECHO, copy)
    second = build(board, tmp_path / "b", [copy])
    assert first.read_bytes() == second.read_bytes()
    with first.open("rb") as file:
        assert ELFFile(file)["e_type"] == "ET_EXEC"


@pytest.mark.parametrize("board", [b for b in BOARDS if b.uart is not None], ids=lambda b: b.name)
def test_bare_metal_image_lies_in_its_memories_and_has_no_heap(board, tmp_path):
    need(board)
    elf = build(board, tmp_path)
    names = symbols(elf)
    assert not {"malloc", "_malloc_r", "_sbrk", "printf", "_printf_r"} & set(names)
    ram, flash = board.memory["ram"], board.memory["flash"]
    assert names["__stack_top"] == ram.base + ram.size
    assert names["__stack_top"] - names["__stack_limit"] == board.stack
    assert flash.base <= names["main"] < flash.base + flash.size
    binary = objcopy(board, elf, tmp_path / "firmware.bin").read_bytes()
    assert 500 < len(binary) < 8192  # from the start of flash on, without RAM
    hexadecimal = objcopy(board, elf, tmp_path / "firmware.hex").read_text()
    assert hexadecimal.startswith(":") and hexadecimal.rstrip().endswith(":00000001FF")
    with pytest.raises(TargetError, match=r"a \.bin or a \.hex file"):
        objcopy(board, elf, tmp_path / "firmware.uf2")


def test_error_in_a_source_is_one_line(tmp_path):
    source = tmp_path / "bad.c"
    source.write_text("int f(void) {\n    return missing;\n}\nint g(void) { return also; }\n")
    with pytest.raises(TargetError) as error:
        compile_sources(load_core("host"), [source], tmp_path / "objects")
    assert "bad.c:2:12: error:" in str(error.value)
    assert "missing" in str(error.value) and "\n" not in str(error.value)


def test_warnings_are_errors(tmp_path):
    source = tmp_path / "narrow.c"
    source.write_text("char f(int x);\nchar f(int x) { return x; }\n")
    with pytest.raises(TargetError, match=r"-Werror=conversion"):
        compile_sources(load_core("host"), [source], tmp_path / "objects")


def test_sources_of_one_name_keep_apart(tmp_path):
    sources = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        sources.append(tmp_path / folder / "same.c")
        sources[-1].write_text(f"int {folder}(void);\nint {folder}(void) {{ return 1; }}\n")
    objects = compile_sources(load_core("host"), sources, tmp_path / "objects")
    assert [path.name for path in objects] == ["one_same.o", "two_same.o"]
    with pytest.raises(TargetError, match="another source would also become"):
        compile_sources(load_core("host"), [*sources, sources[0]], tmp_path / "objects")


def test_image_too_big_names_the_memory(tmp_path):
    board = load_board("qemu-m0")
    need(board)
    source = tmp_path / "big.c"
    for text, needs in (
        (
            "extern const char big[300000];\nconst char big[300000] = {1};",
            r"needs 30\d,\d{3} of 262,144 bytes of flash",
        ),
        (
            "extern char big[14000];\nchar big[14000];",
            r"needs 17,\d{3} of 16,384 bytes of ram \(3,072 of them for the stack\)",
        ),
    ):
        source.write_text(f"{text}\nint main(void) {{ return *(volatile const char *)big; }}\n")
        with pytest.raises(NoRoomError, match=rf"^qemu-m0: firmware.elf: no room: {needs}$"):
            build(board, tmp_path, [source])
    assert not (tmp_path / "firmware.elf").exists()


def test_missing_symbol_is_named(tmp_path):
    board = load_board("host")
    source = tmp_path / "main.c"
    source.write_text("int nowhere(void);\nint main(void) { return nowhere(); }\n")
    with pytest.raises(TargetError, match="undefined reference to `nowhere'"):
        build(board, tmp_path, [source])


def test_compiler_that_does_not_know_the_core(tmp_path):
    board = load_board("qemu-m4")
    need(board)
    # without -mfpu and -mcpu of an M4 there is no DSP extension
    core = board.core.model_copy(update={"flags": ("-mcpu=cortex-m3", "-mthumb")})
    with pytest.raises(TargetError, match="does not define .*__ARM_FEATURE_DSP"):
        compile_sources(core, [ECHO], tmp_path)


def test_no_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match="apt-get install gcc-riscv64-unknown-elf"):
        compile_sources(load_core("rv32imc"), [ECHO], tmp_path)


def test_compilation_tells_its_stages(tmp_path: Path) -> None:
    told: Told = []
    compile_program(
        random_program(3, 3, [8], 3, 12, 12), "host", tmp_path,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )  # fmt: skip
    assert stages(told) == ["generating C", "compiling", "linking"]
    objects = len(list(tmp_path.rglob("*.o")))
    compiled = [one for one in told if one[0] == "compiling"]
    assert compiled[0] == ("compiling", 0, objects) and compiled[-1] == (
        "compiling",
        objects,
        objects,
    )


@pytest.mark.parametrize("board", ["host", "qemu-m4"])
def test_folders_of_odd_names(board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is an option, a variable, or a file of options of a tool."""
    need(load_board(board))
    monkeypatch.chdir(tmp_path)
    names = ["a b,c$HOME\\w", "#x", "q'\"q\nl", "-x", "@x"]
    for name in names:
        build = compile_program(random_program(1, 3, [5], 4, 12, 12), load_board(board), name)
        assert build.elf.is_file()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)
