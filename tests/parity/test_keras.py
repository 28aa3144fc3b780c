"""Models of Keras, trained on real recordings: their integers decide alike, on a board, too."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeflow.compression.quantize import quantize
from edgeflow.importers import FloatChain, load_float_model
from edgeflow.program import Program
from tests.harness import Case, mismatches, none_of
from tests.keras_models import CHANNELS, CLASSES, MODELS, TIME, build, keras, predict

if TYPE_CHECKING:
    from edgeflow.data import Dataset

pytestmark = pytest.mark.slow
Windows = tuple[np.ndarray, np.ndarray]


def windows(seglearn: "Dataset", split: str) -> Windows:
    """Return windows of the acceleration at a quarter of its rate, of the first exercises."""
    given, share = seglearn.windows(split), 4
    some = given.y < CLASSES
    x = np.concatenate([given.x[some, k::share, :CHANNELS] for k in range(share)])[:, :TIME]
    return np.ascontiguousarray(x), np.tile(given.y[some], share)


@pytest.fixture(scope="module")
def recordings(seglearn: "Dataset") -> dict[str, Windows]:
    return {split: windows(seglearn, split) for split in ("train", "test")}


@pytest.fixture(scope="module")
def compressed(
    recordings: dict[str, Windows], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Any, FloatChain, Program]]:
    folder = tmp_path_factory.mktemp("keras")
    x, y = recordings["train"]

    @functools.cache
    def make(name: str, seed: int) -> tuple[Any, FloatChain, Program]:
        model, classes = build(name), [str(k) for k in range(CLASSES)]
        keras.utils.set_random_seed(seed)
        target, loss = y, "sparse_categorical_crossentropy"
        if model.output_shape[-1] == 1:
            classes, target, loss = ["low", "high"], y // 2, "binary_crossentropy"
        if len(model.output_shape) == 3:
            target = np.repeat(target[:, None], TIME, axis=1)
        elif "softmax" not in str(model.layers[-1].get_config().get("activation")):
            from keras.losses import SparseCategoricalCrossentropy

            loss = SparseCategoricalCrossentropy(True) if len(classes) > 2 else loss
        model.compile("adam", loss)
        model.optimizer.learning_rate = 0.01
        model.fit(x, target, batch_size=128, epochs=12, verbose=0)
        path = folder / f"{name}-{seed}.keras"
        model.save(path)
        chain = load_float_model(path, x[::8], classes=tuple(classes), window=TIME)
        return model, chain, quantize(chain, x[::8])

    return make


@pytest.mark.parametrize("name", MODELS)
def test_integers_decide_alike(
    name: str,
    compressed: Callable[..., tuple[Any, FloatChain, Program]],
    recordings: dict[str, Windows],
) -> None:
    x, y = recordings["test"]
    lost, alike = [], []
    for seed in range(3):
        model, chain, program = compressed(name, seed)
        expected = predict(model, x)
        expected = expected[:, -1] if expected.ndim == 3 else expected
        binary = expected.shape[-1] == 1
        truth = y // 2 if binary else y
        by_keras = expected[:, 0] > 0.5 if binary else expected.argmax(axis=1)
        by_chain = chain.run(x)[:, -1].argmax(axis=1)
        by_program = program.run(program.quantize_input(x))[:, -1].argmax(axis=1)
        scores = [float((one == truth).mean()) for one in (by_keras, by_chain, by_program)]
        print(name, seed, scores)
        assert (by_chain == by_keras).mean() > 0.999
        assert scores[0] > (0.65 if binary else 0.5)  # it has learned something
        lost.append(scores[0] - scores[2])
        alike.append(float((by_program == by_keras).mean()))
    print(name, lost, alike)
    assert np.mean(lost) <= 0.005
    assert np.mean(alike) >= 0.98


@pytest.mark.board
def test_board(
    compressed: Callable[..., tuple[Any, FloatChain, Program]],
    recordings: dict[str, Windows],
    tmp_path: Path,
) -> None:
    x = recordings["test"][0][::100]
    programs = {name: compressed(name, 0)[2] for name in MODELS}
    cases = {name: Case(one, (), one.quantize_input(x)) for name, one in programs.items()}
    assert mismatches("qemu-m4", cases, tmp_path) == none_of(cases)
