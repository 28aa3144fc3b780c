"""``import edgeflow as ef``: what users pass, what comes back, and that the commands do the same."""

import inspect
import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

import edgeflow as ef
from edgeflow import api
from edgeflow.cells import load_model
from edgeflow.cli import app
from edgeflow.digest import read_json
from edgeflow.errors import (
    CompressError,
    DataError,
    EdgeFlowError,
    ExportError,
    ProgramError,
    TargetError,
    TrainError,
)
from edgeflow.exporting import Options
from edgeflow.recipes.recipe import make_recipe
from edgeflow.training.options import TrainKeywords, TrainOptions
from tests.recordings import CLASSES, write_recordings


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gru, self.drop, self.out = (
            nn.GRU(4, 8, batch_first=True), nn.Dropout(0.5), nn.Linear(8, 3)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.out(self.drop(self.gru(x)[0]))[:, -1]
        return result


def walk(n: int = 24, time: int = 20) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, time, 4))


@pytest.fixture(scope="module")
def program() -> ef.Program:
    return ef.compress(Net(), walk(), classes=CLASSES, window=20, rate_hz=20)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    write_recordings(path)
    return path


@pytest.fixture(scope="module")
def data(recordings: Path) -> ef.Dataset:
    return ef.load_dataset(recordings, window=20)


@pytest.fixture(scope="module")
def trained(data: ef.Dataset, tmp_path_factory: pytest.TempPathFactory) -> ef.TrainResult:
    return ef.train(data, "gru", out=tmp_path_factory.mktemp("run"), hidden=8, epochs=1)


class TestModule:
    def test_names_are_there_and_nothing_else(self) -> None:
        for name in ef.__all__:
            assert name in dir(ef) and getattr(ef, name) is getattr(ef, name)
        assert set(api.__dict__) & set(ef.__all__) >= {
            "boards", "compile", "compress", "export", "load", "profile", "train",
        }  # fmt: skip
        with pytest.raises(AttributeError, match="no attribute 'quantise'"):
            ef.quantise  # type: ignore[attr-defined]  # noqa: B018

    def test_every_parameter_is_explained(self) -> None:
        for name in ("compile", "compress", "export", "load", "profile", "train"):
            function = getattr(ef, name)
            text = inspect.getdoc(function) or ""
            head = text.partition("Returns\n---")[0].partition("Raises\n---")[0]
            for parameter in inspect.signature(function).parameters:
                assert parameter in head, f"{name}: {parameter}"
            assert "Examples\n---" in text

    def test_keywords_are_those_of_the_options(self) -> None:
        hints = typing.get_type_hints(TrainKeywords)
        assert hints == typing.get_type_hints(TrainOptions)
        written = {f.name for f in fields(Options)} - {"to"}
        assert written <= set(inspect.signature(ef.export).parameters)


