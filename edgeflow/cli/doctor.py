"""``edgeflow doctor``: tools and packages that this machine has or lacks."""

import shutil
from dataclasses import asdict

import typer

from edgeflow.cli import console


def command(
    json: bool = typer.Option(False, "--json", help="Print JSON."),
    packages: bool = typer.Option(
        False, "--packages", help="Print only the missing Debian packages, for scripts."
    ),
) -> None:
    """Check compilers, emulators and Python packages.

    Exit code 2 if something is missing that 'edgeflow demo' needs.

    Examples:
      edgeflow doctor
      edgeflow doctor --json
    """
    from edgeflow.targets import doctor

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
