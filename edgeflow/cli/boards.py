"""``edgeflow boards``: the boards that images can be made for."""

from typing import TYPE_CHECKING

import typer

from edgeflow.cli import console
from edgeflow.targets.board import BoardSpec, list_boards
from edgeflow.targets.boards import memory_text
from edgeflow.targets.part import Part, estimated_part
from edgeflow.targets.tools import missing_tools, package_version

if TYPE_CHECKING:
    from edgeflow.device.ports import Port

_EMULATORS = {"qemu": "QEMU ", "qemu-user": "QEMU user mode, ", "simavr": "simavr "}


def command(json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the boards, real and emulated.

    Examples:
      edgeflow boards
      edgeflow boards --json
    """
    from edgeflow.device.ports import usb_ports

    known, ports = list_boards(), usb_ports()
    rows = [_describe(board, ports) for board in known]
    if json:
        console.print_json(rows)
        return
    console.table(
        "Boards",
        ("board", "core", "what", "flash", "RAM", "ready"),
        (
            (
                row["name"],
                row["core"],
                f"{_EMULATORS.get(board.runner.kind, '')}{row['description']}",
                memory_text(row["flash_bytes"]),
                memory_text(row["ram_bytes"]),
                "yes" if row["ready"] else "no",
            )
            for board, row in zip(known, rows, strict=True)
        ),
        text=("core", "what"),
        whole=("board", "core"),
    )
    console.table(
        "Parts: cycles and energy of emulated boards are estimated for them",
        ("board", "part", "MHz", "flash", "RAM"),
        (
            (
                row["name"],
                row["part"]["name"],
                f"{row['part']['clock_hz'] / 1e6:g}",
                memory_text(row["part"]["flash_bytes"]) if row["part"]["flash_bytes"] else "in RAM",
                memory_text(row["part"]["ram_bytes"]),
            )
            for row in rows
            if row["part"] is not None
        ),
        text=("part",),
    )
    real = [row for row in rows if row["tools"]]
    console.table(
        "Real boards: what writes to them, the best first",
        ("board", "tools that are here", "others", "plugged in", "unverified"),
        (
            (
                row["name"],
                ", ".join(tool["name"] for tool in row["tools"] if tool["installed"]) or "-",
                ", ".join(tool["name"] for tool in row["tools"] if not tool["installed"]) or "-",
                ", ".join(row["ports"]) or "no",
                ", ".join(key.removeprefix("runner.") for key in row["unverified"]) or "-",
            )
            for row in real
        ),
        text=("tools that are here", "others", "plugged in", "unverified"),
    )
    shared = {port for row in real for port in row["ports"]}
    if len(shared) < sum(len(row["ports"]) for row in real):
        console.note("several boards have the same USB id: one at the port may be any of them")
    if not all(row["ready"] for row in rows):
        console.note("'edgeflow doctor' tells what is missing and what installs it")


def _describe(board: BoardSpec, ports: "list[Port]") -> dict:
    from edgeflow.device.ports import ports_of, usb_ids
    from edgeflow.device.runners import runners_of

    flash, ram = board.memory.get("flash"), board.memory.get("ram")
    missing, part = missing_tools(board.tools), estimated_part(board)
    missing += [name for name in board.packages if package_version(name) is None]
    tools = runners_of(board)
    if tools and all(tool.installed() is None for tool in tools):
        missing.append(str(tools[0].TOOL))
    return {
        "name": board.name,
        "core": board.core.name,
        "description": board.description,
        "emulator": board.emulator,
        "machine": getattr(board.runner, "machine", None),
        "flash_bytes": flash.size if flash else None,
        "ram_bytes": ram.size if ram else None,
        "clock_hz": board.clock_hz,
        "uart": board.uart.driver if board.uart else "stdio",
        "part": None if part is None else _describe_part(part),
        "ready": not missing,
        "missing": missing,
        "tools": [{"name": t.NAME, "installed": t.installed() is not None} for t in tools],
        "usb": list(usb_ids(board)),
        "ports": [port.device for port in ports_of(board, ports)],
        "sources": list(board.sources),
        "unverified": list(board.unverified),
    }


def _describe_part(part: Part) -> dict:
    memory = part.memory
    return {
        "name": part.name,
        "description": part.description,
        "clock_hz": part.clock_hz,
        "flash_bytes": memory.flash,
        "ram_bytes": memory.ram,
        "other_memories": memory.others,
        "unverified": memory.unverified,
    }
