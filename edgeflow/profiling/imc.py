"""A program on analog chips, measured into a folder: ``imc.json`` and its report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow.errors import ImcError
from edgeflow.files import FolderKind, output_folder
from edgeflow.imc import ArrayOptions, Device, ImcResult, simulate
from edgeflow.imc.energy import NODE_NM
from edgeflow.profiling.imc_report import write_imc_report
from edgeflow.profiling.result import ProfileResult, headline_of_run
from edgeflow.program import Program
from edgeflow.progress import StageProgress, silent

if TYPE_CHECKING:
    from edgeflow.data import Dataset

RESULT, REPORT, PARTIAL = "imc.json", "report.html", "imc.partial.json"
FOLDER = FolderKind("imc")


def profile_on_chips(
    program: Program,
    data: "Dataset",
    out: str | Path,
    *,
    device: Device | str | Path = "pcm",
    chips: int = 25,
    times: Sequence[float] | None = None,
    options: ArrayOptions | None = None,
    split: str = "test",
    node_nm: float = NODE_NM,
    standby_w: float | None = None,
    processes: int = 1,
    beside: ProfileResult | None = None,
    progress: StageProgress = silent,
) -> ImcResult:
    """Simulate a program on analog chips, and write ``imc.json`` and ``report.html``.

    Finished chips are in ``imc.partial.json`` until all are, so that an interrupted call goes on.

    Parameters and errors are those of `edgeflow.imc.simulate`; `beside` is a profile of the same
    program on a microcontroller, whose figures stand beside.

    Raises
    ------
    OutputError
        If `out` holds files that EdgeFlow did not make, or another process writes into it.
    ImcError
        If the profile is of another program.
    """
    board = None if beside is None else _beside(program, beside)
    with output_folder(out, FOLDER) as folder:
        folder.begin([PARTIAL])
        result = simulate(
            program, data, device=device, chips=chips, times=times, options=options, split=split,
            node_nm=node_nm, standby_w=standby_w, processes=processes,
            partial=folder.path / PARTIAL, progress=progress,
        )  # fmt: skip
        result = replace(result, beside=board)
        result.save(folder.new / RESULT)
        write_imc_report(result, folder.new / REPORT)
        folder.commit()
    return result


def _beside(program: Program, profile: ProfileResult) -> dict[str, Any]:
    """Return the figures of a program on a microcontroller (`ImcResult.beside`)."""
    if profile.model != program.hash.hex():
        raise ImcError(
            f"the profile beside is of program {profile.model}, not of {program.hash.hex()}: "
            "compile and profile this one"
        )
    quantities = {
        name: None if found is None else {"mean": found["mean"], "kind": found["kind"]}
        for name, found in (("energy_uj", profile.energy_uj), ("latency_us", profile.latency_us))
    }
    return {
        "board": profile.board,
        "part": profile.estimate and profile.estimate["description"],
        "windows": profile.windows,
        "headline": headline_of_run(profile.to_json())["device"],
        **quantities,
    }
