"""Training: it learns, it is honest about people, and it repeats to the bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeflow.cells import load_model
from edgeflow.data import Dataset, Recording
from edgeflow.data.channels import axis_triples
from edgeflow.digest import read_json
from edgeflow.errors import DataError, TrainError
from edgeflow.metrics import accuracy, confusion, macro_f1
from edgeflow.training import train
from edgeflow.training.augment import augment, rotations, time_warp
from edgeflow.training.batches import normalisation, streams
from edgeflow.training.resume import fingerprint

SMALL = {"hidden": 8, "batch": 8, "epochs": 6, "lr": 2e-2, "rotate": 0.0}


def waves(people: str = "abcd", seed: int = 0, length: int = 70) -> Dataset:
    """Two classes that differ in frequency; each person has an own amplitude and offset."""
    rng = np.random.default_rng(seed)
    recordings = []
    for person in people:
        gain, offset = rng.uniform(0.8, 1.2), 0.1 * rng.normal(size=3)
        for label in (0, 1, 0, 1):
            time = np.arange(length + int(rng.integers(20)))
            phase = (0.3 + 0.5 * label) * time + rng.uniform(0, 6)
            x = gain * np.stack([np.sin(phase), np.cos(phase), 0.1 * time % 1], axis=1) + offset
            recordings.append(Recording(x.astype(np.float32), label, person))
    people_of = {"train": list(people[:-2]), "val": [people[-2]], "test": [people[-1]]}
    return Dataset("waves", ["slow", "fast"], ["ax", "ay", "az"], ["g"] * 3, 10.0, recordings,
                   people_of, 20)  # fmt: skip


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "model.pt", weights_only=True)["state_dict"]


def same_weights(a: Path, b: Path) -> bool:
    one, other = weights(a), weights(b)
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("mode", ["window", "streaming"])
def test_it_learns(mode, tmp_path):
    data = waves()
    result = train(data, out=tmp_path, mode=mode, **(SMALL | {"epochs": 15}))
    found = read_json(tmp_path / "metrics.json")
    assert found == result.metrics
    assert found["test"]["accuracy"] > 0.9 and found["test"]["macro_f1"] > 0.9
    assert len(found["history"]) == 15
    assert found["history"][-1]["loss"] < found["history"][0]["loss"]
    best = max(found["history"], key=lambda row: row["val_macro_f1"])
    assert best["epoch"] == found["best_epoch"]
    assert found["val"]["macro_f1"] == pytest.approx(best["val_macro_f1"])
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != ".edgeflow") == [
        "metrics.json", "model.pt",
    ]  # fmt: skip
    model = load_model(tmp_path)
    assert model.window == (20 if mode == "window" else 0)
    # what metrics.json says of the test people, counted again from the checkpoint
    right = total = 0
    with torch.no_grad():
        for r in data.split("test"):
            if mode == "streaming":
                guess = model(torch.from_numpy(r.x)[None])[0, 10:].argmax(1)
            else:
                n = len(r.x) // 20
                guess = model(torch.from_numpy(r.x[: n * 20].reshape(n, 20, 3)))[:, -1].argmax(1)
            right, total = right + int((guess == r.label).sum()), total + len(guess)
    assert found["test"]["decisions"] == total
    assert found["test"]["accuracy"] == pytest.approx(right / total)
    assert np.sum(found["test"]["confusion"]) == total


def test_test_people_do_not_matter(tmp_path):
    """Other recordings of the test people: the same weights to the bit."""
    one = waves()
    other = waves()
    for i, r in enumerate(other.recordings):
        if r.person == "d":
            other.recordings[i] = Recording(r.x * 9 + 5, 1 - r.label, r.person)
    train(one, out=tmp_path / "one", **SMALL)
    train(other, out=tmp_path / "other", **SMALL)
    assert same_weights(tmp_path / "one", tmp_path / "other")


def test_normalisation_is_of_training_people():
    data = waves()
    x = np.concatenate([r.x for r in data.recordings if r.person in "ab"])
    mean, std = normalisation(data)
    assert np.allclose(mean, x.mean(axis=0), atol=1e-6)
    assert np.allclose(std, x.std(axis=0), atol=1e-6)


def test_channels_that_hardly_move(tmp_path):
    """A resting axis of a moving sensor, and a dead channel, must not blow up."""
    data = waves()
    for i, r in enumerate(data.recordings):
        r.x[:, 2] = 0.98
        x = np.concatenate([r.x, np.full((len(r.x), 1), 0.1, np.float32)], axis=1)
        data.recordings[i] = Recording(x, r.label, r.person)
    data.channels.append("dead")
    mean, std = normalisation(data)
    assert mean[3] == pytest.approx(0.1) and std[3] == 1
    x = np.concatenate([r.x for r in data.split("train")])
    assert std[2] == pytest.approx(0.1 * np.sqrt((x[:, :3] ** 2).sum(1).mean()), rel=1e-5)
    result = train(data, out=tmp_path, **(SMALL | {"epochs": 15, "rotate": 10.0}))
    assert result.metrics["test"]["accuracy"] > 0.9


def test_seed_and_caller(tmp_path):
    """The same seed repeats, another does not, and the caller's generators go on untouched."""
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(5)
    np.random.seed(5)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(waves(), out=tmp_path / name, seed=seed, **(SMALL | {"epochs": 2}))
        torch.rand(1)
        torch.manual_seed(5)
        np.random.seed(5)
    assert (torch.rand(1), np.random.rand()) == expected
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert not same_weights(tmp_path / "a", tmp_path / "c")
    assert not torch.are_deterministic_algorithms_enabled()


