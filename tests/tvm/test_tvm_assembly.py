"""The assembly of TVM's functions becomes LLVM's own bytes under GNU as."""

from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgeflow.program import Node
from edgeflow.targets.core import CoreSpec, load_core
from edgeflow.targets.toolchain import compile_sources
from tests.parity.test_boards import PROGRAMS

tvm = pytest.importorskip("tvm", reason="apache-tvm is not installed")


def code(file: Path) -> bytes:
    """Return the bytes of the function f."""
    with file.open("rb") as stream:
        elf = ELFFile(stream)
        symbol = elf.get_section_by_name(".symtab").get_symbol_by_name("f")[0]
        start = symbol["st_value"] & ~1
        data: bytes = elf.get_section(symbol["st_shndx"]).data()
        return data[start : start + symbol["st_size"]]


def both(node: Node, core: CoreSpec, folder: Path) -> tuple[bytes, bytes]:
    from edgeflow.codegen.tvm.emit import source
    from edgeflow.codegen.tvm.step import step_function

    assert core.tvm is not None
    function = step_function(node, "f").function
    text, suffix = source([function], core.tvm.target)
    listing = folder / f"listing{suffix}"
    listing.write_text(text)
    (ours,) = compile_sources(core, [listing], folder)
    target = tvm.target.Target(dict(core.tvm.target))
    theirs = folder / "llvm.o"
    tvm.tirx.build(tvm.IRModule({"f": function}), target=target).write_to_file(str(theirs))
    return code(ours), code(theirs)


@pytest.mark.board
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("name", ["odd", "lmu", "gated", "spiking", "spiking_memory"])
def test_bytes_are_those_of_llvm(name: str, core: str, tmp_path: Path) -> None:
    for node in PROGRAMS[name].nodes:
        if node.c_function:
            ours, theirs = both(node, load_core(core), tmp_path)
            assert len(ours) > 16 and ours == theirs, node.op_type


@pytest.mark.parametrize(
    "line,expected",
    [
        # GNU as reads these two as VQRSHRN, and the others not at all
        ("\tvqshrnb.s32\tq3, q0, #15", "\t.inst.w 0xee916f40"),
        ("\tvqshrnt.u16\tq3, q0, #7", "\t.inst.w 0xfe897f40"),
        ("\tvmlas.i32\tq4, q3, r5", "\tvmlas.s32\tq4, q3, r5"),
        ("\tvstr\tp0, [sp, #4]", "\tvstr\tP0, [sp, #4]"),
        ("\tvqrshrnb.s32\tq3, q0, #15", "\tvqrshrnb.s32\tq3, q0, #15"),
    ],
)
def test_what_gnu_as_reads_differently(line: str, expected: str) -> None:
    from edgeflow.codegen.tvm.assembly import plain_assembly

    listing = f"\t.text\n\t.type\tf,%function\nf:\n{line}\n\t.size\tf, .-f\n"
    assert expected in plain_assembly(listing, ["f"])
    assert "f:" not in plain_assembly(listing, ["g"])
