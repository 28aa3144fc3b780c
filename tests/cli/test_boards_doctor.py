"""`edgeflow boards` and `edgeflow doctor`, with all tools and with none."""

import grp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edgeflow.cli import boards, doctor
from edgeflow.device import ports
from edgeflow.device.checks import port_problem
from edgeflow.device.ports import Port
from edgeflow.device.transport import open_transport
from edgeflow.errors import DeviceError
from edgeflow.targets.board import list_boards
from edgeflow.targets.doctor import examine, install_command, missing_packages
from tests.conftest import ROOT
from tests.hardware import board_file


@pytest.fixture
def run():
    app = typer.Typer()
    app.command("boards")(boards.command)
    app.command("doctor")(doctor.command)

    def run(*arguments):
        return CliRunner().invoke(app, arguments)

    return run


@pytest.fixture
def only(tmp_path, monkeypatch):
    """Leave nothing in PATH but the named tools."""

    def only(*tools):
        folder = tmp_path / "bin"
        folder.mkdir()
        for tool in tools:
            path = shutil.which(tool)
            if path is None:
                pytest.skip(f"{tool} is not installed")
            (folder / tool).symlink_to(path)
        monkeypatch.setenv("PATH", str(folder))

    return only


def test_boards_table_and_json(run):
    result = run("boards")
    assert result.exit_code == 0
    rows = json.loads(run("boards", "--json").stdout)
    assert [row["name"] for row in rows] == [board.name for board in list_boards()]
    for row in rows:
        assert row["name"] in result.stdout
    m4 = next(row for row in rows if row["name"] == "qemu-m4")
    assert m4["core"] == "cortex-m4"
    assert m4["emulator"] == "qemu-system-arm"
    assert m4["flash_bytes"] == m4["ram_bytes"] == 4 << 20
    assert m4["ready"] == (m4["missing"] == [])


def test_boards_without_tools_are_not_ready(run, only):
    only("gcc")
    rows = {row["name"]: row for row in json.loads(run("boards", "--json").stdout)}
    assert rows["host"]["ready"]
    assert rows["qemu-m4"]["missing"] == ["arm-none-eabi-gcc", "qemu-system-arm"]
    assert not rows["qemu-m4"]["ready"]


def test_boards_shows_what_writes_to_real_ones(run, only):
    only("arm-none-eabi-gcc", "st-flash")
    rows = {row["name"]: row for row in json.loads(run("boards", "--json").stdout)}
    row = rows["nucleo-l4r5zi"]
    assert row["tools"] == [
        {"name": "openocd", "installed": False}, {"name": "st-flash", "installed": True}
    ]  # fmt: skip
    assert row["ready"] and row["usb"] == ["0483:374b"] and row["sources"]
    assert "runner.usb" in row["unverified"]
    assert rows["qemu-m4"]["tools"] == []
    assert "Real boards" in run("boards").stdout


def test_doctor_of_a_board(run, only, tmp_path):
    """One tool that writes is enough; without any, the best is asked for."""
    only("arm-none-eabi-gcc")
    options = '[runner.options.openocd]\nconfig = ["x.cfg"]\n'
    path = board_file(tmp_path, order=["openocd", "st-flash"], usb=["1234:*"], options=options)
    done = run("doctor", "--board", str(path), "--json")
    value = json.loads(done.stdout)
    assert done.exit_code == 2 and value["ok"] is False
    (command,) = value["install"]
    assert command.startswith("sudo apt-get install openocd")
    states = {check["name"]: check for check in value["checks"]}
    assert list(states) == ["arm-none-eabi-gcc", "openocd", "st-flash", "port"]
    assert states["arm-none-eabi-gcc"]["ok"]
    assert states["port"]["problem"] == "not plugged in (looked for 1234:*)"
    assert "sudo apt-get install openocd" in run("doctor", "--board", str(path)).stdout
    tool = tmp_path / "bin" / "st-flash"
    tool.write_text("#!/bin/sh\necho v1.7.0\n")
    tool.chmod(0o755)
    value = json.loads((done := run("doctor", "--board", str(path), "--json")).stdout)
    assert done.exit_code == 0 and value["ok"] and value["install"] == []
    states = {check["name"]: check for check in value["checks"]}
    assert states["st-flash"]["ok"] and not states["openocd"]["ok"]


