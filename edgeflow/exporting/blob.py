"""Machine code that runs at any address: an image and the places of its absolute addresses.

The image is linked at 0. It begins with a header that its own first instructions read, before
anything else: they add to each place what the image has been moved by since it was last prepared,
so that it may even move between two calls. Nothing outside of it is called.

==========  ================================================
offset      content
==========  ================================================
0           branch to the code that prepares the image
4           uint16: bytes of memory that a caller passes
6           uint16: number of places
8           uint32: address that it is prepared for, 0
12          uint32: offset of the places, each an uint32
==========  ================================================
"""

import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from edgeflow.errors import ExportError
from edgeflow.files import scratch_folder
from edgeflow.targets.core import CoreSpec
from edgeflow.targets.toolchain import compile_sources
from edgeflow.targets.tools import find_tool

#: Relocations of Arm by number: words with an address, and those that moving does not change.
_ADDRESS = {2: "R_ARM_ABS32", 38: "R_ARM_TARGET1"}
_RELATIVE = {0: "R_ARM_NONE", 3: "R_ARM_REL32", 10: "R_ARM_THM_CALL", 30: "R_ARM_THM_JUMP24",
             40: "R_ARM_V4BX", 51: "R_ARM_THM_JUMP19", 102: "R_ARM_THM_JUMP11",
             103: "R_ARM_THM_JUMP8"}  # fmt: skip
_SCRIPT = """SECTIONS {
    . = 0;
    .text : {
        KEEP(*(.entry)) KEEP(*(.entry.*)) *(.text .text.*) *(.rodata .rodata.*) . = ALIGN(4);
    }
    .data : { *(.data .data.* .got .got.*) }
    .bss : { *(.bss .bss.* COMMON) }
    /DISCARD/ : { *(.ARM.exidx* .ARM.extab* .comment .note.* .ARM.attributes) }
}
"""


def build_blob(files: Mapping[str, str], core: CoreSpec, memory_symbol: str) -> bytes:
    """Compile and link C and assembler files to an image with its places.

    Parameters
    ----------
    files : mapping
        Texts by name, headers among them. One has a section ``.entry`` with the header.
    core : CoreSpec
        An Arm core.
    memory_symbol : str
        A constant uint32 that holds the bytes of memory that a caller passes.

    Raises
    ------
    ToolMissingError
        If the core's compiler is not installed.
    TargetError
        If a file does not compile.
    ExportError
        If the result has variables of its own, or cannot be moved.
    """
    with scratch_folder("blob") as folder:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        sources = [folder / name for name in files if name.endswith((".c", ".S"))]
        objects = compile_sources(
            core,
            sources,
            folder / "objects",
            include_dirs=[folder],
            # addresses in words of their own, none inside of instructions
            extra_flags=["-Os", "-mword-relocations", "-fno-pic", "-fno-builtin"],
        )
        (folder / "blob.ld").write_text(_SCRIPT, encoding="utf-8")
        elf = folder / "blob.elf"
        command = [
            find_tool(core.compiler),
            *core.flags,
            "-nostdlib",
            "-static",
            "-Wl,--gc-sections",
        ]
        command += [
            "-Wl,--emit-relocs,--build-id=none",
            f"-T{folder / 'blob.ld'}",
            *map(str, objects),
        ]
        done = subprocess.run(
            [*command, "-lgcc", "-o", str(elf)], capture_output=True, text=True, errors="replace"
        )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "collect2" not in line]
            raise ExportError(f"the linker refuses the model: {lines[-1] if lines else 'error'}")
        return _with_places(elf, memory_symbol)


def _with_places(file: Path, memory_symbol: str) -> bytes:
    with file.open("rb") as stream:
        elf: Any = ELFFile(stream)
        sizes = {
            section.name: section["sh_size"]
            for section in elf.iter_sections()
            if section["sh_flags"] & 2 and section["sh_size"]
        }
        if set(sizes) != {".text"}:
            raise ExportError(f"code with variables of its own cannot be moved: {sizes}")
        image = bytearray(elf.get_section_by_name(".text").data())
        places = []
        for entry in elf.get_section_by_name(".rel.text").iter_relocations():
            kind = entry["r_info_type"]
            if kind in _ADDRESS:
                places.append(entry["r_offset"])
            elif kind not in _RELATIVE:
                raise ExportError(f"relocation {kind} at {entry['r_offset']} cannot be moved")
        (symbol,) = elf.get_section_by_name(".symtab").get_symbol_by_name(memory_symbol)
        (memory,) = struct.unpack_from("<I", image, symbol["st_value"])
    struct.pack_into("<HHII", image, 4, memory, len(places), 0, len(image))
    return bytes(image) + struct.pack(f"<{len(places)}I", *sorted(places))
