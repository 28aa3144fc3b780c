"""A build folder: the generated library and the firmware image of one board."""

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow import __version__
from edgeflow.codegen.board_file import keep_board_file, load_kept
from edgeflow.codegen.build_file import read_build_file
from edgeflow.codegen.choice import Choice
from edgeflow.codegen.cycles import place_of
from edgeflow.codegen.fit import Fit
from edgeflow.codegen.image import compile_image, frame_size
from edgeflow.codegen.mlperf import Mlperf
from edgeflow.codegen.names import check_name
from edgeflow.codegen.origin import remember
from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.quantizer import counts_per_unit, missing_counts
from edgeflow.codegen.render import render, write
from edgeflow.device.runners import runners_of
from edgeflow.digest import ChangedError, read_json, sealed_json
from edgeflow.errors import NoRoomError, TargetError
from edgeflow.files import FolderKind, is_inside, output_folder, settled, write_atomic
from edgeflow.program import Program
from edgeflow.program.inference import predict
from edgeflow.program.learning import learned_size
from edgeflow.progress import StageProgress, silent
from edgeflow.resources import license_file
from edgeflow.targets.board import BoardSpec, Placement, load_board
from edgeflow.targets.size import SizeReport, measure_size
from edgeflow.targets.slots import with_slots
from edgeflow.targets.toolchain import objcopy

if TYPE_CHECKING:
    from edgeflow.device import Expected

#: Name of a library that was given none, and of all as the firmware's runtime knows it.
_MODEL = "model"


