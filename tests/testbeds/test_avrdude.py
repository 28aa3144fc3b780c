"""avrdude against the real Optiboot of an Arduino Uno, on simavr's ATmega328P."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import serial

from edgeflow.codegen.build import compile_program
from edgeflow.device.runners import base
from edgeflow.device.simavr import SimavrBoard
from edgeflow.errors import DeviceError, PortBusyError
from edgeflow.targets.board import load_board
from tests.hardware import board_file, tiny_elf
from tests.testbeds import workload
from tests.testbeds.needs import needs, skipped
from tests.testbeds.tool import as_hardware, write_with
from tests.testbeds.uno import OPTIBOOT, Uno, build_uno

pytestmark = [
    needs(avrdude="avrdude", avr_gcc="gcc-avr"),
    skipped([] if OPTIBOOT.exists() else ["arduino-core-avr"]),
    skipped([] if Path("/usr/include/simavr/sim_avr.h").exists() else ["libsimavr-dev"]),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_uno(tmp_path_factory.mktemp("uno"))


@pytest.fixture(scope="module")
def sketch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that greets and then answers each byte with the next one."""
    elf = tmp_path_factory.mktemp("sketch") / "firmware.elf"
    source = Path(__file__).with_name("uno_echo.c")
    flags = ["-mmcu=atmega328p", "-std=c99", "-Os", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["avr-gcc", *flags, "-o", elf, source], check=True)
    for kind, suffix in (("ihex", ".hex"), ("binary", ".bin")):
        subprocess.run(["avr-objcopy", "-O", kind, elf, elf.with_suffix(suffix)], check=True)
    return elf


def flash(uno: Uno, image: Path, folder: Path, part: str = "m328p") -> None:
    options = f'[runner.options.avrdude]\npart = "{part}"\n'
    board = board_file(folder, order=["avrdude"], options=options)
    write_with("avrdude", board, image, uno.port.environment, uno.port.path)


def test_sketch_is_written_and_runs(
    tmp_path: Path, program: Path, modem_lines: Path, sketch: Path
) -> None:
    data = sketch.with_suffix(".bin").read_bytes()
    with Uno(tmp_path, program, modem_lines) as uno:
        flash(uno, sketch, tmp_path)
        assert uno.flash[: len(data)] == data
        with serial.Serial(str(uno.port.path), 115200, timeout=3) as port:
            # opening the port resets the chip, and drops what it has said of its first words
            found = b""
            for _ in range(5):
                found += port.read_until(b"sketch\r\n")
                port.write(b"HAL")
                found += port.read_until(b"IBM")
                if found.endswith(b"IBM"):
                    break
            assert b"sketch\r\n" in found and found.endswith(b"IBM")


@pytest.mark.board
def test_what_was_written_is_the_model(tmp_path: Path, program: Path, modem_lines: Path) -> None:
    """Optiboot writes the firmware of a model; the chip starts without it, outputs are compared.

    Debian's Optiboot is larger than its 512 bytes, so that it starts a sketch at the vector of INT0:
    avr-libc's lead to the start from there, EdgeFlow's firmware names an unexpected interrupt.
    """
    board = as_hardware("sim-atmega328p", tmp_path / "uno.toml", "avrdude", 'part = "m328p"\n')
    model = workload.program()
    build = compile_program(model, load_board(board), tmp_path / "build")
    image = build.elf.with_suffix(".bin").read_bytes()
    with Uno(tmp_path, program, modem_lines) as uno:
        write_with("avrdude", board, build.elf, uno.port.environment, uno.port.path)
        written = uno.flash[:0x7E00]
    assert written[: len(image)] == image and set(written[len(image) :]) == {0xFF}
    x = np.random.default_rng(0).integers(-2047, 2048, (300, model.inputs)).astype(np.int16)
    chip = SimavrBoard(load_board("sim-atmega328p"), tiny_elf(tmp_path / "chip.elf", {0: written}))
    with chip, chip.connect(build.expected) as client:
        assert np.array_equal(client.steps(x, reset=True).y, model.run(x[None])[0])


def test_port_that_another_program_has(
    tmp_path: Path, program: Path, modem_lines: Path, sketch: Path
) -> None:
    with Uno(tmp_path, program, modem_lines) as uno:
        holder = subprocess.Popen(
            ["sh", "-c", f"exec 3<>{uno.port.path}; echo; exec sleep 60"], stdout=subprocess.PIPE
        )
        try:
            assert holder.stdout is not None and holder.stdout.readline()
            with pytest.raises(PortBusyError, match=rf"held by sleep \(pid {holder.pid}\)"):
                flash(uno, sketch, tmp_path)
        finally:
            holder.kill()
            holder.wait()


def test_a_byte_that_changes_on_the_way_is_noticed(
    tmp_path: Path, program: Path, modem_lines: Path, sketch: Path
) -> None:
    data = sketch.with_suffix(".bin").read_bytes()
    with Uno(tmp_path, program, modem_lines, flip=100) as uno:
        with pytest.raises(DeviceError, match="is not the image: flash again"):
            flash(uno, sketch, tmp_path)
        assert uno.flash[: len(data)] != data


def test_another_chip_is_left_alone(
    tmp_path: Path, program: Path, modem_lines: Path, sketch: Path
) -> None:
    with Uno(tmp_path, program, modem_lines) as uno:
        with pytest.raises(DeviceError, match="another chip than the board file says") as error:
            flash(uno, sketch, tmp_path, part="m2560")
        assert "\n" not in str(error.value) and set(uno.flash[:0x7E00]) == {0xFF}


def test_unplugged_in_mid_write_and_flashed_again(
    tmp_path: Path, program: Path, modem_lines: Path, sketch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sketch.with_suffix(".bin").read_bytes()
    # without its port the tool would go on for ever
    monkeypatch.setattr(base, "_WITHOUT_PORT", 1.0)
    # of two pages of 128 bytes, the second never comes
    uno = Uno(tmp_path, program, modem_lines, cut=250)
    with pytest.raises(DeviceError, match="went away in the middle"):
        flash(uno, sketch, tmp_path)
    uno.unplug()
    assert uno.flash[:128] == data[:128] and uno.flash[: len(data)] != data
    with Uno(tmp_path, program, modem_lines) as uno:
        flash(uno, sketch, tmp_path)
        assert uno.flash[: len(data)] == data
