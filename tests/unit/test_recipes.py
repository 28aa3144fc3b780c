"""Recipes and limits: what a file may say, what it says wrong, and what comes first."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.errors import CompressError
from edgeflow.profiling.compare import COSTS, Run, front
from edgeflow.recipes.apply import prune_options, trained_tail
from edgeflow.recipes.limits import Limits, parse_bytes
from edgeflow.recipes.recipe import (
    OPTIONS,
    Recipe,
    as_options,
    make_recipe,
    read_recipe,
)
from edgeflow.recipes.search import read_ladder
from edgeflow.recipes.steps import parse_delta, parse_imc
from edgeflow.resources import resource
from edgeflow.tasks.classification import ACCURACY

TEXT = """
about = "all steps"
[prune]
share = 0.5
block = "4x2"
[delta]
state = 0.8
[train]
epochs = 3
tail = 1.0
teachers = ["runs/a"]
[widths]
weights = "int4"
[cutoff]
max_drop = 0.5
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "r.toml"
    path.write_text(text)
    return path


def test_a_file_and_options_over_it(tmp_path: Path) -> None:
    content = read_recipe(written(tmp_path, TEXT))
    plain = make_recipe(content)
    assert plain.prune.share == "0.5" and plain.train.teachers == ("runs/a",)
    options = dict.fromkeys(OPTIONS) | {
        "epochs": 7, "teacher": [], "delta": {"input": "0.25"}, "block": "1x4",
    }  # fmt: skip
    recipe = make_recipe(content, options)
    assert (recipe.train.epochs, recipe.prune.block) == (7, "1x4")
    assert (recipe.delta.state, recipe.delta.input) == (0.8, 0.25)
    assert recipe.train.teachers == ("runs/a",) and recipe.widths.weights == "int4"
    assert set(as_options(recipe)) == set(OPTIONS)
    assert as_options(recipe)["cutoff"] == 0.5
    # a recipe is what its own values make of it
    values = {k: v for k, v in as_options(recipe).items() if v is not None}
    assert make_recipe({}, values).settings() == recipe.settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepoch = 3", "train.epoch: there is no such entry; there are epochs, lr"),
        ("[quantize]\n", "quantize: there is no such entry; there are about, prune, delta"),
        ("train = 3", "train: "),
        ("[train]\nepochs = 'many'", "train.epochs: "),
        ("[train]\nepochs = -1", "train.epochs: use 0 or more"),
        ("[widths]\nweights = 'int3'", "widths.weights: there are int8, int4, mixed"),
        ("[prune]\nshare = 'x'\n[train]\nepochs = 1", "prune.share: 'x': use a number like 0.75"),
        (
            "[prune]\nshare = 1.5\n[train]\nepochs = 1",
            "prune.share: weights: the share to prune is 1.5",
        ),
        ("[prune]\nshare = 0.5", "pruning needs fine-tuning"),
        ("[prune]\nblock = '4x4'", "it needs --prune"),
        ("[train]\nteachers = ['a']", "a teacher needs fine-tuning"),
        ("[delta]\nstate = 1.0", "delta.state: a share is in [0, 1)"),
        ("[delta]\ngroup = 2", "say of which columns"),
        ("[delta]\nstate = 0.5\ngroup = 0", "group=0"),
        ("[imc]\ndevice = 'pcm'", "training for analog chips: use --epochs"),
        ("[imc]\nadc = 8\n[train]\nepochs = 1", "imc: say which device"),
        ("[imc]\ndevice = 'pcm'\nadc = 1\n[train]\nepochs = 1", "imc: adc is 1"),
        ("[cutoff]\nmax_drop = -1", "cutoff.max_drop: give 0 or more points"),
    ],
)
def test_what_a_file_says_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CompressError) as raised:
        make_recipe(read_recipe(written(tmp_path, text)), where="r.toml")
    assert message in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "--epochs -1: use 0 or more"),
        ({"weights": "int3"}, "--weights int3: there are int8, int4, mixed"),
        ({"delta": {"state": "2"}}, "--delta state=2: a share is in [0, 1)"),
        ({"delta": {"sate": "0.2"}}, "--delta sate=0.2: there is no such entry; there are state"),
        ({"imc": {"device": "pcm", "adc": "x"}}, "--imc adc=x: Input should be a valid integer"),
        ({"structured": 1.0}, "--structured 1.0: a share is in [0, 1)"),
    ],
)
def test_what_an_option_says_wrong_names_the_option(options: dict[str, Any], message: str) -> None:
    with pytest.raises(CompressError, match="^--") as raised:
        make_recipe({"train": {"epochs": 1}}, options)
    assert message in str(raised.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(CompressError, match="there is no recipe 'smal': .*small"):
        read_recipe("smal")
    with pytest.raises(CompressError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(CompressError, match="not a TOML file"):
        read_recipe(written(tmp_path, "epochs: 3"))
    with pytest.raises(CompressError, match="use NAME=NUMBER"):
        parse_delta("0.8")
    with pytest.raises(CompressError, match="begin with a device, like pcm"):
        parse_imc("adc=8")
    assert parse_imc("pcm, adc=8") == {"device": "pcm", "adc": "8"}


def test_those_that_come_with_it_are_recipes() -> None:
    names = [path.stem for path in (resource("calibration") / "recipes").glob("*.toml")]
    assert {"int8", "small"} <= set(names) and set(read_ladder()) <= set(names)
    for name in names:
        recipe = make_recipe(read_recipe(name))
        assert isinstance(recipe, Recipe) and recipe.about
        prune_options(recipe, "qemu-m4")


def test_a_block_of_the_board_is_that_of_the_board() -> None:
    recipe = make_recipe({}, {"prune": "0.5", "block": "board", "epochs": 1})
    found = [prune_options(recipe, board) for board in ("qemu-m4", "qemu-m55")]
    named = [
        prune_options(make_recipe({}, {"prune": "0.5", "block": board, "epochs": 1}))
        for board in ("qemu-m4", "qemu-m55")
    ]
    assert found == named and found[0] != found[1]


def test_ladders(tmp_path: Path) -> None:
    file = tmp_path / "ladder.toml"
    file.write_text('recipes = ["int8", "sub/mine.toml"]')
    assert read_ladder(file) == ["int8", str(tmp_path / "sub" / "mine.toml")]
    for text, message in [
        ("recipes = []", "needs a list"),
        ("recipe = ['int8']", "needs a list"),
        ("recipes = ['int8', 'my/int8.toml']", "'int8' is there twice"),
        ("recipes", "not a TOML file"),
    ]:
        file.write_text(text)
        with pytest.raises(CompressError, match=message):
            read_ladder(file)


def test_the_tail_that_a_model_was_trained_with(tmp_path: Path) -> None:
    assert trained_tail(tmp_path) is None
    (tmp_path / "metrics.json").write_text('{"arguments": {"tail": 1.0}}')
    assert trained_tail(tmp_path) == trained_tail(tmp_path / "model.pt") == 1.0
    assert trained_tail(tmp_path / "exported.onnx") is None
    (tmp_path / "metrics.json").write_text('{"arguments": []}')
    assert trained_tail(tmp_path) is None


def test_limits() -> None:
    limits = Limits(drop=0.5, flash=1000, instructions=100.0)
    assert limits.on_board and not Limits(drop=1.0).on_board
    figures = {"drop": 1.5, "flash": 1000, "ram": 9999, "instructions": 150.0}
    assert limits.excess(figures) == {"drop": 1.0, "instructions": 0.5}
    assert limits.excess({"flash": None}) == {}
    for wrong in ({"flash": 0}, {"drop": float("inf")}, {"instructions": float("nan")}):
        with pytest.raises(CompressError, match="--max-"):
            Limits(**wrong)


@pytest.mark.parametrize(
    ("text", "size"),
    [("800", 800), ("16k", 16000), ("16Ki", 16384), ("1.5kB", 1500), ("1M", 10**6)],
)
def test_bytes(text: str, size: int) -> None:
    assert parse_bytes("--max-flash", text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1g", "1e3", "16 k k"])
def test_what_are_no_bytes(text: str) -> None:
    with pytest.raises(CompressError, match="--max-flash .*: use bytes like"):
        parse_bytes("--max-flash", text)


def a_run(accuracy: int, cost: int | None, board: str | None) -> Run:
    return Run("", "", "d", "test", 1.0, accuracy / 4, ACCURACY, board=board, instructions=cost)


RUNS = st.lists(
    st.builds(
        a_run,
        st.integers(0, 4),
        st.none() | st.integers(0, 4),
        st.sampled_from(["qemu-m4", "qemu-m55"]),
    ),
    max_size=12,
)


@given(RUNS)
def test_a_front_beats_all_others_and_none_of_itself(runs: list[Run]) -> None:
    best = front(runs, "instructions")
    assert "instructions" in COSTS
    for group in {run.group for run in runs}:
        mine = [
            i for i, run in enumerate(runs) if run.group == group and run.instructions is not None
        ]
        on = [i for i in mine if i in best]
        assert bool(on) == bool(mine)
        for i in mine:
            # something on the front is as good in both
            assert any(
                runs[j].score >= runs[i].score and runs[j].instructions <= runs[i].instructions
                for j in on
            )
        # along the front both rise, or both are equal
        for i in on:
            for j in on:
                more = runs[i].score > runs[j].score
                assert more == (runs[i].instructions > runs[j].instructions)
    assert all(runs[i].instructions is not None for i in best)
