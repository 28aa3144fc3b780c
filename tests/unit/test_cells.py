"""Cells and the classifier: equations, state, and the checkpoint on disk."""

import numpy as np
import pytest
import torch

from edgeflow.cells import CELLS, SequenceClassifier, load_model, save_model
from edgeflow.errors import TrainError


def classifier(cell: str = "gru", **options) -> SequenceClassifier:
    torch.manual_seed(0)
    options = {"hidden": 5, "window": 7, "rate_hz": 20.0, "data": "d", "seed": 3} | options
    model = SequenceClassifier(cell, ["a", "b", "c"], ["x", "y"], **options)
    model.mean.copy_(torch.tensor([1.0, -2.0]))
    model.std.copy_(torch.tensor([0.5, 4.0]))
    return model.eval()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_gru_follows_its_documented_equations():
    model = classifier()
    x = np.random.default_rng(0).normal(size=(2, 9, 2))
    w = {name: p.detach().double().numpy() for name, p in model.rnn.named_parameters()}
    W_ir, W_iz, W_in = np.split(w["weight_ih_l0"], 3)
    W_hr, W_hz, W_hn = np.split(w["weight_hh_l0"], 3)
    b_ir, b_iz, b_in = np.split(w["bias_ih_l0"], 3)
    b_hr, b_hz, b_hn = np.split(w["bias_hh_l0"], 3)
    h = np.zeros((2, 5))
    for t in range(9):
        u = (x[:, t] - [1.0, -2.0]) / [0.5, 4.0]
        r = sigmoid(u @ W_ir.T + b_ir + h @ W_hr.T + b_hr)
        z = sigmoid(u @ W_iz.T + b_iz + h @ W_hz.T + b_hz)
        n = np.tanh(u @ W_in.T + b_in + r * (h @ W_hn.T + b_hn))
        h = (1 - z) * n + z * h
    logits = h @ model.head.weight.detach().double().numpy().T + model.head.bias.detach().numpy()
    with torch.no_grad():
        y = model(torch.tensor(x, dtype=torch.float32))
    assert y.shape == (2, 9, 3)
    assert np.allclose(y[:, -1].numpy(), logits, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_state_carries_over(cell, layers):
    model = classifier(cell, layers=layers)
    x = torch.randn(3, 11, 2)
    with torch.no_grad():
        whole = model(x)
        first, state = model.stream(x[:, :4])
        second, _ = model.stream(x[:, 4:], state)
    assert torch.allclose(torch.cat([first, second], dim=1), whole, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_checkpoint_round_trip(cell, tmp_path):
    model = classifier(cell, layers=2, dropout=0.3)
    save_model(model, tmp_path / "model.pt")
    for path in (tmp_path, tmp_path / "model.pt", str(tmp_path)):
        loaded = load_model(path)
        assert not loaded.training
        for key, value in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value), key
        for name in ("cell", "classes", "channels", "hyper", "rate_hz", "window", "data", "seed"):
            assert getattr(loaded, name) == getattr(model, name)
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    assert content["format"] == 1 and content["mean"] == [1.0, -2.0] and content["std"] == [0.5, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "grü"}, "no cell 'grü': use one of gru"),
        ({"hidden": 0}, "hidden is 0"),
        ({"layers": -1}, "layers is -1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_wrong_sizes(options, message):
    with pytest.raises(TrainError, match=message):
        classifier(**options)


def test_one_class_is_not_a_classifier():
    with pytest.raises(TrainError, match="at least 2"):
        SequenceClassifier("gru", ["a"], ["x"])


def changed(content: dict, key: str, value) -> dict:
    return {**content, key: value}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: [1, 2], "not a model.pt"),
        (lambda c: {"state_dict": c["state_dict"]}, "not a model.pt"),
        (lambda c: changed(c, "format", 99), "format 99, this edgeflow reads 1"),
        (lambda c: {k: v for k, v in c.items() if k != "channels"}, "no 'channels' in it"),
        (lambda c: changed(c, "cell", "nope"), "no cell 'nope'"),
        (lambda c: changed(c, "channels", ["x"]), "do not fit together"),
        (lambda c: changed(c, "channels", 3), "its 'channels' is damaged"),
        (lambda c: changed(c, "hyper", {"depth": 3}), "do not fit together"),
        (lambda c: changed(c, "hyper", {"hidden": torch.ones(2)}), "a head of .* None units"),
        (lambda c: changed(c, "state_dict", {}), "do not fit together"),
        (lambda c: changed(c, "state_dict", None), "its 'state_dict' is damaged"),
    ],
)
def test_foreign_checkpoints(change, message, tmp_path):
    path = tmp_path / "model.pt"
    save_model(classifier(), path)
    torch.save(change(torch.load(path, weights_only=True)), path)
    with pytest.raises(TrainError, match=message) as caught:
        load_model(path)
    assert "model.pt" in str(caught.value)


def test_damaged_checkpoints(tmp_path):
    path = tmp_path / "model.pt"
    save_model(classifier(), path)
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2], whole[:-20]):
        path.write_bytes(content)
        with pytest.raises(TrainError, match=r"model.pt: (damaged|changed)"):
            load_model(path)
    with pytest.raises(TrainError, match="no such file"):
        load_model(tmp_path / "other.pt")


def test_a_checkpoint_runs_no_code(tmp_path):
    class Bomb:
        def __reduce__(self):
            return ((tmp_path / "exploded").touch, ())

    torch.save({"format": 1, "cell": Bomb()}, tmp_path / "model.pt")
    with pytest.raises(TrainError, match="weights_only"):
        load_model(tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_unfinished_training_says_so(tmp_path):
    (tmp_path / "resume.pt").touch()
    with pytest.raises(TrainError, match="has not finished"):
        load_model(tmp_path)
