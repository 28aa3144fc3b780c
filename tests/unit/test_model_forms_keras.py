"""Forms of models in Keras: taken where the other doors take them, or refused by one clear line."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeflow.errors import CompressError
from edgeflow.importers import load_float_model
from tests.keras_models import keras, predict, shaken
from tests.model_forms import FORMS, TWINS
from tests.unit.test_model_forms import SCALES, assert_clear, assert_near, windows


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if number % 4 else [])
        for number, name in enumerate(TWINS)
    ],
)
def test_form_in_keras(name: str, tmp_path: Path) -> None:
    """Alone catches what Keras's door refuses while the others take it."""
    keras.utils.set_random_seed(2)
    twin, path = TWINS[name], tmp_path / "m.keras"
    model = twin.build(keras)
    if not twin.refused:
        shaken(model)
    model.save(path)
    try:
        chain = load_float_model(path, windows(2))
    except CompressError as error:
        assert twin.refused, str(error)
        assert_clear(str(error), twin.refused)
        return
    assert not twin.refused, f"taken: {[name for name, _ in chain.layers]}"
    form = next(form for form in FORMS if form.name == name)
    for scale in SCALES:
        x = scale * windows(9)
        got = form.chain(torch.from_numpy(chain.run(x)).double()).numpy()
        assert_near(got, predict(model, x).astype(np.float64))
