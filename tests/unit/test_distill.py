"""Distillation: its loss, what it refuses, and that a student follows its teachers."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from edgeflow.cells import SequenceClassifier, load_model, save_model
from edgeflow.data import Dataset
from edgeflow.errors import TrainError
from edgeflow.training import train
from edgeflow.training.batches import Batch
from edgeflow.training.distill import Distillation
from tests.unit.test_train import same_weights, waves

SMALL = {"hidden": 8, "batch": 8, "lr": 2e-2, "rotate": 0.0}


def teacher(path: Path, cell: str = "gru", seed: int = 0, **changes: object) -> Path:
    torch.manual_seed(seed)
    options: dict = {"hidden": 4, "window": 20, **changes}
    classes = options.pop("classes", ["slow", "fast"])
    channels = options.pop("channels", ["ax", "ay", "az"])
    save_model(SequenceClassifier(cell, classes, channels, **options), path / "model.pt")
    return path


def test_the_loss_is_the_formula(tmp_path: Path) -> None:
    paths = [teacher(tmp_path / cell, cell, k) for k, cell in enumerate(("gru", "mingru"))]
    method = Distillation(paths, temperature=3.0, share=0.25)
    torch.manual_seed(5)
    batch = Batch(torch.randn(6, 20, 3), torch.zeros(6).long(), torch.ones(6, 20), keep=False)
    logits, losses = torch.randn(6, 20, 2, requires_grad=True), torch.rand(6, 20)
    found = method.losses(torch.nn.Identity(), batch, logits, losses)
    with torch.no_grad():
        z = (load_model(paths[0])(batch.x) + load_model(paths[1])(batch.x)) / 2
        p, q = functional.softmax(z / 3, 2), functional.softmax(logits / 3, 2)
        expected = 0.75 * losses + 0.25 * 9 * (p * (p.log() - q.log())).sum(2)
    assert torch.allclose(found, expected, atol=1e-5)
    found.sum().backward()
    assert logits.grad is not None
    assert torch.allclose(logits.grad, 0.25 * 9 / 3 * (q - p), atol=1e-5)


def test_a_teacher_of_streams_goes_on(tmp_path: Path) -> None:
    method = Distillation([teacher(tmp_path, window=0)])
    torch.manual_seed(3)
    x = torch.randn(4, 10, 3)
    halves = [
        method.target(Batch(part, torch.zeros(4).long(), torch.ones(4, 5), keep=bool(k)))
        for k, part in enumerate(x.split(5, dim=1))
    ]
    with torch.no_grad():
        assert torch.allclose(torch.cat(halves, 1), load_model(tmp_path)(x), atol=1e-6)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    data, out = waves(), tmp_path_factory.mktemp("teacher")
    train(data, out=out, epochs=15, **SMALL)
    return data, out


def test_a_student_of_another_cell_follows(trained: tuple[Dataset, Path], tmp_path: Path) -> None:
    """Without any labels: the teacher is the only source."""
    data, path = trained
    method = Distillation([path], share=1.0)
    result = train(data, "lstm", out=tmp_path, epochs=15, methods=[method], **SMALL)
    assert result.metrics["test"]["accuracy"] > 0.9
    assert result.metrics["arguments"]["methods"] == [method.describe()]
    x = torch.from_numpy(data.windows("test").x)
    with torch.no_grad():
        both = [model(x)[:, -1].argmax(1) for model in (result.model, load_model(path))]
    assert float((both[0] == both[1]).float().mean()) > 0.9


def test_a_run_with_a_teacher_goes_on(trained: tuple[Dataset, Path], tmp_path: Path) -> None:
    data, path = trained

    def go(out: Path, stop: int = 0, share: float = 0.5) -> None:
        def on_epoch(epoch: int, total: int, row: dict[str, float]) -> None:
            if epoch == stop:
                raise KeyboardInterrupt

        methods = [Distillation([path], share=share)]
        train(data, out=out, epochs=3, methods=methods, on_epoch=on_epoch, **SMALL)

    go(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "parts", stop=1)
    with pytest.raises(TrainError, match="methods"):
        go(tmp_path / "parts", share=0.25)
    go(tmp_path / "parts")
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    with pytest.raises(TrainError, match="methods"):
        train(data, out=tmp_path / "whole", epochs=3, **SMALL)


def test_teachers_of_other_data_are_refused(trained: tuple[Dataset, Path], tmp_path: Path) -> None:
    data, _ = trained
    cases: list[tuple[dict, str]] = [
        ({"classes": ["slow", "quick"]}, "classes are slow, quick, the student's slow, fast"),
        ({"channels": ["a", "b", "c"]}, "channels are a, b, c"),
        ({"window": 30}, "decides after 30 samples, the student after 20"),
    ]
    for k, (changes, message) in enumerate(cases):
        path = teacher(tmp_path / f"t{k}", **changes)
        with pytest.raises(TrainError, match=message):
            train(data, out=tmp_path / f"s{k}", methods=[Distillation([path])], **SMALL)
    for wrong in ({"temperature": 0.0}, {"share": 0.0}, {"share": 1.5}):
        with pytest.raises(TrainError, match="must be"):
            Distillation([tmp_path / "t0"], **wrong)
    with pytest.raises(TrainError, match="at least one"):
        Distillation([])
    with pytest.raises(TrainError, match="no such file"):
        Distillation([tmp_path / "nothing"])
