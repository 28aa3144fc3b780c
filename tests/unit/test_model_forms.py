"""Every form of model at every door: the same outputs, or one clear refusal."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain, load_float_model
from tests.model_forms import FORMS, TWINS, Form
from tests.model_forms.doors import DOORS, through
from tests.model_forms.form import CHANNELS, STEPS

#: A refusal says what to do by one of these.
REMEDY = re.compile(
    r"\b(use|export|leave|put|pass|return|train|call|fold|normalise|give|select|write|make|pad|"
    r"read|save|drop|start)\b",
    re.IGNORECASE,
)
#: Of a number, relative to the spread of the outputs.
TOLERANCE = 1e-4
#: Of float32, relative to the largest output.
ROUNDING = 1e-6
#: Of the samples.
SCALES = np.float32([0.1, 1.0, 10.0])


def windows(seed: int, n: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1.2, (n, STEPS, CHANNELS)).astype(np.float32)


def assert_clear(message: str, pattern: str) -> None:
    assert re.search(pattern, message), message
    assert REMEDY.search(message), f"no remedy: {message}"
    assert len(message) <= 600 and message.count("\n") < 12, message
    assert "\x1b" not in message and "Traceback" not in message, message


def assert_same(chain: FloatChain, form: Form, net: torch.nn.Module) -> None:
    for scale in SCALES:
        x = scale * windows(9)
        with torch.no_grad():
            given = form.arguments(torch.from_numpy(x))
            expected = form.output(net(*given)).double().numpy()
        assert_near(form.chain(torch.from_numpy(chain.run(x)).double()).numpy(), expected)


def assert_near(got: np.ndarray, expected: np.ndarray) -> None:
    got = got if expected.ndim == 3 else got[:, -1]
    assert got.shape == expected.shape
    most = TOLERANCE * expected.std(axis=0).max() + ROUNDING * np.abs(expected).max()
    assert np.abs(got - expected).max() <= most


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


def test_doors_agree_or_the_table_says_why() -> None:
    """Alone catches a form that one door takes and another refuses, without a word about it."""
    by_name = {form.name: form for form in FORMS}
    assert set(TWINS) <= set(by_name)
    for name, form in by_name.items():
        taken = {form.taken(door) for door in DOORS} - {None}
        taken |= {not TWINS[name].refused} if name in TWINS else set()
        assert form.why or taken == {True}, name


@pytest.mark.parametrize("function", ["gelu", "silu", "mish", "hardswish", "softplus"])
def test_a_function_is_the_same_layer_by_onnx(function: str, tmp_path: Path) -> None:
    """Alone catches one that is written out, and becomes several layers with other integers."""
    form = next(form for form in FORMS if form.name == f"{function} between layers")
    torch.manual_seed(1)
    net = form.build().eval()
    doors = [through(door, form, net, tmp_path) for door in ("module", "onnx")]
    chains = [load_float_model(door, windows(2)) for door in doors]
    kinds = [[type(layer) for _, layer in chain.layers] for chain in chains]
    assert kinds[0] == kinds[1]