@dataclass(frozen=True, repr=False)
class Build:
    """A folder that ``edgeflow compile -o DIR`` made.

    Parameters
    ----------
    directory : Path
    board, core : str
    model_hash : str
        16 hex digits.
    layers : tuple of str
        In the order of the profiler's layer marks.
    kernels : tuple of str
        C files of the kernels in the image.
    optimize : str
        Goal of the choice of kernels (``edgeflow.codegen.choice.GOALS``).
    choices : tuple of Choice
        The kernel of each matrix, and why.
    placement : Placement
        Memories that weights and kernels are read from.
    tvm_layers : tuple of str
        Layers whose step TVM wrote.
    name : str or None
        With which all global names of the library begin; None: ``model``, and kernels have their
        own names.
    any_part : bool
        Whether it was compiled though its part might not hold it.
    notes : tuple of str
        What does not fit the part, or may not, a line each.
    build_id : str or None
        16 hex digits that the image tells of itself; None of a build by version 0.2.0 or older.
    mlperf : Mlperf, optional
        How the image takes part in the MLPerf Tiny benchmark; None: it does not.
    baud : int or None
        Rate of the image's serial port; None: that of the board.
    board_file : str or None
        Copy of the board file in the folder, of a board of one's own.
    counts : tuple of float or None
        Counts per unit of the sensor of each channel; None: not known, and ``NAME_quantize_counts``
        is not in the library.
    measured : SizeReport, optional
        The bytes of the image; default: what the folder's ``size.json`` says.
    """

    directory: Path
    board: str
    core: str
    model_hash: str
    layers: tuple[str, ...]
    kernels: tuple[str, ...]
    optimize: str = "balanced"
    choices: tuple[Choice, ...] = ()
    placement: Placement = field(default_factory=Placement)
    tvm_layers: tuple[str, ...] = ()
    name: str | None = None
    any_part: bool = False
    notes: tuple[str, ...] = ()
    build_id: str | None = None
    mlperf: Mlperf | None = None
    baud: int | None = None
    board_file: str | None = None
    counts: tuple[float, ...] | None = None
    measured: SizeReport | None = field(default=None, compare=False)

    @property
    def source(self) -> str:
        """Name of the C source with the program's constants."""
        return f"{self.name or _MODEL}.c"

    @property
    def elf(self) -> Path:
        return self.directory / "firmware.elf"

    @property
    def objects(self) -> Path:
        """Folder of the objects: ``model``, ``kernels``, ``runtime``, ``protocol``, ``hal``."""
        return self.directory / "objects"

    @property
    def size(self) -> SizeReport:
        """Bytes of flash and RAM, and what they are spent on; without the stack.

        Raises
        ------
        TargetError
            If the build was loaded, and the folder's ``size.json`` is missing or damaged.
        """
        if self.measured is not None:
            return self.measured
        file = self.directory / "size.json"
        try:
            return SizeReport(**read_json(file))
        except ChangedError as error:
            raise TargetError(f"{file}: {error}: compile the model again") from None
        except (OSError, ValueError, TypeError) as error:
            raise TargetError(f"{file}: damaged ({error}): compile the model again") from None

    @property
    def expected(self) -> "Expected":
        """What a board that runs this build says of itself."""
        from edgeflow.device import Expected

        build_id = b"" if self.build_id is None else bytes.fromhex(self.build_id)
        return Expected(
            board=self.board, model_hash=bytes.fromhex(self.model_hash), build_id=build_id
        )

    def spec(self, board: BoardSpec | str | None = None, *, trust_board: bool = False) -> BoardSpec:
        """Return the board of the build, or another one of the same core.

        Parameters
        ----------
        board : BoardSpec or str, optional
            Instead of the build's own, of which a file of one's own is kept in the folder.
        trust_board : bool
            Whether a board file may name any program, flag and file.

        Raises
        ------
        TargetError
            If there is no such board, or it has another core.
        """
        if isinstance(board, BoardSpec):
            spec = board
        elif board is None and self.board_file is not None:
            spec = load_kept(self.directory, self.board_file, trusted=trust_board)
        else:
            spec = load_board(board or self.board, trusted=trust_board)
        if spec.core.name != self.core:
            raise TargetError(
                f"{self.directory}: compiled for {self.core}, {spec.name} has a {spec.core.name}: "
                f"compile it with --board {spec.name}"
            )
        return spec.at_baud(self.baud) if spec.uart is not None else spec

    def predict(
        self,
        x: ArrayLike,
        *,
        board: BoardSpec | str | None = None,
        port: str | None = None,
        runner: str | None = None,
        no_flash: bool = False,
        trust_board: bool = False,
    ) -> NDArray[Any]:
        """Return the board's predictions for raw samples.

        Parameters
        ----------
        x : array [n, time, channels] or [time, channels]
            As of `Program.predict`.
        board : BoardSpec or str, optional
            Instead of the one that the build was made for; of the same core.
        port : str, optional
            Where the board is connected; without it a real board is looked for by its USB ids, and
            an emulated one is started, or the host's own program.
        runner : str, optional
            Flash tool that first writes the image to the board. Default: of a real board the first
            of its file that is installed, if the board does not run the image yet; else the image
            must be there, which the handshake checks.
        no_flash : bool
            Never write to a board behind a port.
        trust_board : bool
            Whether a board file may name any program, flag and file.

        Returns
        -------
        array
            As of `Program.predict`, and equal to it.

        Raises
        ------
        ProgramError
            If x has another shape or is not numbers.
        DeviceError
            If the board cannot be reached or goes away.
        TargetError, ToolMissingError
            If the build, the board, or a tool is not usable.
        """
        from edgeflow.device import open_board

        program, spec = self.program(), self.spec(board, trust_board=trust_board)

        def run(whole: NDArray[np.int16]) -> NDArray[np.int16]:
            with (
                open_board(
                    spec, image=self.elf, port=port, runner=runner, no_flash=no_flash
                ) as opened,
                opened.start(self.expected) as client,
            ):
                return np.stack([client.steps(part, reset=True).y for part in whole])

        return predict(program, x, run)

    def __repr__(self) -> str:
        return f"Build({self.board}, program {self.model_hash}, {str(self.directory)!r})"

    def program(self) -> Program:
        """Load the program that the image was made from."""
        return Program.load(self.directory / "model.onnx")

    @staticmethod
    def load(directory: str | Path) -> "Build":
        """Read a build folder.

        Raises
        ------
        TargetError
            If `directory` is not a complete build folder.
        """
        if not isinstance(directory, str | Path) or "\0" in str(directory):
            raise TargetError(f"a build is read from its folder, not {type(directory).__name__}")
        directory = Path(directory)
        settled(directory)
        file = directory / "build.json"
        try:
            build = Build(directory=directory, **read_build_file(file))
        except FileNotFoundError:
            raise TargetError(
                f"{directory}: not a build folder (no build.json): make one with "
                f"'edgeflow compile model.onnx --board qemu-m4 -o {directory}'"
            ) from None
        if not build.elf.is_file():
            raise TargetError(f"{build.elf}: missing: compile the model again")
        return build


