"""Import of Keras's files: the layers, both kinds of file, and what is refused.

Outputs are those of ``keras`` on its torch backend for the models of `tests.keras_models`, and those
that TensorFlow 2.12 and 2.15 gave for the files in ``files/keras2``.
"""

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError, ToolMissingError
from edgeflow.importers import FloatChain, load_float_model
from tests.keras_models import (
    CHANNELS,
    GRAPHS,
    MODELS,
    TIME,
    L,
    build,
    chain,
    h5py,
    keras,
    predict,
    samples,
    save_keras2_archive,
    save_keras2_h5,
    scores,
)

FILES = Path(__file__).parent / "files" / "keras2"
#: What an imported model may differ from Keras by.
TOLERANCE = 1e-4
FORMS: dict[str, Callable[[Any, Path], None]] = {
    ".keras": lambda model, path: model.save(path),
    ".h5": lambda model, path: model.save(path),
    ".hdf5": save_keras2_h5,
    "2.keras": save_keras2_archive,
}
#: In the quick set beside `.keras` of all.
QUICK = {
    *(("nested", form) for form in FORMS),
    *(("functional", form) for form in FORMS),
    ("stacked-cells", "2.keras"),
    ("lstm-each-step", ".hdf5"),
    ("batch-norm", ".h5"),
}


