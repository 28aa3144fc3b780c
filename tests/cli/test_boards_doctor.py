"""`edgeflow boards` and `edgeflow doctor`, with all tools and with none."""

import json
import shutil

import pytest
import typer
from typer.testing import CliRunner

from edgeflow.cli import boards, doctor
from edgeflow.targets.doctor import examine, install_command, missing_packages
from tests.conftest import ROOT


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
    assert len(rows) == 13
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


def test_doctor_sees_what_is_there_in_part(tmp_path, monkeypatch):
    # programs that answer as such ones do
    for name, answer in (
        ("arm-none-eabi-gcc", 'case "$*" in *specs*) echo nano.specs;; *) echo gcc 12.2.1;; esac'),
        ("qemu-system-arm", "echo QEMU emulator version 7.2.0"),
        ("simavr", "true"),
        ("gcc", 'case "$*" in *simavr*) echo avr_make_mcu_by_name;; *) echo /lib/libc.a;; esac'),
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{answer}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = {check.name: check for check in examine()}
    assert checks["arm-none-eabi-gcc"].problem == "its C library is not installed (no nano.specs)"
    assert checks["arm-none-eabi-gcc"].version == "12.2.1"
    assert "without plugins" in checks["qemu-system-arm"].problem
    assert "libelf.h" in checks["simavr"].problem
    assert checks["gcc"].problem is None
    assert "libnewlib-arm-none-eabi" in install_command(list(checks.values()))


def test_setup_installs_what_doctor_looks_for(tmp_path, monkeypatch):
    """On a machine with no tool at all, the list that scripts/setup.sh begins with is doctor's."""
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = (ROOT / "scripts" / "debian-packages.txt").read_text().splitlines()
    assert lines[1:] == sorted(missing_packages(examine()))
