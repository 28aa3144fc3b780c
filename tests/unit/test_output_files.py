"""Writing of single files (unit tier): links, modes, devices, what killed writers left, and locks.

It alone would catch a result that replaces a link by a file, or a private file by a public one.
"""

import errno
import os
import signal
import stat
from pathlib import Path

import pytest

from edgeflow.errors import OutputError
from edgeflow.files import atomic_path, check_outputs, held, held_file, scratch_folder, write_atomic
from edgeflow.files.leftovers import is_unfinished, sweep, unfinished


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    file, link = tmp_path / "elsewhere" / "real.onnx", tmp_path / "model.onnx"
    write_atomic(file, "old")
    link.symlink_to(file)
    write_atomic(link, "new")
    assert link.is_symlink() and file.read_text() == "new"
    assert [path.name for path in file.parent.iterdir()] == ["real.onnx"]


def test_a_link_to_nothing_makes_its_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").symlink_to("later/real.onnx")
    write_atomic(tmp_path / "model.onnx", "new")
    assert (tmp_path / "later" / "real.onnx").read_text() == "new"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_the_mode_of_a_file_is_kept(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "model.pt"
    file.touch()
    file.chmod(mode)
    write_atomic(file, b"new")
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_the_owner_of_a_file_is_kept(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    file = tmp_path / "model.pt"
    file.touch()
    os.chown(file, 1234, 2345)
    write_atomic(file, b"new")
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 2345)


def test_a_new_file_has_the_mode_of_the_user(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "model.elf") as temporary:
            temporary.unlink()
            temporary.touch(0o777)  # as a linker does
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.elf").stat().st_mode) == 0o640


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="pipe: is a device or a pipe"):
        write_atomic(tmp_path / "pipe", "new")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "model.pt"
    with pytest.raises(OSError) as caught, atomic_path(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(target)
    assert list(tmp_path.iterdir()) == []


def child_that_ended() -> str:
    """Return the name of an unfinished file of a process that is gone."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    ours = unfinished("model.pt")
    os.waitpid(pid, 0)
    return ours.replace(f"-{os.getpid()}-", f"-{pid}-")


def test_only_what_killed_processes_left_goes(tmp_path: Path) -> None:
    ours, left = unfinished("model.pt"), child_that_ended()
    # the number of a living process that began at another time
    reused = ours.replace(ours.split("-")[-2], "1")
    elsewhere = ours.replace(ours.split(".")[-1][:8], "0" * 8)
    folder = unfinished("edgeflow-bench").replace(f"-{os.getpid()}-", "-999999999-")
    for name in (ours, left, reused, elsewhere, "model.pt", ".model.pt.swp", "notes~"):
        (tmp_path / name).touch()
    (tmp_path / folder / "inside").mkdir(parents=True)
    assert all(map(is_unfinished, (ours, left, reused, elsewhere, folder)))
    sweep(tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {ours, elsewhere, "model.pt", ".model.pt.swp", "notes~"}
    os.utime(tmp_path / elsewhere, (0, 0))  # of another machine, and old
    sweep(tmp_path)
    assert elsewhere not in {path.name for path in tmp_path.iterdir()}


def test_writing_cleans_up_after_killed_writers(tmp_path: Path) -> None:
    (tmp_path / child_that_ended()).write_text("half")
    write_atomic(tmp_path / "model.pt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_scratch_folders_are_private_and_go() -> None:
    with scratch_folder("test") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "inside").touch()
    assert not folder.exists()


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    with held_file(file):
        with (
            pytest.raises(
                OutputError, match=rf"model.onnx: another edgeflow \(pid {os.getpid()}\)"
            ),
            held_file(file),
        ):
            pass
        (tmp_path / "link.onnx").symlink_to("model.onnx")
        with pytest.raises(OutputError), held_file(tmp_path / "link.onnx"):
            pass
        with held_file(tmp_path / "other.onnx"):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["link.onnx"]
    with held_file(file):
        pass
    with held_file(tmp_path / "new" / "folder" / "model.onnx"):
        pass
    assert not (tmp_path / "new").exists()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """A lock that is only a file would keep everybody out after a kill."""
    lock = tmp_path / "lock"
    pid = os.fork()
    if pid == 0:
        with held(lock, "x"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert lock.exists()
    with held(lock, "x"):
        assert lock.read_text() == f"{os.getpid()}\n"


class TestInputs:
    def test_every_name_of_a_file(self, tmp_path: Path) -> None:
        data = tmp_path / "mine.csv"
        data.write_text("1")
        (tmp_path / "link").symlink_to(data)
        (tmp_path / "hard").hardlink_to(data)
        for name in ("mine.csv", "link", "hard", "../" + tmp_path.name + "/mine.csv"):
            with pytest.raises(OutputError, match=r"is read \(--data .*mine.csv\)"):
                check_outputs([tmp_path / name], {"--data": str(data)})
            with pytest.raises(OutputError):
                check_outputs([data], {"--data": tmp_path / name})
        check_outputs([tmp_path / "new", None], {"--data": data, "other": None, "x": object()})

    def test_files_in_folders_that_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "walk.csv").touch()
        (tmp_path / "a" / "model.onnx").touch()
        with pytest.raises(OutputError):
            check_outputs([tmp_path / "a" / "walk.csv"], {"--data": tmp_path})
        check_outputs([tmp_path / "a" / "model.onnx"], {"--data": tmp_path})

    def test_sources_and_several(self, tmp_path: Path) -> None:
        for name in ("net.py", "b.onnx"):
            (tmp_path / name).touch()
        with pytest.raises(OutputError, match="MODEL"):
            check_outputs([tmp_path / "net.py"], {"MODEL": f"{tmp_path}/net.py:Net"})
        with pytest.raises(OutputError, match="b.onnx"):
            check_outputs(
                [tmp_path / "b.onnx"], {"RUN": [tmp_path / "a.onnx", tmp_path / "b.onnx"]}
            )
