"""The public data sets: what is read, where it is looked for, and who is in which split."""

import gzip
import hashlib
import json
import lzma
import os
import signal
import time
import wave
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.data import SPLITS, load_dataset, sources
from edgeflow.data.archive import extract_checked
from edgeflow.data.sets import motionsense, seglearn_watch, skab, wisdm_watch
from edgeflow.errors import DataError


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGEFLOW_DATA", raising=False)
    return tmp_path / "cache"


def same(a, b) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x.x, y.x) and x.label == y.label and x.person == y.person
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("name", sorted(sources()))
def test_every_set_is_whole_and_split_by_person(name, shared_data):
    data = load_dataset(name, root=shared_data)
    people = [p for split in SPLITS for p in data.people[split]]
    assert len(people) == len(set(people)) == len({r.person for r in data.recordings})
    assert len(data.channels) == len(data.units)
    for split in SPLITS:
        windows = data.windows(split)
        assert windows.x.shape[1:] == (data.window, len(data.channels))
        assert windows.x.dtype == np.float32
        assert np.isfinite(windows.x).all()
        if name == "uav":  # positions, to be forecast
            assert windows.y.dtype == np.float32 and np.isfinite(windows.y).all()
            continue
        if name == "seglearn-watch-sets":  # a count is known at the end of a set alone
            counts = np.concatenate([r.by_step() for r in data.split(split)])
            assert set(counts[np.isfinite(counts)]) == {20}
            continue
        assert windows.y.dtype == np.int64
        # flags have no classes; the next samples are the targets of breathing
        labels = {"skab": 2, "breathing": 1}.get(name, len(data.classes))
        assert set(windows.y) == set(range(labels))
        assert set(windows.person) == set(data.people[split])


def test_units_follow_gravity(shared_data):
    """At rest an accelerometer shows 1 g, so the median length of its vector is near it."""
    for name, gravity in (("seglearn-watch", 1.0), ("wisdm-watch", 9.81), ("motionsense", 1.0)):
        x = load_dataset(name, root=shared_data).windows("val").x[..., :3]
        length = np.median(np.linalg.norm(x, axis=2))
        assert length == pytest.approx(gravity, rel=0.1), name


def test_skab_csv_equals_packed(shared_data: Path, tmp_path: Path) -> None:
    """Semicolons, other columns between, and a normal run without flags."""
    packed = load_dataset("skab", root=shared_data)
    chosen = ["valve1-2", "valve1-3", "valve1-7", "anomaly-free-anomaly-free"]
    whole = {r.person: r for r in packed.recordings}
    for name in chosen:
        folder, number = name.rsplit("-", 1) if name != chosen[3] else ("anomaly-free",) * 2
        table = np.concatenate([whole[name].x, whole[name].target[:, None]], axis=1)
        header = ["datetime", *skab.COLUMNS, "anomaly"]
        if folder == "anomaly-free":
            header, table = header[:-1], table[:, :-1]
        rows = (";".join(["2020-03-09", *map(repr, map(float, row))]) for row in table)
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{number}.csv").write_text("\n".join([";".join(header), *rows]))
    read = load_dataset("skab", root=tmp_path)
    assert read.people == {"train": sorted(chosen)[:2], "val": ["valve1-7"], "test": ["valve1-3"]}
    for one in read.recordings:
        assert np.array_equal(one.x, whole[one.person].x)
        assert np.array_equal(one.target, whole[one.person].target)
    (tmp_path / "valve1" / "2.csv").write_text("datetime;Current\n1;2\n")
    with pytest.raises(DataError, match="no column 'Accelerometer1RMS'"):
        load_dataset("skab", root=tmp_path)


