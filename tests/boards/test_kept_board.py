"""A build made with a board file of one's own runs without it (tier: boards).

Alone they would catch a copy that leaves out the core or SoC beside the file, and one from
elsewhere that is trusted because it is in a build.
"""

import json
import shutil
from pathlib import Path

import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.errors import TargetError
from edgeflow.resources import resource
from edgeflow.targets.board import load_board
from tests.hardware import board_file
from tests.random_programs import random_program, samples


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build for a board with its own core and SoC, whose files are gone."""
    folder = tmp_path_factory.mktemp("own")
    targets = resource("targets")
    shutil.copytree(targets / "soc" / "cortexm", folder / "soc" / "toy")
    (folder / "cores").mkdir()
    shutil.copy(targets / "cores" / "cortex-m4.toml", folder / "cores" / "mine.toml")
    text = (targets / "qemu-m4.toml").read_text().partition("[estimate]")[0]
    text = text.replace('"cortex-m4"', '"mine"').replace('"cortexm"', '"toy"')
    (folder / "own.toml").write_text(text)
    out = folder / "build"
    compile_program(random_program(1, 3, [5], 4, 12, 12), load_board(folder / "own.toml"), out)
    for name in ("own.toml", "cores", "soc"):
        (folder / name).rename(folder / f"{name}.away")
    return out


@pytest.mark.board
def test_it_runs_without_the_file(build: Path) -> None:
    loaded = Build.load(build)
    spec = loaded.spec()
    assert (spec.name, spec.core.name) == ("own", "mine")
    assert spec.soc == build.resolve() / "board" / "soc" / "toy"
    program = loaded.program()
    x = samples(program, 7, windows=1, time=20)
    from edgeflow.device import open_board

    with open_board(spec, image=loaded.elf) as board, board.start(loaded.expected) as client:
        assert (client.steps(x[0], reset=True).y == program.run(x)[0]).all()


@pytest.mark.board
def test_the_copy_is_not_trusted(build: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(build, tmp_path / "changed"))
    core = changed / "board" / "cores" / "mine.toml"
    core.write_text(core.read_text().replace('"arm-none-eabi-"', '"./evil-"'))
    with pytest.raises(TargetError, match=r"core.prefix: .*--trust-board"):
        Build.load(changed).spec()
    assert Build.load(changed).spec(trust_board=True).core.prefix == "./evil-"


@pytest.mark.board
def test_a_copy_is_within_the_build(build: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(build, tmp_path / "changed"))
    file = changed / "board" / "own.toml"
    file.unlink()
    file.symlink_to("/etc/passwd")
    with pytest.raises(TargetError, match="leads out of the build"):
        Build.load(changed).spec()


@pytest.mark.board
@pytest.mark.parametrize("name", ["/etc/x.toml", "../x.toml", "board/../../x.toml", "x.toml", 5])
def test_a_build_file_names_no_other_board_file(build: Path, tmp_path: Path, name: object) -> None:
    changed = Path(shutil.copytree(build, tmp_path / "changed"))
    content = json.loads((changed / "build.json").read_text())
    del content["sha256"]
    (changed / "build.json").write_text(json.dumps(content | {"board_file": name}))
    with pytest.raises(TargetError, match="board_file: "):
        Build.load(changed)


def test_a_wrong_option_of_a_flash_tool_is_told_by_compile(tmp_path: Path) -> None:
    path = board_file(tmp_path, order=["openocd"], options="[runner.options.openocd]\nscript = 1\n")
    with pytest.raises(TargetError, match=r"own.toml: runner.options.openocd"):
        compile_program(random_program(1, 3, [5], 4, 12, 12), load_board(path), tmp_path / "build")
    path = board_file(tmp_path, order=["hammer"])
    with pytest.raises(TargetError, match="own.toml: runner.order: no runner 'hammer'"):
        compile_program(random_program(1, 3, [5], 4, 12, 12), load_board(path), tmp_path / "build")


def test_a_shipped_board_is_not_copied(tmp_path: Path) -> None:
    program = random_program(1, 3, [5], 4, 12, 12)
    build = compile_program(program, "host", tmp_path / "build")
    assert build.board_file is None and not (tmp_path / "build" / "board").exists()
