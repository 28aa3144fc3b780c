"""Every form of model at every door: the same outputs, or one clear refusal."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain, load_float_model
from tests.model_forms import FORMS, TWINS, Form
from tests.model_forms.accepted import First
from tests.model_forms.doors import DOORS, through
from tests.model_forms.form import CHANNELS, STEPS, head

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
            expected = outputs_of(form, net, torch.from_numpy(x)).double().numpy()
        assert_near(form.chain(torch.from_numpy(chain.run(x)).double()).numpy(), expected)


def outputs_of(form: Form, net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return what a module makes of samples, one of a single step by a loop over them."""
    given = form.arguments(x)
    if not form.alone:
        return form.output(net(*given))
    states, outputs = given[1:], []
    for sample in x.unbind(1):
        y, *states = net(sample, *states)
        outputs.append(y)
    return form.output(torch.stack(outputs, 1))


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


@pytest.mark.parametrize("door", ["module", "onnx"])
def test_a_loop_is_the_layer(door: str, tmp_path: Path) -> None:
    """Alone catches a loop that becomes other integers, or more layers, than the layer itself."""
    torch.manual_seed(1)
    layer = torch.nn.Sequential(torch.nn.GRU(CHANNELS, 5, batch_first=True), First(), head())
    form = next(form for form in FORMS if form.name == "nn.GRUCell in a loop")
    loop = form.build().eval()
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(loop.rnn, name).data.copy_(getattr(layer[0], f"{name}_l0"))
    loop.out.load_state_dict(layer[2].state_dict())
    x, chains = windows(2), [load_float_model(layer.eval(), windows(2))]
    chains.append(load_float_model(through(door, form, loop, tmp_path), x))
    programs = [quantize(chain, x) for chain in chains]
    inputs = programs[0].quantize_input(windows(5))
    assert len(chains[1].layers) == 2
    assert (programs[0].run(inputs) == programs[1].run(inputs)).all()


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
