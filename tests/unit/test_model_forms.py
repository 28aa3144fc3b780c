"""Every form of model at every door: the same outputs, or one clear refusal."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain, load_float_model
from tests.model_forms import FORMS, Form
from tests.model_forms.doors import through
from tests.model_forms.form import CHANNELS, STEPS

#: A refusal says what to do by one of these.
REMEDY = re.compile(
    r"\b(use|export|leave|put|pass|return|train|call|fold|normalise|give|select|write|make|pad|"
    r"read|save|drop|start)\b",
    re.IGNORECASE,
)
#: Of a number, relative to the spread of the outputs.
TOLERANCE = 1e-4


def windows(seed: int, n: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1.2, (n, STEPS, CHANNELS)).astype(np.float32)


def assert_clear(message: str, pattern: str) -> None:
    assert re.search(pattern, message), message
    assert REMEDY.search(message), f"no remedy: {message}"
    assert len(message) <= 600 and message.count("\n") < 12, message
    assert "\x1b" not in message and "Traceback" not in message, message


def assert_same(chain: FloatChain, form: Form, net: torch.nn.Module) -> None:
    x = windows(9)
    with torch.no_grad():
        given = form.arguments(torch.from_numpy(x))
        expected = form.output(net(*given)).double().numpy()
    got = form.chain(torch.from_numpy(chain.run(x)).double()).numpy()
    got = got if expected.ndim == 3 else got[:, -1]
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= TOLERANCE * expected.std(axis=0).max()


def assert_door(form: Form, door: str, folder: Path, *, free: bool = False) -> None:
    torch.manual_seed(1)
    net = form.build().eval()
    refused = dict(form.other).get(door, form.refused)
    model = through(door, form, net, folder, free=free)
    try:
        chain = load_float_model(model, windows(2), classes=form.classes)
    except CompressError as error:
        assert refused, str(error)
        assert_clear(str(error), refused)
        return
    assert not refused, f"taken: {[name for name, _ in chain.layers]}"
    assert_same(chain, form, net)
    notes = "\n".join(chain.notes)
    assert re.search(form.notes, notes) if form.notes else not notes, notes


def cases(*doors: str, slow: str = "") -> list[object]:
    """Return forms and doors; at the `slow` door, four of five forms are in the slow set."""
    return [
        pytest.param(
            form,
            door,
            id=f"{form.name}-{door}",
            marks=[pytest.mark.slow] if door == slow and number % 5 else [],
        )
        for number, form in enumerate(FORMS)
        for door in doors
        if door in form.doors.split()
    ]


def test_there_are_enough_forms() -> None:
    assert len({form.name for form in FORMS}) == len(FORMS) >= 60


@pytest.mark.parametrize("form,door", cases("module", "pt2", "onnx", slow="pt2"))
def test_form(form: Form, door: str, tmp_path: Path) -> None:
    assert_door(form, door, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("form,door", cases("dynamo"))
def test_form_by_dynamo(form: Form, door: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    assert_door(form, door, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("form,door", cases("pt2", "onnx"))
def test_form_with_free_sizes(form: Form, door: str, tmp_path: Path) -> None:
    assert_door(form, door, tmp_path, free=True)
