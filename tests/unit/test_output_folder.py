"""Folders of results (unit tier): whose they are, and how they are replaced.

It alone would catch a file of a user that goes with an older result, and a kill at any moment of
the swap that leaves a mixture of two results.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeflow.errors import OutputError, TargetError
from edgeflow.files import FolderKind, output_folder, settled
from edgeflow.files import swap as swapping

KIND = FolderKind("compile", beside=("profile",))
OTHER = FolderKind("train")


def put(folder: Path, files: dict[str, str], kind: FolderKind = KIND) -> None:
    with output_folder(folder, kind) as held:
        for name, text in files.items():
            (held.new / name).parent.mkdir(parents=True, exist_ok=True)
            (held.new / name).write_text(text)
        held.commit()


def content(folder: Path) -> dict[str, str]:
    """Return what is in a folder, without the mark."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in found
        if not path.is_relative_to(folder / ".edgeflow")
    }


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / ".edgeflow").iterdir())


OLD = {"model.c": "old", "kernels/a.c": "old", "kernels/b.c": "old", "objects/x/y.o": "old"}
NEW = {"model.c": "new", "kernels/a.c": "new", "kernels/c.c": "new", "gait.h": "new"}


def test_a_new_result_replaces_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "build"
    put(folder, OLD)
    (folder / "notes.txt").write_text("mine")
    (folder / "kernels" / "mine.c").write_text("mine")
    put(folder, NEW)
    assert content(folder) == {**NEW, "notes.txt": "mine", "kernels/mine.c": "mine"}
    assert not (folder / "objects").exists(), "empty folders of ours go"
    assert hidden(folder) == ["made.json"]


def test_the_folder_of_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "mine.c").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    before = content(tmp_path)
    line = r"holds files that EdgeFlow did not make \(kernels/, notes.txt\): choose a new or empty"
    with pytest.raises(OutputError, match=line):
        put(tmp_path, NEW)
    assert content(tmp_path) == before and not (tmp_path / ".edgeflow").exists()