def compile_program(
    program: Program,
    board: BoardSpec | str,
    directory: str | Path,
    *,
    backend: str = "auto",
    optimize: str = "balanced",
    kernel_sets: Sequence[str] | None = None,
    kernels: Mapping[str, str] | None = None,
    tvm_layers: Collection[str] | None = None,
    any_part: bool = False,
    name: str | None = None,
    mlperf: Mlperf | None = None,
    counts: Mapping[str, float] | None = None,
    progress: StageProgress = silent,
) -> Build:
    """Generate the C library and link the board's firmware image around it.

    Parameters
    ----------
    program : Program
    board : BoardSpec or str
    directory : path
        New, empty, or of an earlier build, whose files are replaced when the new build is whole.
    backend : str
        Whose code it is: "auto", "c" or "tvm" (``codegen.backends.BACKENDS``).
    optimize : str
        Goal of the choice of kernels: one of ``codegen.choice.GOALS``.
    kernel_sets : sequence of str, optional
        Instead of a choice by cost: the first that fits, for example ``["c"]`` for plain C.
    kernels : mapping, optional
        Names of the kernels of single matrices, by layer and field: ``gru.input``.
    tvm_layers : collection of str, optional
        Layers whose step TVM writes with any backend; default: the backend's choice.
    any_part : bool
        True: what the part that figures are estimated for cannot hold, or not in time, is a note.
    name : str, optional
        ``NAME.c`` and ``NAME.h`` rather than ``model.c`` and ``model.h``, and all global names of
        the library begin with it, those of the kernels too, so that others can be in one firmware.
    mlperf : Mlperf, optional
        The firmware also speaks the protocol of the MLPerf Tiny benchmark; checked by the caller.
    counts : mapping, optional
        Counts per unit of the sensors, by the unit of the channels, like ``{"g": 8192}``: the
        library also quantizes a sensor's int16 counts. Default: those of the board file, or of the
        program's data.
    progress : callable, optional
        Told of the stages: generating, compiling (by source), linking.

    Raises
    ------
    ToolMissingError
        If the board's compiler is not installed, or TVM and `backend` asks for it.
    TargetError
        If the code does not compile, or a step takes the part longer than it has until the next
        sample, or counts are given and not those of each channel.
    NoRoomError
        If the board, or the part that figures are estimated for, has less memory.
    ExportError
        If the name cannot be one.
    OutputError
        If the folder holds what EdgeFlow did not make, or another process writes it.
    """
    spec = load_board(board) if isinstance(board, str) else board
    runners_of(spec)  # options of its flash tools that are wrong are told of now
    if name is not None:
        check_name(name, program)
    options: dict[str, Any] = {
        "backend": backend, "optimize": optimize, "kernel_sets": kernel_sets, "kernels": kernels,
        "tvm_layers": tvm_layers,
    }  # fmt: skip
    with output_folder(directory, FOLDER) as folder:
        build = _compile(
            program, spec, folder.new, name, any_part, mlperf, counts, progress, options
        )
        remember(build.elf, spec)
        folder.commit()
    return dataclasses.replace(build, directory=Path(directory))


