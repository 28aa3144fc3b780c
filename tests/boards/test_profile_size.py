"""Flash and RAM of real images, built for this machine and for a Cortex-M4."""

import subprocess
from pathlib import Path

import pytest

from edgeflow.errors import EdgeFlowError
from edgeflow.targets.board import load_board
from edgeflow.targets.elf import Image
from edgeflow.targets.size import CODE_PARTS, FLASH_PARTS, RAM_PARTS, measure_size
from tests.boards.test_toolchain import build

SOURCES = {
    "model/model.c": """
        #include <stdint.h>
        extern const int16_t ef_table_x[257];
        int kernel(const int8_t *w, int n);
        static const int8_t weights_a[1000] = {1, 2, 3};
        const int32_t weights_b[50] = {4};
        static const int32_t ef_inner[3] = {5, 6, 7};
        int model_step(int n);
        int model_step(int n) {
            return kernel(weights_a, n) + weights_b[n] + ef_table_x[n] + ef_inner[n % 3];
        }
    """,
    "kernels/kernel.c": """
        #include <stdint.h>
        int kernel(const int8_t *w, int n);
        int kernel(const int8_t *w, int n) {
            int sum = 0;
            for (int i = 0; i < n; i++) sum += w[i];
            return sum;
        }
    """,
    "kernels/table.c": """
        #include <stdint.h>
        const int16_t ef_table_x[257] = {1};
    """,
    "runtime/main.c": """
        int model_step(int n);
        static struct { int h[40]; } model;
        static volatile char buffer[100];
        static int counter = 7;
        int main(void);
        int main(void) {
            for (;;) {
                model.h[counter % 40] += model_step(counter++);
                buffer[counter % 100] = (char)counter;
                __asm volatile("" ::: "memory");
            }
        }
    """,
}


@pytest.fixture(params=["host", "cortex-m4"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    compiler, flags = {
        "host": ("gcc", ["-no-pie"]),
        "cortex-m4": (
            "arm-none-eabi-gcc",
            ["-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-Wl,-e,main", "-Wl,-Tdata=0x20000000"],
        ),
    }[request.param]
    objects = []
    for name, text in SOURCES.items():
        source = tmp_path / "objects" / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        objects.append(source.with_suffix(".o"))
        compile_flags = [flag for flag in flags if not flag.startswith("-Wl")]
        subprocess.run(
            [compiler, *compile_flags, "-O1", "-c", source.name, "-o", str(objects[-1])],
            check=True, cwd=source.parent,
        )  # fmt: skip
    elf = tmp_path / "firmware.elf"
    subprocess.run([compiler, *flags, *map(str, objects), "-o", str(elf)], check=True)
    return elf


def test_parts_add_up_and_are_right(image: Path) -> None:
    report = measure_size(image, image.parent / "objects")
    assert tuple(report.flash) == FLASH_PARTS and tuple(report.ram) == RAM_PARTS
    assert sum(report.flash.values()) == report.flash_bytes
    assert sum(report.ram.values()) == report.ram_bytes
    assert report.flash["weights"] == 1000 + 200
    assert report.flash["tables"] == 2 * 257
    symbols = Image(image).by_name
    assert report.flash["kernels"] == symbols["kernel"].size
    assert report.flash["model_code"] == symbols["model_step"].size
    assert tuple(report.code) == CODE_PARTS
    assert report.code["kernels"] == symbols["kernel"].size
    assert report.code["model"] == symbols["model_step"].size
    assert report.code["runtime"] == symbols["main"].size
    assert report.code["protocol"] == report.code["hal"] == 0
    assert report.ram["model"] == 160
    # the buffer, the counter, and what alignment and the C library add
    assert report.ram["runtime"] >= 104
    assert report.stack_bytes is None


def test_totals_are_those_of_the_size_tool(image: Path) -> None:
    report = measure_size(image, image.parent / "objects")
    lines = subprocess.run(["size", "-A", str(image)], capture_output=True, text=True, check=True)
    sizes = {}
    for line in lines.stdout.splitlines()[2:]:
        fields = line.split()
        if len(fields) == 3 and not fields[0].startswith((".comment", ".debug", ".ARM.attributes")):
            sizes[fields[0]] = int(fields[1])
    assert report.flash_bytes == sum(n for name, n in sizes.items() if name != ".bss")


@pytest.mark.board
def test_what_a_board_copies_to_ram_counts_once(tmp_path: Path) -> None:
    """Variables with a value, which its linker script keeps in flash until it starts."""
    elf = build(load_board("qemu-m4"), tmp_path)
    listed = subprocess.run(["size", "-A", str(elf)], capture_output=True, text=True, check=True)
    sizes = {line.split()[0]: int(line.split()[1]) for line in listed.stdout.splitlines()[2:-2]}
    assert sizes[".data"] > 0
    assert measure_size(elf, tmp_path / "objects").ram_bytes == sizes[".data"] + sizes[".bss"]


def test_a_measured_stack_is_added(image: Path) -> None:
    report = measure_size(image, image.parent / "objects")
    measured = report.with_stack(300)
    assert measured.ram_bytes == report.ram_bytes + 300
    assert measured.with_stack(300) == measured
    assert measured.with_stack(0) == report
    assert sum(measured.ram.values()) == measured.ram_bytes


def test_damaged_files_are_refused(image: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.elf"
    broken.write_bytes(image.read_bytes()[:200])
    with pytest.raises(EdgeFlowError, match=r"broken\.elf"):
        measure_size(broken, image.parent / "objects")
    with pytest.raises(EdgeFlowError, match="no object files"):
        measure_size(image, tmp_path / "nothing")
    with pytest.raises(EdgeFlowError, match="missing"):
        measure_size(tmp_path / "missing.elf", image.parent / "objects")
