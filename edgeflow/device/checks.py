"""What a machine has or lacks for one board: compiler, emulator, flash tools, port."""

import os

from edgeflow.device.lock import holder_of
from edgeflow.device.ports import Port, permission, ports_of, usb_ids
from edgeflow.device.runners import FlashRunner, runners_of
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.doctor import Check, check_tool, tool_version
from edgeflow.targets.tools import apt_command


def examine_board(spec: BoardSpec) -> list[Check]:
    """Look for all that building for, writing to and talking to a board takes.

    Returns
    -------
    list of Check
        Of kind ``tool`` (compiler, emulator), ``flash`` (tools that write, the best first, of which
        one is enough) and ``port``. What `edgeflow flash` cannot do without is required.

    Raises
    ------
    TargetError
        If the board file names a tool that there is not, or has a wrong option for one.
    """
    checks = [
        check_tool(name, f"building for {spec.name}" if name == spec.core.compiler
                   else f"running {spec.name}", True, [spec])
        for name in spec.tools
    ]  # fmt: skip
    if spec.runs_here:
        return checks
    tools = runners_of(spec)
    usable = next((tool for tool in tools if tool.installed() is not None), None)
    for tool in tools:
        # one that is there is enough; where none is, the best is asked for
        checks.append(_flash_check(tool, usable is None and tool is tools[0]))
    return checks + _port_checks(spec)


def install_commands(checks: list[Check]) -> list[str]:
    """Return what installs each required part that is missing, a command each."""
    missing = [check for check in checks if check.required and not check.ok]
    tools = [check.name for check in missing if check.kind == "tool"]
    commands = [apt_command(tools)] if tools else []
    return commands + [check.install for check in missing if check.kind == "flash"]


def port_problem(device: str) -> str | None:
    """Return why a serial port cannot be used here, and what to do; None if it can."""
    if not os.access(device, os.R_OK | os.W_OK):
        return f"no permission: {permission(device)}"
    holder = holder_of(device)
    return f"held by {holder}" if holder else None


def _flash_check(tool: FlashRunner, required: bool) -> Check:
    found = tool.installed()
    problem = None if found is not None else "not installed"
    version = tool_version(found) if found else None
    return Check(tool.NAME, "flash", tool.HELP, required, version, problem, tool.INSTALL)


def _port_checks(spec: BoardSpec) -> list[Check]:
    ports = ports_of(spec)
    if not ports:
        ids = ", ".join(usb_ids(spec))
        looked = f"looked for {ids}" if ids else "its file has no USB ids: give its --port"
        return [Check("port", "port", f"talking to {spec.name}", False, None,
                      f"not plugged in ({looked})")]  # fmt: skip
    return [_port_check(spec, port) for port in ports]


def _port_check(spec: BoardSpec, port: Port) -> Check:
    problem = port_problem(port.device)
    return Check(port.device, "port", f"talking to {spec.name}: {port}", False, None, problem)