def _compile(
    program: Program, spec: BoardSpec, directory: Path, name: str | None, any_part: bool,
    mlperf: Mlperf | None, counts: Mapping[str, float] | None, progress: StageProgress,
    options: Mapping[str, Any],
) -> Build:  # fmt: skip
    """Make all files of a build in an empty folder."""
    progress("generating C", 0, 0)
    plan = plan_library(program, spec.core, place=place_of(spec), **options)
    if program.adapts:
        spec = with_slots(spec, learned_size(program))
    fit = Fit(program, spec, plan.choices, options["backend"], options["optimize"], any_part)
    fit.check_weights()
    notes = fit.check_time()
    prefix = name or _MODEL
    per_unit = counts_per_unit(program, spec.counts if counts is None else counts)
    if counts is not None and per_unit is None:
        raise TargetError(missing_counts(program, counts))
    per_unit = per_unit or counts_per_unit(program, {})
    texts = render(plan, prefix, shared=name is not None, counts=per_unit)
    write(texts | license_file(), directory)
    if prefix != _MODEL:
        header = model_header(prefix, program)
        write_atomic(directory / "objects" / "model.h", header)
    frame = frame_size(spec, program.inputs, program.outputs)
    sources = [f"{prefix}.c"]
    flags = [] if mlperf is None else mlperf.flags(fit.part)
    try:
        elf, build_id = compile_image(
            spec, directory, sources, plan.kernel_files, frame, flags, progress
        )
    except NoRoomError as error:
        raise fit.explain(error) from None
    measured = measure_size(elf, directory / "objects")
    notes += fit.check_room(measured)
    if spec.soc is not None:
        for suffix in (".bin", ".hex"):
            objcopy(spec, elf, elf.with_suffix(suffix))
    build = Build(
        directory=directory,
        board=spec.name,
        core=spec.core.name,
        model_hash=program.hash.hex(),
        layers=tuple(node.name for node in program.nodes),
        kernels=plan.kernel_files,
        optimize=options["optimize"],
        choices=plan.choices,
        placement=spec.placement,
        tvm_layers=tuple(layer for layer, writer in plan.backends.items() if writer == "tvm"),
        name=name,
        any_part=any_part,
        notes=tuple(notes),
        build_id=build_id.hex(),
        mlperf=mlperf,
        baud=None if spec.uart is None else spec.uart.baud,
        board_file=keep_board_file(spec, directory),
        counts=per_unit,
        measured=measured,
    )
    program.save(directory / "model.onnx")
    build.size.save(directory / "size.json")
    content = dataclasses.asdict(build) | {"edgeflow": __version__}
    content["placement"] = build.placement.model_dump()
    content["mlperf"] = None if mlperf is None else mlperf.model_dump()
    del content["directory"], content["measured"]
    write_atomic(directory / "build.json", sealed_json(content, 2))
    return build


def earlier(directory: Path) -> dict[str, list[str]]:
    """Return the files of a build without a mark, by command; none if the folder is not one."""
    try:
        content = json.loads((directory / "build.json").read_text(encoding="utf-8"))
        content["model_hash"], content["edgeflow"], content["board"]
        name, kernels = content.get("name") or _MODEL, set(map(str, content["kernels"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    files = {"build.json", "size.json", "model.onnx", f"{name}.c", f"{name}.h", "objects/model.h"}
    files |= {f"firmware{suffix}" for suffix in (".elf", ".bin", ".hex")}
    inside = [*directory.glob("kernels/*"), *directory.glob("objects/*/*.o")]
    names = {path.relative_to(directory).as_posix() for path in inside}
    files |= {n for n in names if n.endswith(".o") or n.startswith("kernels/ef_") or n in kernels}
    files |= license_file().keys()
    made = {"compile": files, "profile": {"profile.json", "report.html"}}
    return {command: [n for n in found if is_inside(n) and (directory / n).is_file()]
            for command, found in made.items()}  # fmt: skip


#: Of ``edgeflow compile``; profiles stand in it, too, and float layers.
FOLDER = FolderKind("compile", beside=("profile", "float"), earlier=earlier, passing=("objects",))


def model_header(prefix: str, program: Program, folder: str = "") -> str:
    """Return the ``model.h`` by which the firmware knows a library of another name, in `folder`."""
    functions = ["t", "init", "reset", "step", "decide", "exponential"]
    macros = ["INPUTS", "OUTPUTS", "WINDOW", "HASH"]
    if program.adapts:
        functions += ["learn", "forget", "save", "load"]
        macros += ["LEARNED_SIZE"]
    if program.overlap is not None:
        functions += [f"hop_{name}" for name in ("t", "init", "reset", "step")]
        macros += ["HOP"]
    lines = [f'#include "{folder}{prefix}.h"']
    if prefix != _MODEL:
        lines += [f"#define {_MODEL}_{name} {prefix}_{name}" for name in functions]
        lines += [f"#define {_MODEL.upper()}_{name} {prefix.upper()}_{name}" for name in macros]
    return "\n".join(lines) + "\n"
