"""Spike rates from the command line."""

import json
from pathlib import Path

from tests.cli.test_pipeline import DATA, environment, fails, run

__all__ = ["environment"]


def test_train_and_compress_to_a_rate(environment: dict[str, str], tmp_path: Path) -> None:
    model, out = tmp_path / "lif", tmp_path / "lif.onnx"
    train = ["train", *DATA, "--cell", "lif", "--hidden", "8", "--epochs", "2", "-o", model]
    metrics = json.loads(run(environment, *train, "--spike-rate", "0.1", "--json").stdout)
    assert all(0 < row["spike_rate"] < 1 for row in metrics["history"])
    (method,) = metrics["arguments"]["methods"]
    assert (method["rate"], method["regularizer"]) == (0.1, "l1")
    compress = ["compress", model, *DATA, "--epochs", "1", "--spike-rate", "0.05"]
    compress += ["--spike-regularizer", "hoyer", "-o", out]
    shown = json.loads(run(environment, *compress, "--json").stdout)
    ((name, rate),) = shown["spikes"].items()
    assert name == "rnn_layers_0.s" and 0 < rate < 1
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["spikes"] == shown["spikes"]
    assert record["command"]["spike-rate"] == 0.05
    methods = record["training"]["arguments"]["methods"]
    assert [method["method"] for method in methods] == ["qat", "spike-rate"]


def test_what_is_refused(environment: dict[str, str], trained_gru: Path, tmp_path: Path) -> None:
    train = ["train", *DATA, "-o", tmp_path / "new"]
    assert "it needs --spike-rate" in fails(environment, *train, "--spike-regularizer", "l1")
    assert "use one of l2mu, cuba-l2mu, lif" in fails(environment, *train, "--spike-rate", "0.1")
    compress = ["compress", trained_gru / "model", *DATA, "-o", tmp_path / "model.onnx"]
    assert "use --epochs" in fails(environment, *compress, "--spike-rate", "0.1")
    assert "--spike-rate 1.5: a share is in [0, 1)" in fails(
        environment, *compress, "--spike-rate", "1.5", "--epochs", "1"
    )
    assert "--spike-regularizer hoyer: it needs --spike-rate" in fails(
        environment, *compress, "--spike-regularizer", "hoyer", "--epochs", "1"
    )
