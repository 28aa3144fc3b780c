"""The firmware image of a library: its code for speed, the firmware around it for size."""

from collections.abc import Sequence
from pathlib import Path

from edgeflow import __version__
from edgeflow.progress import StageProgress, silent
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.toolchain import (
    board_defines,
    board_include_dirs,
    board_sources,
    compile_sources,
    image_id,
    link,
)


def frame_size(spec: BoardSpec | None, inputs: int, outputs: int) -> int:
    """Return the bytes of a protocol frame: room for at least one step (docs/protocol.md).

    The image keeps two frames: each has a sixteenth of a small RAM. Without a board (None) RAM is
    not known.
    """
    ram = None if spec is None else spec.memory.get("ram")
    most = 512 if ram is None else min(512, ram.size // 16)
    return max(most, 8 + 2 * inputs, 8 + 2 * outputs + 4)


def compile_image(
    spec: BoardSpec,
    directory: Path,
    models: Sequence[str],
    kernels: Sequence[str],
    frame: int,
    runtime_flags: Sequence[str] = (),
    progress: StageProgress = silent,
) -> tuple[Path, bytes]:
    """Compile a library for speed and the firmware around it for size, and link both.

    Parameters
    ----------
    spec : BoardSpec
    directory : Path
        Of the library: ``model.h``, or ``objects/model.h``, and the sources; gets ``objects`` and
        ``firmware.elf``.
    models, kernels : sequence of str
        C sources relative to `directory`; headers are also looked for in ``kernels``.
    frame : int
        Largest frame of the protocol, bytes.
    runtime_flags : sequence of str
        For the compiler, beside the board's: what else the firmware speaks.
    progress : StageProgress, optional
        Told of "compiling", in sources, and of "linking".

    Returns
    -------
    Path
        ``firmware.elf``.
    bytes
        The number of the build, of 8 bytes, which the image tells of itself (`image_id`).

    Raises
    ------
    ToolMissingError
        If the board's compiler is not installed.
    TargetError
        If the code does not compile or fit the board.
    """
    firmware = resource("firmware")
    protocol = firmware / "protocol"
    identity = firmware / "runtime" / "ef_identity.c"
    defines = {
        **board_defines(spec),
        "EF_VERSION": f'"{__version__}"',
        "EF_PROFILE": "1",
        "EF_FRAME_MAX": str(frame),
    }
    folders = [directory, directory / "kernels", directory / "objects"]
    includes = [*folders, protocol, *board_include_dirs()]
    # without the second, constants are moved to registers before a loop
    small = ["-Os", "-fno-move-loop-invariants"]
    groups: list[tuple[str, list[Path], list[str]]] = [
        ("model", [directory / name for name in models], ["-O2"]),
        ("kernels", [directory / name for name in kernels], ["-O2"]),
        (
            "runtime",
            sorted({*(firmware / "runtime").glob("*.c")} - {identity}),
            [*small, *runtime_flags],
        ),
        ("protocol", sorted(protocol.glob("*.c")), small),
        ("hal", board_sources(spec), small),
    ]
    objects: list[Path] = []
    total = 1 + sum(len(sources) for _, sources, _ in groups)

    def compiled(name: str, sources: Sequence[Path], flags: Sequence[str]) -> None:
        progress("compiling", len(objects), total)
        objects.extend(
            compile_sources(
                spec.core,
                sources,
                directory / "objects" / name,
                include_dirs=includes,
                defines=defines,
                extra_flags=flags,
            )
        )

    for group in groups:
        compiled(*group)
    build_id = image_id(spec, objects)
    compiled("runtime", [identity], [*small, f"-DEF_BUILD_ID={{{','.join(map(str, build_id))}}}"])
    progress("compiling", total, total)
    progress("linking", 0, 0)
    return link(spec, objects, directory / "firmware.elf"), build_id