def test_a_file_of_a_user_at_our_place_is_refused(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    (tmp_path / "gait.h").write_text("mine")
    with pytest.raises(OutputError, match=r"gait.h: EdgeFlow did not make it"):
        put(tmp_path, NEW)
    assert content(tmp_path) == {**OLD, "gait.h": "mine"}
    assert hidden(tmp_path) == ["made.json"]


def test_a_folder_or_file_in_the_way_is_refused(tmp_path: Path) -> None:
    put(tmp_path, {"model.c": "old"})
    (tmp_path / "kernels").write_text("mine")
    with pytest.raises(OutputError, match="kernels: a file is in the way of a folder"):
        put(tmp_path, NEW)
    (tmp_path / "kernels").unlink()
    (tmp_path / "gait.h").mkdir()
    with pytest.raises(OutputError, match="gait.h: EdgeFlow did not make it"):
        put(tmp_path, NEW)
    with pytest.raises(OutputError, match="a file is in the way of the folder"):
        put(tmp_path / "model.c", NEW)
    assert content(tmp_path) == {"model.c": "old"}


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder, outside = tmp_path / "build", tmp_path / "outside"
    put(folder, {"model.c": "old"})
    outside.mkdir()
    (folder / "kernels").symlink_to(outside)
    with pytest.raises(OutputError, match="kernels: a link leads out of the folder"):
        put(folder, NEW)
    assert list(outside.iterdir()) == []


def test_a_file_that_became_a_link_is_written_through(tmp_path: Path) -> None:
    folder, outside = tmp_path / "build", tmp_path / "shared.c"
    put(folder, OLD)
    outside.write_text("old")
    (folder / "model.c").unlink()
    (folder / "model.c").symlink_to(outside)
    put(folder, NEW)
    assert (folder / "model.c").is_symlink() and outside.read_text() == "new"


def test_modes_of_files_are_kept(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    (tmp_path / "model.c").chmod(0o600)
    put(tmp_path, NEW)
    assert (tmp_path / "model.c").stat().st_mode & 0o777 == 0o600


def test_the_folder_of_another_command_is_refused(tmp_path: Path) -> None:
    put(tmp_path, {"model.pt": "old"}, OTHER)
    with pytest.raises(OutputError, match="holds files of 'edgeflow train', not of 'edgeflow comp"):
        put(tmp_path, NEW)


def test_results_of_a_command_beside_stay(tmp_path: Path) -> None:
    profile = FolderKind("profile", beside=("compile",))
    put(tmp_path, OLD)
    put(tmp_path, {"profile.json": "one"}, profile)
    put(tmp_path, NEW)
    assert content(tmp_path) == {**NEW, "profile.json": "one"}
    put(tmp_path, {"profile.json": "two"}, profile)
    assert content(tmp_path) == {**NEW, "profile.json": "two"}


def test_an_earlier_folder_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    for name, text in {**OLD, "notes.txt": "mine"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    earlier = FolderKind("compile", earlier=lambda folder: {"compile": list(OLD)})
    put(tmp_path, NEW, earlier)
    assert content(tmp_path) == {**NEW, "notes.txt": "mine"}


def test_a_failure_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "build"
    for error in (TargetError("no"), KeyboardInterrupt(), OSError(28, "full")):
        with pytest.raises(type(error)), output_folder(folder, KIND) as held:
            (held.new / "model.c").write_text("half")
            raise error
        assert list(tmp_path.iterdir()) == [], "a new folder goes, and those above it"
    put(folder, OLD)
    line = rf"^{folder}/model.c: no$"
    with pytest.raises(TargetError, match=line), output_folder(folder, KIND) as held:
        (held.new / "model.c").write_text("half")
        raise TargetError(f"{held.new}/model.c: no")
    assert content(folder) == OLD and hidden(folder) == ["made.json"]
    with pytest.raises(OSError) as caught, output_folder(folder, KIND) as held:
        (held.new / "no" / "such").write_text("")
    assert caught.value.filename == f"{folder}/no/such"


def test_files_written_one_by_one_are_ours(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_text("mine")
    with pytest.raises(OutputError), output_folder(tmp_path, OTHER):
        pass
    (tmp_path / "model.pt").unlink()
    with output_folder(tmp_path, OTHER) as held:
        held.begin(["model.pt", "resume.pt"])
        (tmp_path / "resume.pt").write_text("state")
    with output_folder(tmp_path, OTHER) as held:
        held.begin(["model.pt", "resume.pt"])
        (held.new / "model.pt").write_text("whole")
        assert [path.name for path in held.commit()] == ["model.pt"]
    assert content(tmp_path) == {"model.pt": "whole"}
    (tmp_path / "resume.pt").write_text("mine")
    line = "resume.pt: EdgeFlow did not"
    with pytest.raises(OutputError, match=line), output_folder(tmp_path, OTHER) as held:
        held.begin(["model.pt", "resume.pt"])


def test_many_writers_of_a_new_folder_are_right_or_refused(tmp_path: Path) -> None:
    """One that made the folder and was refused must not take the mark of the one that writes."""
    for number in range(10):
        folder, pids = tmp_path / str(number), []
        for _ in range(8):
            pid = os.fork()
            if pid == 0:
                try:
                    put(folder, OLD)
                    os._exit(0)
                except OutputError as error:
                    os._exit(2 if "another edgeflow" in str(error) else 1)
                except BaseException:
                    os._exit(1)
            pids.append(pid)
        codes = {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids}
        assert codes <= {0, 2} and 0 in codes
        assert content(folder) == OLD and hidden(folder) == ["made.json"]


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "build"
    with output_folder(folder, KIND) as held:
        with pytest.raises(
            OutputError, match=rf"another edgeflow \(pid {os.getpid()}\) is writing"
        ):
            put(folder, OLD)
        (held.new / "model.c").write_text("new")
        held.commit()
    assert content(folder) == {"model.c": "new"}


@pytest.mark.parametrize("names", ['["../model.c"]', '["/etc/x"]', "3", '{"made": 1}'])
def test_a_mark_cannot_name_files_elsewhere(tmp_path: Path, names: str) -> None:
    """A folder from another person must not make us remove files outside of it."""
    folder = tmp_path / "build"
    put(folder, OLD)
    (tmp_path / "model.c").write_text("mine")
    (folder / ".edgeflow" / "made.json").write_text(f'{{"made": {{"compile": {names}}}}}')
    with pytest.raises(OutputError, match=r"made.json: damaged"):
        put(folder, NEW)
    (folder / ".edgeflow" / "swap.json").write_text(
        json.dumps({"base": "x", "names": ["../model.c"], "gone": ["../model.c"]})
    )
    with pytest.raises(OutputError, match=r"swap.json: damaged"):
        settled(folder)
    assert (tmp_path / "model.c").read_text() == "mine"


def in_child(action: Callable[[], None]) -> int:
    """Run an action in a forked process; return how that ended."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("reader", [False, True])
def test_a_kill_at_any_moment_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: bool
) -> None:
    """SIGKILL at each rename, removal and new folder of a replacement, until none is left."""
    left = -1

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    for name in ("replace", "unlink", "mkdir", "rmdir"):
        monkeypatch.setattr(Path, name, dying(getattr(Path, name)))
    seen = set()
    for moment in range(1, 200):
        left = -1
        folder = tmp_path / f"build{moment}"
        put(folder, OLD)
        (folder / "mine.c").write_text("mine")
        left = moment
        ended = in_child(lambda folder=folder: put(folder, NEW))
        left = -1
        if reader:
            settled(folder)
        else:
            with output_folder(folder, KIND):
                pass
            assert hidden(folder) == ["made.json"]
        found = content(folder)
        assert found.pop("mine.c") == "mine"
        assert found in (OLD, NEW)
        made = json.loads((folder / ".edgeflow" / "made.json").read_text())["made"]
        assert made == {"compile": sorted(found)}
        seen.add(found == NEW)
        if ended == 0:
            break
    assert ended == 0 and seen == {False, True} and moment > 20


def test_an_error_in_the_middle_of_a_swap_puts_all_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, OLD)
    real, moves = swapping._move, []

    def failing(source: Path, target: Path, moved: list[tuple[Path, Path]]) -> None:
        moves.append(source)
        if len(moves) == 6:
            raise OSError(28, "No space left on device", str(target))
        real(source, target, moved)

    monkeypatch.setattr(swapping, "_move", failing)
    with pytest.raises(OSError):
        put(tmp_path, NEW)
    assert content(tmp_path) == OLD and hidden(tmp_path) == ["made.json"]