def test_finished_run_is_not_repeated(tmp_path):
    first = train(waves(), out=tmp_path, **SMALL)
    stamp = (tmp_path / "model.pt").stat().st_mtime_ns
    again = train(waves(), out=tmp_path, on_epoch=lambda *a: pytest.fail("trained"), **SMALL)
    assert again.metrics == first.metrics
    with pytest.raises(TrainError, match=r"a training with hidden 8, not 9: .*--restart"):
        train(waves(), out=tmp_path, **(SMALL | {"hidden": 9}))
    with pytest.raises(TrainError, match="a training with recordings"):
        train(waves(seed=1), out=tmp_path, **SMALL)
    assert (tmp_path / "model.pt").stat().st_mtime_ns == stamp
    train(waves(), out=tmp_path, restart=True, **(SMALL | {"hidden": 9, "epochs": 1}))
    assert load_model(tmp_path).hyper["hidden"] == 9


def test_patience(tmp_path):
    result = train(waves(), out=tmp_path, patience=2, **(SMALL | {"epochs": 50}))
    history = result.metrics["history"]
    assert len(history) == result.metrics["best_epoch"] + 2 < 50


def test_the_last_epoch_is_kept_if_asked_for(tmp_path):
    options = SMALL | {"epochs": 8, "lr": 5e-2, "patience": 1}
    best = train(waves(), out=tmp_path / "best", **options).metrics
    last = train(waves(), out=tmp_path / "last", keep="last", **options).metrics
    # one epoch without a better score ended the first run
    assert best["best_epoch"] < len(best["history"]) < 8
    assert last["best_epoch"] == len(last["history"]) == 8
    assert last["val"]["macro_f1"] == last["history"][-1]["val_macro_f1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"mode": "dream"}, "mode is 'dream'"),
        ({"keep": "first"}, "keep is 'first': use one of best, last"),
        ({"colour": 3}, "colour"),
        ({"cell": "nope"}, "no cell 'nope'"),
    ],
)
def test_wrong_options(options, message, tmp_path):
    with pytest.raises(TrainError, match=message):
        train(waves(), out=tmp_path, **options)


def test_divergence_is_an_error(tmp_path):
    data = waves()
    for r in data.recordings:
        r.x[:] = 1e30
        r.x[::2] = -1e30
    with pytest.raises(TrainError, match="loss is nan in epoch 1: use a smaller --lr"):
        train(data, out=tmp_path, **(SMALL | {"lr": 1e30, "clip": 1e30}))


def test_wrong_windows(tmp_path):
    with pytest.raises(DataError, match="shorter window"):
        train(waves(), out=tmp_path, window=1000)
    with pytest.raises(TrainError, match="warmup"):
        train(waves(), out=tmp_path, mode="streaming", warmup=1000)