def ended(chain: FloatChain, x: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return a chain's outputs in the form of Keras's, with the function that it leaves out."""
    y = chain.run(x)
    y = y if expected.ndim == 3 else y[:, -1]
    if expected.shape[-1] == 1:
        return 1 / (1 + np.exp(y[..., :1] - y[..., 1:]))
    if any("softmax" in note for note in chain.notes):
        powers = np.exp(y)
        return powers / powers.sum(axis=-1, keepdims=True)
    return y


def saved(model: Any, folder: Path, suffix: str = ".keras") -> Path:
    model.save(folder / f"model{suffix}")
    return folder / f"model{suffix}"


def refused(path: Path, match: str, **options: Any) -> str:
    with pytest.raises(CompressError, match=match) as caught:
        load_float_model(path, samples(), **options)
    text = str(caught.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 1000
    return text


@pytest.mark.parametrize(
    "name,form",
    [
        pytest.param(n, f, marks=[] if f == ".keras" or (n, f) in QUICK else pytest.mark.slow)
        for n in MODELS | GRAPHS
        for f in FORMS
    ],
)
def test_equals_keras(name: str, form: str, tmp_path: Path) -> None:
    model, path, x = build(name), tmp_path / f"model{form}", samples()
    FORMS[form](model, path)
    classes = ("calm", "busy") if name == "two-classes" else ()
    imported = load_float_model(path, x, classes=classes)
    expected = predict(model, x)
    assert expected.std() > 1e-3
    np.testing.assert_allclose(ended(imported, x, expected), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "file", sorted(FILES.glob("*.*5")) + sorted(FILES.glob("*.keras")), ids=str
)
def test_files_of_keras_2(file: Path) -> None:
    known = np.load(FILES / f"{file.stem}.npz")
    imported = load_float_model(file, known["x"])
    y = ended(imported, known["x"], known["y"])
    np.testing.assert_allclose(y, known["y"], rtol=0, atol=TOLERANCE)


def test_there_are_files_of_keras_2() -> None:
    assert {file.name for file in FILES.iterdir()} >= {"nested-2.15.h5", "nested-2.12.keras"}


def test_integers(tmp_path: Path) -> None:
    model = build("gru-reset-before")
    imported = load_float_model(saved(model, tmp_path), samples(64))
    x, y = samples(16, 7), predict(model, samples(16, 7))
    program = quantize(imported, samples(64))
    steps = program.run(program.quantize_input(x))[:, -1]
    assert (steps.argmax(axis=-1) == y.argmax(axis=-1)).mean() > 0.8


class TestNotes:
    def test_a_softmax_is_left_out(self, tmp_path: Path) -> None:
        (note,) = load_float_model(saved(build("gru"), tmp_path), samples()).notes
        assert "softmax" in note

    def test_windows_of_another_length(self, tmp_path: Path) -> None:
        path = saved(build("gru-stack"), tmp_path)
        (note,) = load_float_model(path, samples(), window=50).notes
        assert f"windows of {TIME} samples" in note and "have 50" in note
        assert not load_float_model(path, samples(), window=TIME).notes

    def test_a_mean_is_that_of_the_data_s_windows(self, tmp_path: Path) -> None:
        model = chain(L.GlobalAveragePooling1D(name="mean"), L.Dense(3))
        imported = load_float_model(saved(model, tmp_path), samples()[:, :10], window=10)
        assert imported.layers[0][0] == "mean" and imported.layers[0][1].window == 10

    def test_stateful_layers_and_half_precision(self, tmp_path: Path) -> None:
        half = "mixed_float16"
        model = keras.Sequential(
            [
                keras.Input(batch_shape=(2, TIME, CHANNELS)),
                L.GRU(4, stateful=True, dtype=half, name="memory"),
                L.Dense(3, dtype=half),
            ]
        )
        notes = load_float_model(saved(model, tmp_path), samples()).notes
        assert len(notes) == 2
        assert "memory: stateful" in notes[0] and half in notes[1]

    def test_one_output_of_two_classes(self, tmp_path: Path) -> None:
        path = saved(build("two-classes"), tmp_path)
        notes = load_float_model(path, samples(), classes=("calm", "busy")).notes
        assert any("'busy'" in note for note in notes)


def two_inputs() -> Any:
    a, b = keras.Input((TIME, CHANNELS), name="a"), keras.Input((TIME, CHANNELS), name="b")
    return keras.Model([a, b], L.Dense(2)(L.GRU(3)(L.Add()([a, b]))))


def joined_over_time() -> Any:
    x = keras.Input((TIME, CHANNELS))
    return keras.Model(x, L.GRU(2)(L.Concatenate(axis=1, name="longer")([x, x])))


def scores_of_two() -> Any:
    x = keras.Input((TIME, CHANNELS))
    y = L.GRU(4)(x)
    return keras.Model(x, [L.Dense(2, activation="softmax", name="kind")(y), L.Dense(3)(y)])


def shared() -> Any:
    x, layer = keras.Input((TIME, CHANNELS)), L.Dense(CHANNELS, name="twice")
    return keras.Model(x, L.GRU(4)(layer(layer(x))))


def cell_state() -> Any:
    x = keras.Input((TIME, CHANNELS))
    _, _, c = L.LSTM(4, return_state=True, name="memory")(x)
    return keras.Model(x, L.Dense(2)(c))


def stacked_state() -> Any:
    x = keras.Input((TIME, CHANNELS))
    _, first, _ = L.RNN([L.GRUCell(4), L.GRUCell(3)], return_state=True)(x)
    return keras.Model(x, L.Dense(2)(first))


def first_state() -> Any:
    x = keras.Input((TIME, CHANNELS))
    h = L.Dense(4)(x[:, 0])
    return keras.Model(x, L.GRU(4, name="memory")(x, initial_state=h))


def always_training() -> Any:
    x = keras.Input((TIME, CHANNELS))
    return keras.Model(x, L.Dense(2)(L.Dropout(0.5, name="drop")(L.GRU(3)(x), training=True)))


def first_step() -> Any:
    x = keras.Input((TIME, CHANNELS))
    return keras.Model(x, L.Dense(2)(L.GRU(3, return_sequences=True)(x)[:, 0]))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "bidirectional": (lambda: chain(L.Bidirectional(L.GRU(3)), scores()), "needs the future"),
    "masking": (lambda: chain(L.Masking(), L.GRU(3)), r"masking\w* \(Masking\): leave it out"),
    "backwards": (lambda: chain(L.GRU(3, go_backwards=True)), "go_backwards=True"),
    "hard-sigmoid": (
        lambda: chain(L.LSTM(3, recurrent_activation="hard_sigmoid")),
        "recurrent_activation 'hard_sigmoid': train it with sigmoid",
    ),
    "gru-relu": (lambda: chain(L.GRU(3, activation="relu")), "activation 'relu': use tanh"),
    "gru-linear": (lambda: chain(L.GRU(3, activation=None)), "activation 'linear': use tanh"),
    "stacked-state": (stacked_state, "its states are read"),
    "same": (lambda: chain(L.Conv1D(4, 3, padding="same")), "padding='same'.*'causal'"),
    "pooling": (
        lambda: chain(L.MaxPooling1D(padding="same"), L.GRU(3)),
        "MaxPooling1D.*padding='same': train it with padding='valid'",
    ),
    "flatten": (lambda: chain(L.Flatten(), L.Dense(2)), "return_sequences=False"),
    "reshape": (lambda: chain(L.Reshape((TIME // 2, 6)), L.GRU(2)), "target_shape"),
    "softsign": (
        lambda: chain(L.Dense(3, activation="softsign"), L.GRU(3)),
        "activation 'softsign': use relu",
    ),
    "softmax-inside": (lambda: chain(L.Dense(3, activation="softmax"), L.GRU(3)), "before other"),
    "prelu": (lambda: chain(L.Dense(3), L.PReLU(), L.GRU(3)), "shared_axes"),
    "relu6": (lambda: chain(L.Dense(3), L.ReLU(max_value=6)), "use a plain ReLU"),
    "norm-over-time": (lambda: chain(L.BatchNormalization(axis=1)), "axis=1: use axis=-1"),
    "lambda": (lambda: chain(L.Lambda(lambda x: 2 * x), L.GRU(3)), "never run"),
    "repeat": (lambda: chain(L.GRU(3), L.RepeatVector(4), L.GRU(3)), "RepeatVector"),
    "inputs": (two_inputs, r"2 inputs \(a, b\)"),
    "over-time": (joined_over_time, r"longer \(Concatenate\): axis=1: use axis=-1"),
    "outputs": (scores_of_two, r"kind \(Dense\): softmax at the end of one of several outputs"),
    "shared": (shared, r"twice \(Dense\): it is called 2 times"),
    "cell-state": (cell_state, r"memory \(LSTM\): its cell state"),
    "first-state": (first_state, r"memory \(GRU\): it joins"),
    "training": (always_training, r"drop \(Dropout\): it is called with training"),
    "first-step": (first_step, r"last step can be read"),
    "flat-input": (
        lambda: keras.Sequential([keras.Input((9,)), L.Dense(2)]),
        r"input is \[any, 9\]",
    ),
    "image": (
        lambda: keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 3)]),
        r"input is \[any, 8, 8, 3\]",
    ),
    "channels": (
        lambda: keras.Sequential([keras.Input((TIME, 5)), L.GRU(2)]),
        "of 5 channels, the data has 3",
    ),
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_remedy(name: str, suffix: str, tmp_path: Path) -> None:
    make, match = REFUSED[name]
    refused(saved(make(), tmp_path, suffix), match)


def test_all_problems_are_listed(tmp_path: Path) -> None:
    model = chain(L.Masking(), L.Bidirectional(L.GRU(3, return_sequences=True)), L.LSTM(2))
    text = refused(saved(model, tmp_path), "Masking")
    assert "Bidirectional" in text and "Supported are GRU" in text


def test_many_problems_are_one_line(tmp_path: Path) -> None:
    refused(saved(chain(*[L.UnitNormalization() for _ in range(60)]), tmp_path), r"and \d+ more")


def test_a_class_of_the_user(tmp_path: Path) -> None:
    class Dense(L.Dense):  # type: ignore[misc]
        pass

    refused(saved(chain(Dense(3), L.GRU(2)), tmp_path), "not Keras's, and no code")


def test_a_model_of_code(tmp_path: Path) -> None:
    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.gru = L.GRU(3)

        def call(self, x: Any) -> Any:
            return self.gru(x)

    model = Net()
    model(samples())
    refused(saved(model, tmp_path), r"of the class .*Net.*keras\.Model\(inputs, outputs\)")


class TestFiles:
    def test_h5py_is_optional(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = saved(build("gru"), tmp_path, ".keras")
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(ToolMissingError, match="pip install h5py"):
            load_float_model(path, samples())

    def test_keras_is_not_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("keras", "tensorflow"):
            monkeypatch.setitem(sys.modules, name, None)
        file = FILES / "nested-2.15.h5"
        assert len(load_float_model(file, np.load(file.with_suffix(".npz"))["x"]).layers) > 5

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    def test_the_kind_is_told_by_its_bytes(self, suffix: str, tmp_path: Path) -> None:
        other = {".keras": ".h5", ".h5": ".keras"}[suffix]
        path = saved(build("gru"), tmp_path, suffix).rename(tmp_path / f"other{other}")
        assert len(load_float_model(path, samples()).layers) == 2

    def test_weights_only(self, tmp_path: Path) -> None:
        build("gru").save_weights(tmp_path / "a.weights.h5")
        refused(tmp_path / "a.weights.h5", r"weights only.*model\.save")

    def test_another_hdf5_file(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["x"] = samples()
        refused(tmp_path / "a.h5", r"not of a Keras model.*model\.save")

    def test_another_archive(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
            archive.writestr("../config.txt", "{}")
        refused(tmp_path / "a.keras", "without config.json")

    def test_a_model_never_built(self, tmp_path: Path) -> None:
        model = keras.Sequential([L.GRU(3), L.Dense(2)])
        refused(saved(model, tmp_path), "no arrays of it.*when it is built")

    def test_weights_of_another_model(self, tmp_path: Path) -> None:
        paths = [tmp_path / f"{n}.keras" for n in (3, 4)]
        for n, path in zip((3, 4), paths, strict=True):
            chain(L.GRU(n)).save(path)
        with zipfile.ZipFile(paths[1]) as archive:
            weights = archive.read("model.weights.h5")
        swap(paths[0], "model.weights.h5", weights)
        refused(paths[0], r"its kernel is \[3, 12\], not \[3, 9\]")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_no_numbers(self, value: float, tmp_path: Path) -> None:
        model = build("gru")
        model.layers[0].cell.bias.assign(np.full(model.layers[0].cell.bias.shape, value))
        refused(saved(model, tmp_path), r"gru\w* \(GRU\): its bias holds NaN or infinite")

    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    def test_cut_and_damaged(self, suffix: str, tmp_path: Path) -> None:
        path = saved(build("gru"), tmp_path, suffix)
        whole, rng = path.read_bytes(), np.random.default_rng(0)
        for size in np.linspace(1, len(whole) - 1, 9).astype(int):
            path.write_bytes(whole[:size])
            refused(path, r"model\.save|save the model|save it")
        for _ in range(100):
            content = bytearray(whole)
            for place in rng.integers(0, len(whole), 3):
                content[place] = rng.integers(256)
            path.write_bytes(content)
            try:
                load_float_model(path, samples())
            except CompressError as error:
                assert "\n" not in str(error) and len(str(error)) < 1000

    @pytest.mark.parametrize("kind", ["external", "soft", "storage", "virtual"])
    def test_arrays_elsewhere(self, kind: str, tmp_path: Path) -> None:
        path = saved(build("gru"), tmp_path, ".h5")
        other = tmp_path / "secret"
        other.write_bytes(bytes(8 * 24 * 4))
        with h5py.File(path, "a") as file:
            group = file["model_weights"]
            layer = group[next(iter(name for name in group if name.startswith("gru")))]
            name = next(n for n in layer.attrs["weight_names"] if n.endswith("/kernel"))
            shape = layer[name].shape
            del layer[name]
            if kind == "external":
                layer[name] = h5py.ExternalLink(str(other), "x")
            elif kind == "soft":
                layer[name] = h5py.SoftLink("/elsewhere")
            elif kind == "storage":
                size = int(np.prod(shape)) * 4
                layer.create_dataset(name, shape, "f4", external=[(str(other), 0, size)])
            else:
                layout = h5py.VirtualLayout(shape, "f4")
                layout[:] = h5py.VirtualSource(str(other), "x", shape)
                layer.create_virtual_dataset(name, layout)
        refused(path, "another (place|file)")

    def test_arrays_of_any_size(self, tmp_path: Path) -> None:
        path = saved(build("gru"), tmp_path, ".h5")
        with h5py.File(path, "a") as file:
            group = file["model_weights"]
            layer = group[next(iter(name for name in group if name.startswith("gru")))]
            name = next(n for n in layer.attrs["weight_names"] if n.endswith("/kernel"))
            del layer[name]
            layer.create_dataset(name, (2**20, 2**20), "f4", chunks=(64, 64), compression="gzip")
        refused(path, "too large")

    def test_a_configuration_of_any_size_or_form(self, tmp_path: Path) -> None:
        path = saved(build("gru"), tmp_path)
        swap(path, "config.json", b" " * (2**24 + 1))
        refused(path, "config.json has 16,777,217 bytes")
        deep = {"module": "keras", "class_name": "Sequential", "config": {"layers": 3}}
        contents = [b"", b"\xff", b"[]", b"{}", b"[" * 10**6, json.dumps(deep).encode()]
        for content in contents:
            swap(path, "config.json", content)
            refused(path, r"model\.save|save the model again")


def swap(path: Path, member: str, content: bytes) -> None:
    """Put other bytes in place of a member of an archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in (members | {member: content}).items():
            archive.writestr(name, value)
    path.write_bytes(buffer.getvalue())
