"""A package of ``edgeflow export`` as what runs on a board, built and written by other tools."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeflow.codegen.build import Build
from edgeflow.codegen.build_file import read_package_file
from edgeflow.errors import DeviceError, TargetError
from edgeflow.files import settled
from edgeflow.program import Program
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.core import load_core
from edgeflow.targets.ported import PortedBoard

if TYPE_CHECKING:
    from edgeflow.device import Expected

#: Describes an export, and lists its files for those who build it.
RECORD = "edgeflow.json"
#: The program in it.
PROGRAM = "model.onnx"


@dataclass(frozen=True)
class Package:
    """A folder that ``edgeflow export`` made of one program.

    Parameters
    ----------
    directory : Path
    to : str
        The format.
    name : str
        With which all global names of the library begin.
    core : str
        Whose kernels it has; ``c``: any core's.
    model_hash : str
        16 hex digits.
    build_id : str
        16 hex digits that the firmware in ``profile`` tells of itself.
    weight_bytes, state_bytes : int
        Bytes of the program's constants, and of its state and scratch.
    """

    directory: Path
    to: str
    name: str
    core: str
    model_hash: str
    build_id: str
    weight_bytes: int
    state_bytes: int

    @property
    def expected(self) -> "Expected":
        """What a board that runs the firmware says of itself; which board is its own to say."""
        from edgeflow.device import Expected

        return Expected(
            bytes.fromhex(self.model_hash),
            bytes.fromhex(self.build_id),
            write=f"build the firmware of {self.directory} and write it to the board",
            again="export the model again",
        )

    def program(self) -> Program:
        """Load the program that the package was made from."""
        return Program.load(self.directory / PROGRAM)

    def spec(self, board: BoardSpec | str | None = None, *, trust_board: bool = False) -> BoardSpec:
        """Return what is known of the board before it says its name.

        `board` is None, or what this returned before.

        Raises
        ------
        TargetError
            If another board is named.
        """
        if isinstance(board, PortedBoard):
            return board
        if board is not None:
            raise TargetError(
                f"{self.directory}: the firmware of an export says itself which board it runs on: "
                "leave --board out"
            )
        core = load_core("host" if self.core == "c" else self.core)
        return PortedBoard(
            name=self.name,
            description=f"firmware of an export to {self.to}",
            core=core.model_copy(update={"name": self.core}),
        )

    def check_port(self, port: str | None, runner: str | None) -> None:
        """Refuse to start or write what EdgeFlow did not build.

        Raises
        ------
        DeviceError
        """
        if runner is not None:
            raise DeviceError(
                f"{self.directory}: the tools that build an export write its firmware, too: leave "
                "--runner out"
            )
        if port is None:
            raise DeviceError(
                f"{self.directory}: an export is profiled on the board that runs its firmware: say "
                "at which --port that is"
            )

    @staticmethod
    def load(directory: str | Path) -> "Package":
        """Read the folder of an export.

        Raises
        ------
        TargetError
            If it is not one of a single program, or damaged.
        """
        directory = Path(directory)
        settled(directory)
        return Package(directory=directory, **read_package_file(directory / RECORD))


def load_made(directory: str | Path) -> Build | Package:
    """Read the folder of a build or of an export.

    Raises
    ------
    TargetError
        If it is neither, or damaged.
    """
    if isinstance(directory, str | Path) and "\0" not in str(directory):
        settled(Path(directory))
        if (Path(directory) / RECORD).is_file():
            return Package.load(directory)
    return Build.load(directory)