def test_digits_wav_equals_packed(shared_data: Path, tmp_path: Path) -> None:
    """Clips of three speakers; a short one is filled up with silence."""
    with np.load(shared_data / "spoken-digits" / "digits.npz") as file:
        parts = np.split(file["x"], np.cumsum(file["length"])[:-1])
        whose, digits = file["speaker"], file["digit"]
    packed = load_dataset("spoken-digits", root=shared_data)
    chosen = [int(np.flatnonzero(whose == name)[0]) for name in ("george", "nicolas", "yweweler")]
    for i in chosen:
        with wave.open(str(tmp_path / f"{digits[i]}_{whose[i]}_0.wav"), "wb") as clip:
            clip.setparams((1, 2, 8000, len(parts[i]), "NONE", ""))
            clip.writeframes(parts[i].astype("<i2").tobytes())
    read = load_dataset("spoken-digits", root=tmp_path)
    assert {r.person for r in read.recordings} == {"george", "nicolas", "yweweler"}
    for one in read.recordings:
        (same_one,) = [packed.recordings[i] for i in chosen if whose[i] == one.person]
        assert np.array_equal(one.x, same_one.x) and one.label == same_one.label
        assert len(one.x) >= packed.window
    (tmp_path / "1_theo_0.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"1_theo_0.wav: .*: copy it again"):
        load_dataset("spoken-digits", root=tmp_path)


def test_some_channels_in_any_order(shared_data):
    whole = load_dataset("seglearn-watch", root=shared_data)
    some = load_dataset("seglearn-watch", root=shared_data, channels=["gyr_x", "acc_z"])
    assert (some.channels, some.units) == (["gyr_x", "acc_z"], ["rad/s", "g"])
    assert np.array_equal(some.recordings[3].x, whole.recordings[3].x[:, [3, 2]])
    assert some.people == whole.people
    with pytest.raises(DataError, match="has no channel 'az': there are acc_x, "):
        load_dataset("seglearn-watch", root=shared_data, channels=["az"])
    with pytest.raises(DataError, match="as it was published: leave out --decimal"):
        load_dataset("seglearn-watch", root=shared_data, decimal=",")


def test_seglearn_split_holds_both_arms(shared_data):
    with np.load(shared_data / "seglearn-watch" / "watch.npz") as file:
        person, side = file["subject"], file["side"]
    people = load_dataset("seglearn-watch", root=shared_data).people
    for split in SPLITS:
        assert set(side[np.isin(person, [int(p) for p in people[split]])]) == {0, 1}


def test_wisdm_split_is_the_published_one(shared_data):
    split = json.loads((shared_data / "wisdm-watch" / "splits.json").read_text())
    for name, classes in (
        ("wisdm-watch", split["classes18"]),
        ("wisdm-watch-hand", split["classes7_hand"]),
    ):
        data = load_dataset(name, root=shared_data)
        assert data.people["test"] == [str(p) for p in split["test"]]
        assert data.people["val"] == [str(p) for p in split["val"]]
        assert len(data.people["train"]) == 25
        assert data.classes == classes and data.window == split["window"]["samples"]


def test_wisdm_original_text_equals_packed(shared_data, tmp_path, private_cache):
    root = tmp_path / "original"
    (root / "wisdm-dataset").mkdir(parents=True)
    (root / "wisdm-dataset" / "raw").symlink_to(shared_data / "wisdm-watch" / "raw")
    five = ["1602", "1631", "1633", "1643", "1647"]
    split = {"train": five[:3], "val": five[3:4], "test": five[4:]}
    packed = [r for r in load_dataset("wisdm-watch", root=shared_data).recordings
              if r.person in five]  # fmt: skip
    original = load_dataset("wisdm-watch", root=root, people=split)
    assert same(original.recordings, packed)
    # the second time from the cache, even if that was damaged in between
    kept = sorted(private_cache.rglob("parsed/wisdm-watch/*.npz"))
    assert len(kept) == 5
    kept[0].write_bytes(b"half a file")
    assert same(load_dataset("wisdm-watch", root=root, people=split).recordings, packed)


def test_wisdm_other_people_need_a_split(shared_data, tmp_path):
    (tmp_path / "raw").symlink_to(shared_data / "wisdm-watch" / "raw")
    with pytest.raises(DataError, match=r"none of the test subjects.*only 1602, 1631.*--people"):
        load_dataset("wisdm-watch", root=tmp_path)


def _wisdm_files(tmp_path: Path, accel: str, gyro: str) -> tuple[Path, Path]:
    a, g = tmp_path / "data_1_accel_watch.txt", tmp_path / "data_1_gyro_watch.txt.gz"
    a.write_text(accel)
    with gzip.open(g, "wt") as file:
        file.write(gyro)
    return a, g


def _lines(letter: str, times_ms: list[int], value: float = 0.0) -> str:
    return "".join(f"1,{letter},{t}000000,{value + i},{i},9.81;\n" for i, t in enumerate(times_ms))


def test_wisdm_pairing_rules(tmp_path):
    times = [50 * i for i in range(60)]
    # a repeated stamp, a sample without a partner, and a pause after 30 samples
    times = times[:30] + [t + 1000 for t in times[30:]]
    accel = _lines("F", [times[0], *times])
    gyro = _lines("F", [t + 10 for t in times if t != times[40]]) + _lines("Z", times)
    arrays = wisdm_watch.read_raw(*_wisdm_files(tmp_path, accel, gyro))
    assert np.bincount(arrays["seg"]).tolist() == [30, 29]
    assert set(arrays["label"]) == {wisdm_watch.LETTERS.index("F")}
    # the first of two equal stamps counts; counts are 1/1000 m/s2 and 1/900 rad/s
    assert arrays["acc"][:3].tolist() == [[0, 0, 9810], [2000, 2000, 9810], [3000, 3000, 9810]]
    assert arrays["gyr"][:2].tolist() == [[0, 0, 8829], [900, 900, 8829]]


def test_wisdm_bad_files_are_named(tmp_path):
    good = _lines("F", [50 * i for i in range(60)])
    bad = good.replace("30.0,30,", "30.0,oops,")
    with pytest.raises(DataError, match=r"accel_watch.txt: line 31: .*oops"):
        wisdm_watch.read_raw(*_wisdm_files(tmp_path, bad, good))
    with pytest.raises(DataError, match="not finite"):
        wisdm_watch.read_raw(*_wisdm_files(tmp_path, good.replace("30.0,30,", "nan,30,"), good))
    with pytest.raises(DataError, match="no line has the form"):
        wisdm_watch.read_raw(*_wisdm_files(tmp_path, "hello\n", good))
    with pytest.raises(DataError, match="no second of samples"):
        wisdm_watch.read_raw(*_wisdm_files(tmp_path, _lines("G", [0, 50]), good))
    # a line cut short, as at the end of an interrupted copy, is left out
    cut = wisdm_watch.read_raw(*_wisdm_files(tmp_path, good + "1,F,300", good))
    assert len(cut["label"]) == 60
    accel, gyro = _wisdm_files(tmp_path, good, good)
    gyro.write_bytes(gyro.read_bytes()[:40])
    with pytest.raises(DataError, match="cannot be read"):
        wisdm_watch.read_raw(accel, gyro)


def test_wisdm_download_is_checked_file_by_file(shared_data, tmp_path):
    """The shipped sums are those of the originals, also inside a zip in the zip."""
    sums = wisdm_watch.checksums()
    assert len(sums) == 93
    path = "raw/watch/gyro/data_1602_gyro_watch.txt"
    with lzma.open(shared_data / "wisdm-watch" / (path + ".xz")) as file:
        content = file.read()

    def archive(content: bytes) -> Path:
        inner, outer = tmp_path / "inner.zip", tmp_path / "outer.zip"
        with zipfile.ZipFile(inner, "w") as file:
            file.writestr(f"wisdm-dataset/{path}", content)
        with zipfile.ZipFile(outer, "w") as file:
            file.write(inner, "wisdm-dataset.zip")
        return outer

    extract_checked(archive(content), {path: sums[path]}, tmp_path / "out")
    assert (tmp_path / "out" / path).read_bytes() == content
    with pytest.raises(DataError, match="differs"):
        extract_checked(archive(content[:-1]), {path: sums[path]}, tmp_path / "out")
    with pytest.raises(DataError, match="holds no"):
        extract_checked(archive(content), sums, tmp_path / "out")
    (tmp_path / "no.zip").write_bytes(b"no")
    with pytest.raises(DataError, match="damaged"):
        extract_checked(tmp_path / "no.zip", sums, tmp_path / "out")


def test_members_of_an_archive_are_written_by_their_known_names(tmp_path: Path) -> None:
    """A name that leads out of the folder writes nothing there, whatever its end is."""
    content = b"a,b\n"
    sums = {"x/a.csv": hashlib.sha256(content).hexdigest()}
    for name in ("../../x/a.csv", "/x/a.csv", "top/../x/a.csv"):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            file.writestr("../evil.txt", b"evil")
            file.writestr(name, content)
        out = tmp_path / "deep" / "out"
        extract_checked(tmp_path / "a.zip", sums, out)
        files = [f for f in tmp_path.rglob("*") if f.is_file() and f.suffix != ".zip"]
        assert files == [out / "x" / "a.csv"]


def test_motionsense_csv_equals_packed(shared_data, tmp_path):
    """Write two people's packed samples in the original CSV form and read them back."""
    data = load_dataset("motionsense", root=shared_data)
    people = {"train": ["1"], "val": ["2"], "test": ["3"]}
    wanted = [r for r in data.recordings if r.person in "123"]
    header = ",attitude.roll,attitude.pitch,attitude.yaw," + ",".join(motionsense.COLUMNS)
    trial: dict[tuple[str, int], int] = {}
    for recording in wanted:
        key = (recording.person, recording.label)
        trial[key] = trial.get(key, 0) + 1
        folder = tmp_path / "A_DeviceMotion_data" / f"{data.classes[recording.label]}_{trial[key]}"
        folder.mkdir(parents=True, exist_ok=True)
        x = recording.x
        table = np.column_stack([np.arange(len(x)), np.zeros((len(x), 3)), x])
        np.savetxt(folder / f"sub_{recording.person}.csv", table, fmt="%.9g", delimiter=",",
                   header=header, comments="")  # fmt: skip
    read = load_dataset("motionsense", root=tmp_path, people=people)
    assert same(read.recordings, wanted)


def test_seglearn_package_file_is_checked_before_it_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path(tmp_path / "exploded").touch, ())

    np.save(tmp_path / "watch_dataset.npy", np.array(Bomb(), dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="SHA-256 differs"):
        load_dataset("seglearn-watch", root=tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_installed_seglearn_is_found_but_not_imported(tmp_path, monkeypatch):
    data = tmp_path / "seglearn" / "data"
    data.mkdir(parents=True)
    (tmp_path / "seglearn" / "__init__.py").write_text("raise ImportError('needs pandas')")
    (data / "watch_dataset.npy").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert sources()["seglearn-watch"].locate() == data / "watch_dataset.npy"


def test_roots(shared_data, tmp_path, monkeypatch):
    source = sources()["wisdm-watch"]
    packed = shared_data / "wisdm-watch" / "npz"
    assert source.locate(shared_data) == source.locate(packed) == packed
    assert source.locate() is None
    monkeypatch.setenv("EDGEFLOW_DATA", str(shared_data))
    assert source.locate() == packed
    with pytest.raises(DataError, match="holds no files of 'wisdm-watch'"):
        source.locate(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        source.locate(tmp_path / "nowhere")
    monkeypatch.delenv("EDGEFLOW_DATA")
    with pytest.raises(DataError, match="edgeflow data get wisdm-watch"):
        load_dataset("wisdm-watch")
    with pytest.raises(DataError, match="no data set 'wisdm'.*wisdm-watch-hand"):
        load_dataset("wisdm")
    with pytest.raises(DataError, match=r"A_DeviceMotion_data.zip"):
        sources()["motionsense"].get()


def test_damaged_packed_files_are_named(shared_data, tmp_path):
    whole = (shared_data / "wisdm-watch" / "npz" / "subject_1600.npz").read_bytes()
    path = tmp_path / "subject_1600.npz"
    for content in (b"", whole[: len(whole) // 2], whole[:100] + bytes(200) + whole[300:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="subject_1600.npz"):
            load_dataset("wisdm-watch", root=tmp_path)
    np.savez(path, acc=np.zeros((3, 3)))
    with pytest.raises(DataError, match=r"subject_1600.npz: no array 'gyr'"):
        load_dataset("wisdm-watch", root=tmp_path)


def test_seglearn_length_must_fit(tmp_path):
    np.savez(
        tmp_path / "watch.npz", x=np.zeros((10, 6)), length=[4, 5], label=[0, 1], subject=[1, 2]
    )
    with pytest.raises(DataError, match="adds up to 9"):
        seglearn_watch._read(tmp_path / "watch.npz")


class TestDownloads:
    """A part of a download would pass for the whole set: `locate` looks for any of its files."""

    @staticmethod
    def source(fetch):
        return replace(
            sources()["wisdm-watch"],
            folder="made-up",
            find=lambda place: place if any(place.glob("subject_*.npz")) else None,
            fetch=fetch,
        )

    def test_one_that_stops_leaves_nothing(self, private_cache):
        def half(folder: Path) -> None:
            (folder / "subject_1.npz").touch()
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.source(half).get()
        assert self.source(half).locate() is None
        assert list((private_cache / "edgeflow" / "data").iterdir()) == []

    def test_one_that_is_killed_goes_at_the_next_start(self, private_cache):
        def killed(folder: Path) -> None:
            (folder / "subject_1.npz").touch()
            os.kill(os.getpid(), signal.SIGKILL)

        pid = os.fork()
        if pid == 0:
            self.source(killed).get()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        data = private_cache / "edgeflow" / "data"
        assert len(list(data.iterdir())) == 2, "a lock and a part"
        assert self.source(killed).locate() is None
        whole = self.source(lambda folder: (folder / "subject_1.npz").touch())
        assert whole.get() == data / "made-up"
        assert [path.name for path in data.iterdir()] == ["made-up"]

    def test_a_second_one_waits_for_the_first(self, private_cache, tmp_path):
        times = tmp_path / "times"

        def slow(folder: Path) -> None:
            with times.open("a") as file:
                file.write("fetched\n")
            time.sleep(0.2)
            (folder / "subject_1.npz").touch()

        pids = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                try:
                    self.source(slow).get()
                except BaseException:
                    os._exit(1)
                os._exit(0)
            pids.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
        assert times.read_text() == "fetched\n"

    def test_what_cannot_be_written_is_no_damaged_archive(self, tmp_path):
        archive = tmp_path / "a.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("top/a.csv", "1")
        (tmp_path / "into").write_text("in the way")
        with pytest.raises(OSError) as caught:
            extract_checked(archive, {"a.csv": hashlib.sha256(b"1").hexdigest()}, tmp_path / "into")
        assert "into" in str(caught.value.filename)
