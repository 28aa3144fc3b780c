"""Classes of instructions as assemblers write them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeflow.profiling.classes import classify
from edgeflow.targets.elf import Image
from tests.unit.test_profile_classes import CORES


@pytest.mark.parametrize("core", CORES)
def test_classes(core: str, tmp_path: Path) -> None:
    compiler, flags, head, isa, rows = CORES[core]
    if shutil.which(compiler) is None and not os.environ.get("CI"):
        pytest.skip(f"{compiler} is not installed")
    # a label before each instruction tells where it starts; IT needs its instruction right after
    lines = "".join(f"at{i}: {text}\n" for i, (text, _) in enumerate(rows))
    source = tmp_path / "code.S"
    source.write_text(f"{head}{lines}.global f\nf:\n")
    subprocess.run(
        [compiler, *flags, "-c", str(source), "-o", str(tmp_path / "code.o")], check=True
    )
    image = Image(tmp_path / "code.o")
    assert image.isa == isa
    code = next(section.data for section in image.sections if section.executable)
    classes = classify(isa, code)
    found = {
        text: classes[image.by_name[f"at{i}"].address // 2] for i, (text, _) in enumerate(rows)
    }
    assert found == dict(rows)


def test_literals_are_not_instructions(tmp_path: Path) -> None:
    source = tmp_path / "code.S"
    source.write_text(
        ".syntax unified\n.thumb\n.thumb_func\nldr r0, =0x47704770\nbx lr\n.ltorg\nnop\n"
    )
    subprocess.run(
        ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-c", str(source), "-o", str(tmp_path / "c.o")],
        check=True,
    )
    stretches = Image(tmp_path / "c.o").code()
    assert [address for address, _ in stretches] == [0, 8]
    assert not any(bytes.fromhex("70477047") in data for _, data in stretches)
