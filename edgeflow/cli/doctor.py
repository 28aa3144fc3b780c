"""``edgeflow doctor``: tools and packages that this machine has or lacks."""

import shutil
from dataclasses import asdict
from typing import NoReturn

import typer

from edgeflow.cli import console
from edgeflow.cli.options import TRUST_BOARD


def command(
    json: bool = typer.Option(False, "--json", help="Print JSON."),
    packages: bool = typer.Option(
        False, "--packages", help="Print only the missing Debian packages, for scripts."
    ),
    board: str | None = typer.Option(
        None, "--board", help="Check what this board needs: compiler, flash tools, its port."
    ),
    trust_board: bool = TRUST_BOARD,
) -> None:
    """Check compilers, emulators and Python packages.

    Exit code 2 if something is missing that 'edgeflow demo' needs, or the --board.

    Examples:
      edgeflow doctor
      edgeflow doctor --json
      edgeflow doctor --board nucleo-l4r5zi
    """
    from edgeflow.targets import doctor

    if board is not None:
        _of_board(board, trust_board, json)
    checks = doctor.examine()
    if packages:
        for package in doctor.missing_packages(checks):
            print(package)
        return
    ok = all(check.ok for check in checks if check.required)
    install = doctor.install_command(checks)
    if json:
        rows = [asdict(check) | {"ok": check.ok} for check in checks]
        console.print_json({"ok": ok, "install": install, "checks": rows})
        raise typer.Exit(0 if ok else 2)
    for kind, title in (("tool", "Tools"), ("python", "Python packages")):
        console.table(
            title,
            ("name", "version", "state", "needed for"),
            (
                (check.name, check.version or "-", check.problem or "ok", check.needed_for)
                for check in checks
                if check.kind == kind
            ),
            text=("version", "state", "needed for"),
        )
    if install is None:
        console.out.print("Nothing is missing.")
        return
    lacking = "is missing something for" if not ok else "has all for"
    console.out.print(
        f"This machine {lacking} 'edgeflow demo' (board {doctor.DEFAULT_BOARD}). "
        "To install all that is missing:"
    )
    console.out.print(f"  {install}", soft_wrap=True)
    if "apt-get" in install and shutil.which("apt-get") is None:
        console.out.print(
            "There is no apt-get here: look for the tools by their names. For the demo, Fedora: "
            "arm-none-eabi-gcc-cs arm-none-eabi-newlib qemu-system-arm gcc; "
            "Arch: arm-none-eabi-gcc arm-none-eabi-newlib qemu-system-arm gcc."
        )
    raise typer.Exit(0 if ok else 2)


def _of_board(name: str, trusted: bool, json: bool) -> NoReturn:
    """Print what a board needs; exit with 2 if something of it is missing."""
    from edgeflow.device.checks import examine_board, install_commands
    from edgeflow.targets.board import load_board

    spec = load_board(name, trusted=trusted)
    checks = examine_board(spec)
    ok = all(check.ok for check in checks if check.required)
    commands = install_commands(checks)
    if json:
        rows = [asdict(check) | {"ok": check.ok} for check in checks]
        console.print_json({"board": spec.name, "ok": ok, "install": commands, "checks": rows})
        raise typer.Exit(0 if ok else 2)
    console.table(
        f"{spec.name}: {spec.description}",
        ("name", "version", "state", "for"),
        (
            (check.name, check.version or "-", check.problem or "ok", check.needed_for)
            for check in checks
        ),
        text=("version", "state", "for"),
    )
    for check in checks:
        if check.kind == "flash" and not check.ok:
            console.note(f"{check.name}: {check.install}")
    if commands:
        console.out.print("To install what is missing:")
        for command in commands:
            console.out.print(f"  {command}", soft_wrap=True, markup=False)
    else:
        console.out.print("Nothing is missing.")
    raise typer.Exit(0 if ok else 2)
