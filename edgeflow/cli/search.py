"""``edgeflow search``: the best models within limits, trained and compressed from scratch."""

from pathlib import Path
from typing import Any

import typer

from edgeflow.cli import console, dataset
from edgeflow.cli.options import DATA_FILES, JSON, TRUST_BOARD
from edgeflow.cli.schema import with_options
from edgeflow.data.reading import DataOptions
from edgeflow.errors import CompressError
from edgeflow.recipes.limits import Limits, parse_bytes
from edgeflow.schema import SEARCH

#: What a search that goes on takes from its folder, and may be told anew.
_ANEW = ("trials", "workers")


@with_options(reading=DataOptions)
def command(
    space: Path | None = typer.Argument(
        None, help="A .toml file with ranges of options; default: one for the task of the data."
    ),
    data: str | None = typer.Option(None, "--data", help=f"{DATA_FILES}."),
    out: Path = typer.Option(Path("study"), "--out", "-o", help="Folder of the search."),
    board: str = typer.Option("qemu-m4", "--board", help="An emulated board of 'edgeflow boards'."),
    max_flash: str | None = typer.Option(
        None, "--max-flash", help="Most bytes of the image: 16k.", rich_help_panel=SEARCH
    ),
    max_ram: str | None = typer.Option(
        None, "--max-ram", help="Most bytes of RAM, stack included.", rich_help_panel=SEARCH
    ),
    max_instructions: float | None = typer.Option(
        None, "--max-instructions", help="Most per step, on average.", rich_help_panel=SEARCH
    ),
    objectives: str = typer.Option(
        "instructions",
        "--objectives",
        help="Costs made small, beside the score: instructions, flash, ram, energy_uj.",
        rich_help_panel=SEARCH,
    ),
    trials: int | None = typer.Option(
        None, "--trials", min=1, help="Candidates to train in all: 60.", rich_help_panel=SEARCH
    ),
    workers: str | None = typer.Option(
        None,
        "--workers",
        help="local:2, ray://head:10001 or dask://scheduler:8786; default: local:1.",
        rich_help_panel=SEARCH,
    ),
    sampler: str = typer.Option(
        "tpe", "--sampler", help="Who proposes: tpe, gp or random.", rich_help_panel=SEARCH
    ),
    seed: int = typer.Option(
        0, "--seed", min=0, max=2**31, help="Of the proposals.", rich_help_panel=SEARCH
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Tell the share of the space within limits, and the hours."
    ),
    resume: bool = typer.Option(
        False, "--resume", help="Go on in the folder, with what it was started with."
    ),
    window: int | None = typer.Option(None, "--window", help="Samples per decision."),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
    *,
    reading: dict[str, Any],
) -> None:
    """Search cells, sizes and steps of compression for the best models within limits.

    Candidates beyond the limits are known by formula and not trained. The others
    are trained for a few epochs; the best third gets more, and so on. Validation
    subjects decide; test subjects are looked at once, by the program that is taken.
    Stopped at any moment, the same command goes on and ends with the same result.

    Examples:
      edgeflow search --data mine.csv --board qemu-m4 --max-flash 16k
      edgeflow search --data mine.csv --max-instructions 5000 --dry-run
      edgeflow search space.toml --data mine.csv --trials 200 --workers local:4
      edgeflow search --resume -o study
    """
    from edgeflow.search.search import FOLDER, command_of

    found = data if data is None or not Path(data).exists() else str(Path(data).resolve())
    given: dict[str, Any] = {
        "space": None if space is None else str(space.resolve()), "data": found, "board": board,
        "max_flash": max_flash, "max_ram": max_ram, "max_instructions": max_instructions,
        "objectives": objectives, "trials": trials, "workers": workers, "sampler": sampler,
        "seed": seed, "window": window,
        "reading": {name: _plain(value) for name, value in reading.items()},
    }  # fmt: skip
    if resume:
        given = {**command_of(out), **{k: given[k] for k in _ANEW if given[k] is not None}}
    if given["data"] is None:
        raise CompressError("--data: name recordings to search with, or go on with --resume")
    inputs = {"SPACE": given["space"], **dataset.inputs(given["data"], given["reading"])}
    FOLDER.check(out, inputs)
    _run(given, out, trust_board=trust_board, dry_run=dry_run, json_=json_)


def _run(
    given: dict[str, Any], out: Path, *, trust_board: bool, dry_run: bool, json_: bool
) -> None:
    from edgeflow.cli.search_view import View, show, show_estimate
    from edgeflow.recipes.measure import emulated_board
    from edgeflow.search.estimate import estimate
    from edgeflow.search.page import write_front
    from edgeflow.search.search import Settings, search
    from edgeflow.search.space import read_space

    limits = Limits(
        flash=_bytes("--max-flash", given["max_flash"]),
        ram=_bytes("--max-ram", given["max_ram"]),
        instructions=given["max_instructions"],
    )
    board = emulated_board(given["board"], trusted=trust_board)
    loaded = dataset.load(given["data"], given["reading"], given["window"])
    kind = "classes" if loaded.classes else "values"
    costs = tuple(name.strip() for name in given["objectives"].split(",") if name.strip())
    settings = Settings(
        read_space(given["space"], kind), board, limits, costs, given["sampler"], given["seed"]
    )
    trials, workers = given["trials"] or 60, given["workers"] or "local:1"
    if dry_run:
        from edgeflow.search.workers import parse_workers

        kind, address = parse_workers(workers)
        number = int(address or 1) if kind == "local" else 1
        with console.counting("drawing points"):
            told = estimate(loaded, settings, trials=trials, workers=number)
        show_estimate(told, settings, json_)
        return
    view = View(settings.of(loaded), trials, len(settings.space.rungs))
    with view:
        found = search(
            loaded, settings, out, trials=trials, workers=workers, command=given,
            on_start=view.start, on_told=view.told,
        )  # fmt: skip
    page = write_front(found, settings.of(loaded), out)
    show(found, settings.of(loaded), out, page, json_)


def _plain(value: Any) -> Any:
    """Return an option's value as JSON has it."""
    if isinstance(value, Path):
        return str(value.resolve())
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return value


def _bytes(option: str, text: str | None) -> int | None:
    return None if text is None else parse_bytes(option, text)