class TestCompress:
    @pytest.mark.parametrize("kind", ["list", "float32", "tensor", "gradient", "windows"])
    def test_what_users_hold(self, program: ef.Program, kind: str) -> None:
        x = walk()
        n = len(x)
        from edgeflow.data import Windows

        given: Any = {
            "list": x.tolist(),
            "float32": x.astype(np.float32),
            "tensor": torch.from_numpy(x),
            "gradient": torch.from_numpy(x).float().requires_grad_(),
            "windows": Windows(x.astype(np.float32), np.zeros(n, int), np.array(["a"] * n)),
        }[kind]
        assert ef.compress(Net(), given, classes=CLASSES, window=20) == program

    def test_module_keeps_its_modes(self) -> None:
        net = Net().train()
        net.gru.eval()
        ef.compress(net, walk())
        assert [m.training for m in net.modules()] == [True, False, True, True]
        with pytest.raises(CompressError):
            ef.compress(net, walk()[..., :3])
        assert [m.training for m in net.modules()] == [True, False, True, True]

    def test_fine_tuning_leaves_the_module(self, data: ef.Dataset) -> None:
        net = Net().train()
        net.out.eval()
        before = {key: value.clone() for key, value in net.state_dict().items()}
        program = ef.compress(net, data, recipe={"train": {"epochs": 2, "lr": 0.02}})
        assert program != ef.compress(net, data)
        assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
        assert [m.training for m in net.modules()] == [True, True, True, False]
        assert all(p.grad is None for p in net.parameters())

    def test_numbers_as_classes_become_names(self) -> None:
        program = ef.compress(Net(), walk(), classes=[0, 1, 2])
        assert program.classes == ("0", "1", "2")
        assert ef.compress(Net(), walk(), classes=np.arange(3)).classes == program.classes  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "options,message",
        [
            ({"model": "net.pt"}, "net.pt: no such file"),
            ({"model": Net}, "not the class Net"),
            ({"model": Net().state_dict()}, "not OrderedDict"),
            ({"model": None}, "not NoneType"),
            ({"model": torch.jit.script(nn.Linear(4, 3))}, "hides its layers"),
            ({"calibration": np.where(walk() > 2, np.nan, walk())}, "NaN .* of 24 windows"),
            ({"calibration": walk()[:0]}, r"\[n, time, channels\], at least one, not \[0, 20, 4\]"),
            ({"calibration": walk()[0]}, r"\[n, time, channels\], at least one, not \[20, 4\]"),
            ({"calibration": walk()[..., :3]}, r"samples of 3 channels .*\[8, 20, 3\]"),
            ({"calibration": None}, r"samples \[n, time, channels\] are needed, not NoneType"),
            ({"calibration": [[1], [1, 2]]}, "rows of one length"),
            ({"calibration": "nowhere"}, "no data set 'nowhere'"),
            ({"classes": "abc"}, "classes must be a list of names, not the text 'abc'"),
            ({"classes": 3}, "classes must be a list of names, not int"),
            ({"classes": ["a", "b"]}, "2 class names for 3 outputs"),
            ({"classes": ["a", "b", "a"]}, "'a' is there more than once"),
            ({"channels": ["a"]}, "1 names for 4 channels"),
            ({"window": 2.5}, "window is 2.5: give a whole number"),
            ({"window": -1}, "window of -1 samples"),
            ({"recipe": "nothing"}, "no recipe 'nothing'"),
            ({"recipe": 3}, "not int"),
            ({"recipe": {"train": {"epoch": 3}}}, "train.epoch: there is no such entry"),
            ({"recipe": {"train": {"epochs": 3}}}, "fine-tuning needs labels: give a Dataset"),
            ({"recipe": {"cutoff": {"max_drop": 1}}}, "early exit needs labels"),
            ({"recipe": {"widths": {"weights": "mixed"}}}, "mixed weights needs? labels"),
            ({"checkpoint": "net.pt"}, "Net holds its weights"),
            ({"rate_hz": "fast"}, "rate_hz is 'fast': give a number"),
            ({"widths": 8}, r"widths are edgeflow.Widths\(...\), not int"),
            ({"out": 3}, "out is 3: give a path"),
            ({"model": nn.Identity()}, "there is no layer in it"),
        ],
    )  # fmt: skip
    def test_wrong_arguments_get_one_line(self, options: dict[str, Any], message: str) -> None:
        arguments = {"model": Net(), "calibration": walk(), **options}
        with pytest.raises(EdgeFlowError, match=message) as error:
            ef.compress(arguments.pop("model"), arguments.pop("calibration"), **arguments)
        assert len(str(error.value).splitlines()) == 1

    def test_a_data_set_knows_its_names(self, data: ef.Dataset) -> None:
        same = ef.compress(Net(), data, classes=CLASSES, window=20, channels=data.channels)
        assert same == ef.compress(Net(), data)
        assert same == ef.compress(Net(), data, channels=np.array(data.channels))  # type: ignore[arg-type]
        with pytest.raises(CompressError, match="classes must be a list of names, not int"):
            ef.compress(Net(), data, classes=3)  # type: ignore[arg-type]
        with pytest.raises(CompressError, match="window 30: data set 'mine' has 20"):
            ef.compress(Net(), data, window=30)
        with pytest.raises(CompressError, match="widths are for arrays"):
            ef.compress(Net(), data, widths=ef.Widths(8, 8))
        with pytest.raises(CompressError, match="classes .'a', 'b', 'c'.: data set 'mine' has"):
            ef.compress(Net(), data, classes=["a", "b", "c"])

    def test_trained_classifier_brings_its_names(self, trained: ef.TrainResult) -> None:
        program = ef.compress(trained, walk())
        assert (list(program.classes), program.window) == (CLASSES, 20)
        with pytest.raises(CompressError, match="tells run, sit, walk apart, not a, b, c"):
            ef.compress(trained, walk(), classes=["a", "b", "c"])