def test_doctor_of_a_board_tells_of_its_port(run, tmp_path, monkeypatch):
    """A port that another program has open, as the kernel tells."""
    master, slave = os.openpty()
    name = os.ttyname(slave)
    monkeypatch.setattr(ports, "usb_ports", lambda: [Port(name, "1234:5678", product="probe")])
    path = board_file(tmp_path, order=["uf2"], usb=["1234:*"],
                      options='[runner.options.uf2]\nfamily = "rp2040"\nboard_id = "X"\n')  # fmt: skip

    def port():
        value = json.loads(run("doctor", "--board", str(path), "--json").stdout)
        return next(check for check in value["checks"] if check["kind"] == "port")

    os.close(slave)
    assert port()["ok"] and "probe" in port()["needed_for"]
    # a terminal that is only somebody's: its far end, here, does not hold it
    code = f"import os, sys; os.open({name!r}, os.O_RDWR | os.O_NOCTTY); print(1, flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=True
    )
    try:
        holder.stdout.readline()
        assert port()["problem"] == f"held by {holder_name(holder.pid)}"
    finally:
        holder.communicate()
        os.close(master)


def holder_name(pid):
    return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid})"


def test_a_port_without_permission_says_which_group_has_it():
    """Before it is opened, and when it is; root may open all, so that somebody else tries."""
    master, slave = os.openpty()
    name = os.ttyname(slave)
    os.chmod(name, 0o600)  # noqa: PTH101
    group = grp.getgrgid(os.stat(name).st_gid).gr_name  # noqa: PTH116
    advice = f"sudo usermod -aG {group} $USER, then log in again"
    if group == "root":
        advice = "a udev rule has to give it"

    def try_both():
        with pytest.raises(DeviceError) as error:
            open_transport(name)
        return [port_problem(name), str(error.value)]

    before, opened = as_somebody_else(try_both)
    assert advice in before and before.startswith("no permission")
    assert advice in opened and opened.startswith(f"{name}: cannot open the port")
    os.close(master)
    os.close(slave)


def as_somebody_else(call):
    """Return what a function returns to a process without rights."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setuid(65534)
            os.write(write, json.dumps(call()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return json.loads(said)


def test_doctor_on_a_bare_machine(run, only):
    only("gcc")
    result = run("doctor")
    assert result.exit_code == 2
    report = run("doctor", "--json")
    assert report.exit_code == 2
    value = json.loads(report.stdout)
    assert value["ok"] is False
    assert value["install"].startswith("sudo apt-get install gcc-arm-none-eabi ")
    assert value["install"] in " ".join(result.stdout.split())
    states = {check["name"]: check for check in value["checks"]}
    assert states["gcc"]["ok"] and states["gcc"]["version"]
    assert states["arm-none-eabi-gcc"]["problem"] == "not installed"
    assert "Fedora" in result.stdout  # there is no apt-get in this PATH


def test_doctor_is_content_with_what_the_demo_needs(run, only):
    only("gcc", "arm-none-eabi-gcc", "qemu-system-arm")
    value = json.loads(run("doctor", "--json").stdout)
    states = {check["name"]: check for check in value["checks"]}
    if all(check["ok"] for check in value["checks"] if check["kind"] == "python"):
        assert value["ok"]
        assert run("doctor").exit_code == 0
    assert not states["qemu-system-riscv32"]["ok"]
    assert not states["qemu-system-riscv32"]["required"]
    assert states["torch"]["version"]


def test_doctor_sees_a_compiler_without_its_library_and_an_emulator_without_plugins(
    tmp_path, monkeypatch
):
    # programs that answer as such ones do
    for name, answer in (
        ("arm-none-eabi-gcc", 'case "$*" in *specs*) echo nano.specs;; *) echo gcc 12.2.1;; esac'),
        ("qemu-system-arm", "echo QEMU emulator version 7.2.0"),
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{answer}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = {check.name: check for check in examine()}
    assert checks["arm-none-eabi-gcc"].problem == "its C library is not installed (no nano.specs)"
    assert checks["arm-none-eabi-gcc"].version == "12.2.1"
    assert "without plugins" in checks["qemu-system-arm"].problem
    assert "libnewlib-arm-none-eabi" in install_command(list(checks.values()))


def test_setup_installs_what_doctor_looks_for(tmp_path, monkeypatch):
    """On a machine with no tool at all, the list that scripts/setup.sh begins with is doctor's."""
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = (ROOT / "scripts" / "debian-packages.txt").read_text().splitlines()
    assert lines[1:] == sorted(missing_packages(examine()))