@pytest.mark.parametrize("what", ["label", "person", "x", "people", "classes"])
def test_other_recordings_have_another_fingerprint(what):
    """An interrupted training does not go on with other labels, people or samples."""
    data, other = waves(), waves()
    assert fingerprint(other) == fingerprint(data)
    first = other.recordings[0]
    changes = {"label": 1 - first.label, "person": "b", "x": first.x + 1}
    if what in changes:
        other.recordings[0] = replace(first, **{what: changes[what]})
    elif what == "people":
        other.people["train"], other.people["val"] = other.people["val"], other.people["train"]
    else:
        other = replace(other, classes=["fast", "slow"])
    assert fingerprint(other) != fingerprint(data)


def test_damaged_folder(tmp_path):
    (tmp_path / ".lock").touch()  # as a version without marks left it
    (tmp_path / "resume.pt").write_bytes(b"half")
    with pytest.raises(TrainError, match=r"resume.pt: damaged"):
        train(waves(), out=tmp_path, **SMALL)
    (tmp_path / "resume.pt").unlink()
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(TrainError, match=r"metrics.json: damaged.*--restart"):
        train(waves(), out=tmp_path, **SMALL)


def test_streams_cover_every_step_once():
    recordings = waves().split("train")
    seen = np.zeros(2)
    groups = 0
    for batch in streams(recordings, 16, 3, 10, shuffle=False):
        groups += not batch.keep
        for label in (0, 1):
            seen[label] += float(batch.weight[batch.y == label].sum())
    assert groups == -(-len(recordings) // 3)
    expected = [sum(len(r.x) - 10 for r in recordings if r.label == label) for label in (0, 1)]
    assert seen.tolist() == expected


def test_metrics():
    matrix = confusion(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0]), 3)
    assert matrix.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert accuracy(matrix) == pytest.approx(0.6)
    # F1: 2*2/(3+3) and 2*1/(2+2); the class that never occurs does not count
    assert macro_f1(matrix) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert accuracy(np.zeros((2, 2))) == macro_f1(np.zeros((2, 2))) == 0


def test_axis_triples():
    assert axis_triples(["acc_x", "acc_y", "acc_z", "hr", "gyr_x", "gyr_y", "gyr_z"]) == [0, 4]
    assert axis_triples(["ax", "ay", "bz"]) == [] and axis_triples(["x", "y", "z"]) == [0]


def test_augmentation():
    torch.manual_seed(0)
    turn = rotations(100, 0.5)
    assert torch.allclose(turn @ turn.transpose(1, 2), torch.eye(3).expand(100, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(turn), torch.ones(100), atol=1e-5)
    x = torch.randn(50, 20, 7)
    std = torch.arange(7.0)
    none = augment(x, [0, 4], std, rotate=0, scale=0, noise=0)
    assert torch.equal(none, x) and none is not x
    turned = augment(x, [0, 4], std, rotate=20, scale=0, noise=0)
    assert torch.equal(turned[..., 3], x[..., 3]) and not torch.allclose(
        turned[..., :3], x[..., :3]
    )
    assert torch.allclose(turned[..., 4:].norm(dim=2), x[..., 4:].norm(dim=2), atol=1e-5)
    # both sensors of a window turn together
    assert torch.allclose((turned[..., :3] * turned[..., 4:]).sum(2),
                          (x[..., :3] * x[..., 4:]).sum(2), atol=1e-4)  # fmt: skip
    noisy = augment(x, [], std, rotate=0, scale=0, noise=0.1) - x
    assert torch.allclose(noisy.std(dim=(0, 1)), 0.1 * std, rtol=0.15)


def test_pace():
    torch.manual_seed(0)
    time = torch.arange(30.0)
    x = torch.stack([time, 2 * time], dim=1).expand(200, 30, 2)
    assert torch.allclose(time_warp(x, 0.0), x)
    y = time_warp(x, 0.2)
    assert torch.equal(y[:, -1], x[:, -1])
    pace = y[:, -1, 0] - y[:, -2, 0]
    assert 0.6 <= pace.min() < 0.95 and 1.05 < pace.max() <= 1.65
    # a straight line stays straight until it runs out of samples, and channels stay together
    expected = (29 - (29 - time) * pace[:, None]).abs()
    assert torch.allclose(y[..., 0], expected, atol=1e-3)
    assert torch.allclose(y[..., 1], 2 * y[..., 0], atol=1e-3)