class TestOneWay:
    """A command and the function of its name make the same program, bit for bit."""

    @pytest.mark.parametrize("recipe", [None, "int4.toml"])
    def test_compress(
        self,
        recordings: Path,
        data: ef.Dataset,
        trained: ef.TrainResult,
        recipe: str | None,
        tmp_path: Path,
    ) -> None:
        given = None
        options = ["--window", "20", "-o", str(tmp_path / "cli.onnx")]
        if recipe is not None:
            given = tmp_path / recipe
            given.write_text('[widths]\nweights = "int4"\n[delta]\nstate = 0.5\n')
            options += ["--recipe", str(given)]
        command = ["compress", str(trained.folder), "--data", str(recordings), *options]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        expected = ef.load(tmp_path / "cli.onnx")
        out = tmp_path / "api.onnx"
        made = ef.compress(trained.folder, data, recipe=given, out=out)
        assert made == expected and ef.load(out) == expected
        assert made.metadata == expected.metadata
        record = read_json(tmp_path / "cli.json")
        assert read_json(out.with_suffix(".json")) == {**record, "program": "api.onnx"}
        x = data.windows("train").x
        assert ef.compress(trained.folder, x, recipe=given) == expected
        assert ef.compress(load_model(trained.folder), x, recipe=given) == expected
        assert ef.compress(trained, data, recipe=given) == expected
        loaded = None if given is None else ef.Recipe.load(given)
        assert ef.compress(trained.model, data, recipe=loaded) == expected

    def test_more_windows_than_are_looked_at(self, tmp_path: Path) -> None:
        """The command looks at 512 windows of a data set, the function at as many of an array."""
        from edgeflow.compression.evaluate import load_chain
        from edgeflow.compression.quantize import quantize
        from edgeflow.data import from_arrays

        x = walk(600)
        labels = np.arange(600) % 3
        data = from_arrays(
            x, labels, classes=CLASSES, channels=["a", "b", "c", "d"], split="train", window=20
        )
        made = ef.compress(Net(), x, classes=CLASSES, channels=data.channels, window=20)
        assert made == quantize(*load_chain(Net(), data))
        assert made != ef.compress(
            Net(), x[:512], classes=CLASSES, channels=data.channels, window=20
        )


class TestOthers:
    def test_wrong_arguments(self, program: ef.Program, tmp_path: Path) -> None:
        wrong: Any = 3
        with pytest.raises(ProgramError, match="its file, not int"):
            ef.compile(wrong)
        with pytest.raises(TargetError, match="no board 'qemu-m44'"):
            ef.compile(program, "qemu-m44", tmp_path)
        with pytest.raises(TargetError, match="a Build or its folder, not int"):
            ef.profile(wrong, (walk(), [0]))
        with pytest.raises(ExportError, match="cmake has no option 'raw'"):
            ef.export(program, "cmake", raw=True)
        with pytest.raises(ProgramError, match="a folder: .*Build.load"):
            ef.load(tmp_path)
        with pytest.raises(DataError, match="not int"):
            ef.train(wrong, out=tmp_path)
        with pytest.raises(ProgramError, match="path is 3.0: give a path"):
            ef.load(3.0)  # type: ignore[arg-type]

    def test_train_refuses(self, data: ef.Dataset, tmp_path: Path) -> None:
        with pytest.raises(TrainError, match="hiden"):
            ef.train(data, out=tmp_path, hiden=3)  # type: ignore[call-arg]
        with pytest.raises(TrainError, match="hidden is '8': it must be a number"):
            ef.train(data, out=tmp_path, hidden="8")  # type: ignore[arg-type]
        with pytest.raises(TrainError, match="out is None: give a path"):
            ef.train(data, out=None)  # type: ignore[arg-type]

    def test_recipe_by_name(self) -> None:
        assert ef.Recipe.load("small") == make_recipe(ef.Recipe.load("small").model_dump())
        with pytest.raises(CompressError, match="no recipe 'minute'"):
            ef.Recipe.load("minute")

    @pytest.mark.parametrize(
        "steps,message",
        [
            ({"train": {"epochs": "many"}}, "recipe: train.epochs: .* valid integer"),
            ({"shrink": {}}, "recipe: shrink: there is no such entry; there are about, prune"),
            ({"prune": {"share": "0.5"}}, "pruning needs fine-tuning"),
        ],
    )
    def test_wrong_recipes_get_one_line(self, steps: dict[str, Any], message: str) -> None:
        with pytest.raises(CompressError, match=message) as error:
            ef.Recipe(**steps)
        assert len(str(error.value).splitlines()) == 1

    def test_reprs_are_one_line(self, data: ef.Dataset, trained: ef.TrainResult) -> None:
        assert repr(data).startswith(
            "Dataset(mine: 18 recordings of 6 subjects; 3 classes; 4 channels"
        )
        for thing in (data, data.recordings[0], data.windows("test"), trained, ef.boards()[0]):
            assert len(repr(thing).splitlines()) == 1 and len(repr(thing)) < 200

    def test_boards_show_as_a_table(self) -> None:
        known = ef.boards()
        assert known.names == [board.name for board in known] and "qemu-m4" in known.names
        lines = repr(known).splitlines()
        assert lines[0].split() == ["board", "core", "what", "flash", "RAM"]
        assert len(lines) == len(known) + 1
        assert known._repr_html_().count("<tr>") == len(lines)
