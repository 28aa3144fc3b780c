"""Parts: the real boards that figures of emulated ones are for (``calibration/parts``)."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from edgeflow.calibration import Data, read_data
from edgeflow.errors import TargetError
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.spec import Size

Sources = Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True)
class DataCache:
    """A cache of read-only data in flash: fully associative, least recently used goes first."""

    line_bytes: int
    lines: int


class EnergyCheck(Data):
    """A published energy of this board, which the energy per cycle was not taken from.

    Attributes
    ----------
    workload, source
        What ran, and where its figures are published.
    published_uj, published_per_s
        Energy of an inference, and inferences a second of the same run.
    """

    workload: str
    published_uj: Annotated[float, Field(gt=0)]
    published_per_s: Annotated[float, Field(gt=0)]
    source: str


class Energy(Data):
    """Energy of a cycle while computing.

    Attributes
    ----------
    spread_percent
        By how much published runs of the same workload differ from it; None: there is one run.
    validation
        Published energies of other workloads.
    """

    pj_per_cycle: Annotated[float, Field(gt=0, le=1e6)]
    spread_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    sources: Sources
    validation: list[EnergyCheck] = Field([])


class Sleep(Data):
    """What a part takes between steps, memories kept, and to wake up.

    Attributes
    ----------
    mode
        By the vendor's name.
    ua
        Microamperes at the part's supply.
    wake_us
        Until it computes again; it is taken to need the current of computing.
    error_percent
        None: not known.
    unverified
        Fields that are from memory.
    """

    mode: str
    ua: Annotated[float, Field(gt=0, le=1e6)]
    wake_us: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    error_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    sources: Sources
    unverified: list[str] = Field([])


class Flash(Data):
    """Flash with wait states behind a data cache.

    Attributes
    ----------
    wait_states
        Of one read of the flash.
    read_bytes
        Bytes that a read returns; a line of the cache takes as many reads as it needs.
    data_line_bytes, data_lines
        The cache; the least recently used line goes first.
    """

    wait_states: Annotated[int, Field(ge=0, le=50)]
    read_bytes: Annotated[int, Field(ge=4, le=256)]
    data_line_bytes: Annotated[int, Field(ge=4, le=256)]
    data_lines: Annotated[int, Field(ge=1, le=1024)]
    sources: Sources

    @property
    def line_cycles(self) -> int:
        """Cycles that the core waits for a line that the cache does not hold."""
        return self.wait_states * -(-self.data_line_bytes // self.read_bytes)


class Memory(Data):
    """Bytes of a part's memories.

    Attributes
    ----------
    flash
        Of code and constants; None where they are in `ram`, beside the data.
    ram
        Of data and stack, at addresses without a gap.
    others
        Further memories by name, such as ``dtcm``; an image uses one where the board file has a
        memory of that name and something is placed in it.
    sources
        Where the sizes are from.
    unverified
        Names of sizes that no source was looked up for.
    """

    flash: Size | None = None
    ram: Size
    others: dict[str, Size] = Field({})
    sources: Sources
    unverified: list[str] = Field([])

    @model_validator(mode="after")
    def _known(self) -> "Memory":
        names = {"flash", "ram", *self.others}
        for name in self.unverified:
            if name not in names:
                raise ValueError(f"unverified: no memory '{name}' ({', '.join(sorted(names))})")
        for name in ("flash", "ram"):
            if name in self.others:
                raise ValueError(f"others.{name}: write it as {name}")
        return self


class Part(Data):
    """A real board that estimates refer to; memories that are not flash have no wait states."""

    name: str
    description: str
    core: str
    clock_hz: Annotated[int, Field(gt=0)]
    supply_v: Annotated[float, Field(gt=0, le=60)] | None = None
    memory: Memory
    energy: Energy | None = None
    sleep: Sleep | None = None
    flash: Flash | None = None

    @property
    def energy_error_percent(self) -> float | None:
        """Largest error of the energy per cycle on published figures; None: there are none."""
        if self.energy is None:
            return None
        known = [abs(error) for _, error in self.energy_checks()]
        if self.energy.spread_percent is not None:
            known.append(self.energy.spread_percent)
        return max(known, default=None)

    def energy_checks(self) -> list[tuple[EnergyCheck, float]]:
        """Return the published energies, and the error of the estimate of each in percent."""
        energy = self.energy
        if energy is None:
            return []
        return [
            (one, 100 * (self.step_uj(self.clock_hz / one.published_per_s) / one.published_uj - 1))
            for one in energy.validation
        ]

    def step_uj(self, cycles: float) -> float:
        """Return the energy of some cycles in microjoules."""
        assert self.energy is not None
        return cycles * self.energy.pj_per_cycle / 1e6

    @property
    def data_cache(self) -> DataCache | None:
        """The cache that the counter simulates; None where the flash has no wait states."""
        if self.flash is None or self.flash.wait_states == 0:
            return None
        return DataCache(self.flash.data_line_bytes, self.flash.data_lines)


def estimated_part(board: BoardSpec) -> Part | None:
    """Return the reference board of a board's estimates, as its ``[estimate]`` table changes it.

    Raises
    ------
    TargetError
        If there is no such reference board, its file is wrong, or it has another core.
    """
    wanted = board.estimate
    if wanted is None:
        return None
    part = load_part(wanted.part)
    if part.core != board.core.name:
        raise TargetError(
            f"{board.name}: estimate.part: '{part.name}' has a {part.core}, the board a "
            f"{board.core.name}"
        )
    if wanted.flash_wait_states is not None:
        if part.flash is None:
            raise TargetError(
                f"{board.name}: estimate.flash_wait_states: '{part.name}' has no [flash]"
            )
        flash = part.flash.model_copy(update={"wait_states": wanted.flash_wait_states})
        part = part.model_copy(update={"flash": flash})
    return part


def load_part(name: str) -> Part:
    """Return the calibration of a reference board.

    Raises
    ------
    TargetError
        If there is no such reference board or its file is wrong.
    """
    folder = resource("calibration") / "parts"
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.toml"))) or "none"
        raise TargetError(f"there is no calibration of a part '{name}' (there are: {known})")
    return read_data(Part, path)
