"""Import of NIR graphs."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import snntorch.utils
import torch
from torch import nn

from edgeflow.cells.lif import LIF, from_nir
from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError, ToolMissingError
from edgeflow.importers import FloatChain, load_float_model, nir_graph
from edgeflow.importers.nir_reference import evaluate

nir = pytest.importorskip("nir")

CHANNELS, NEURONS, DT = 4, 9, 1e-3


def samples(n: int = 6, time: int = 80) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.standard_normal((n, time, CHANNELS)).astype(np.float32)


def neurons(kind: str, size: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    common: dict[str, Any] = {
        "r": rng.uniform(2, 4, size),
        "v_leak": np.zeros(size) if kind == "CubaLIF" else 0.1 * rng.standard_normal(size),
        "v_threshold": rng.uniform(0.3, 0.8, size),
    }
    tau = rng.uniform(3e-3, 2e-2, size)
    if kind == "CubaLIF":
        extra = {
            "tau_mem": tau,
            "tau_syn": rng.uniform(2e-3, 9e-3, size),
            "w_in": np.full(size, 2.0),
        }
        return nir.CubaLIF(**common, **extra)
    return nir.LIF(tau=tau, **common)


def affine(outputs: int, inputs: int, seed: int, scale: float = 1.0) -> Any:
    rng = np.random.default_rng(seed)
    return nir.Affine(
        weight=scale * rng.standard_normal((outputs, inputs)),
        bias=0.1 * rng.standard_normal(outputs),
    )


def network(kind: str, recurrent: bool, integrator: bool) -> Any:
    """Input, Affine, neurons, Linear, neurons, and, if `integrator`, Affine and LI."""
    nodes = {
        "input": nir.Input(np.array([CHANNELS])),
        "w1": affine(NEURONS, CHANNELS, 1),
        "n1": neurons(kind, NEURONS, 2),
        "w2": nir.Linear(np.random.default_rng(3).standard_normal((5, NEURONS))),
        "n2": neurons("LIF", 5, 4),
        "output": nir.Output(np.array([3 if integrator else 5])),
    }
    edges = [("input", "w1"), ("w1", "n1"), ("n1", "w2"), ("w2", "n2")]
    if recurrent:
        nodes["back"] = affine(NEURONS, NEURONS, 5, 0.3)
        edges += [("n1", "back"), ("back", "n1")]
    if integrator:
        nodes["w3"] = affine(3, 5, 6)
        nodes["li"] = nir.LI(
            tau=np.full(3, 2e-2), r=np.array([1.0, 2, 3]), v_leak=np.array([0.1, 0, -1])
        )
        edges += [("n2", "w3"), ("w3", "li"), ("li", "output")]
    else:
        edges.append(("n2", "output"))
    return nir.NIRGraph(nodes, edges, metadata={"dt": DT})


def simulate(graph: Any, x: np.ndarray) -> np.ndarray:
    """Forward Euler of NIR's equations, node by node, for one sequence x [time, channels]."""
    nodes, result = graph.nodes, []
    v = dict.fromkeys(nodes, 0.0)
    i = dict.fromkeys(nodes, 0.0)
    y: dict[str, Any] = {}
    order = [k for k in ("input", "w1", "n1", "w2", "n2", "w3", "li", "output") if k in nodes]
    for sample in x.astype(np.float64):
        back = nodes.get("back")
        # no spikes before the first step
        fed = back.weight @ y.get("n1", np.zeros(NEURONS)) + back.bias if back else 0.0
        value = sample
        for k in order:
            node, kind = nodes[k], type(nodes[k]).__name__
            if kind in ("Affine", "Linear"):
                value = node.weight @ value + getattr(node, "bias", 0.0)
            elif kind in ("LIF", "CubaLIF", "LI"):
                drive = value + (fed if k == "n1" else 0.0)
                tau = node.tau_mem if kind == "CubaLIF" else node.tau
                if kind == "CubaLIF":
                    i[k] = i[k] + DT / node.tau_syn * (-i[k] + node.w_in * drive)
                    drive = i[k]
                v[k] = v[k] + DT / tau * (node.v_leak - v[k] + node.r * drive)
                value = v[k]
                if kind != "LI":
                    value = (v[k] > node.v_threshold).astype(float)
                    v[k] = np.where(value == 1, 0.0, v[k])
            y[k] = value
        result.append(value)
    return np.array(result)


def imported(graph: Any, path: Path, **options: Any) -> FloatChain:
    nir.write(path, graph)
    return load_float_model(path, samples(), **options)


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("integrator", [False, True])
def test_equals_the_equations(kind: str, recurrent: bool, integrator: bool, tmp_path: Path) -> None:
    graph = network(kind, recurrent, integrator)
    chain, x = imported(graph, tmp_path / "g.nir"), samples()
    expected = np.stack([simulate(graph, sequence) for sequence in x])
    spikes = chain.activations(x)[1]
    assert 0.02 < spikes.mean() < 0.8
    assert expected.std() > 0.05
    # the chain is float32: a membrane within rounding of its threshold may decide otherwise
    agree = np.abs(chain.run(x) - expected).max(axis=(1, 2)) < 1e-4
    assert agree.mean() >= 0.8


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
@pytest.mark.parametrize("integrator", [False, True])
def test_reference_equals_the_equations(kind: str, integrator: bool) -> None:
    """What an import is checked against, and that it tells where rounding could decide."""
    graph, x = network(kind, True, integrator), samples()
    order = [k for k in ("back", "w1", "n1", "w2", "n2", "w3", "li") if k in graph.nodes]
    y, sure = evaluate(graph.nodes, graph.edges, order, x, DT)
    expected = np.stack([simulate(graph, sequence) for sequence in x])
    np.testing.assert_allclose(y, expected, atol=1e-12)
    assert sure.mean() > 0.9
    graph.nodes["n2"].v_threshold = np.zeros(5)
    graph.nodes["n2"].v_leak = np.zeros(5)
    graph.nodes["w2"].weight[:] = 0
    assert not evaluate(graph.nodes, graph.edges, order, x, DT)[1].any()


@pytest.mark.parametrize("what", ["beta_logit", "threshold", "input.bias", "recurrent.weight"])
def test_a_wrong_import_is_noticed(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*arguments: Any, **options: Any) -> LIF:
        layer = from_nir(*arguments, **options)
        parameter = dict(layer.named_parameters()).get(what)
        if parameter is not None:
            with torch.no_grad():
                parameter.add_(0.3)
        return layer

    monkeypatch.setattr(nir_graph, "from_nir", wrong)
    with pytest.raises(CompressError, match=r"g\.nir: its layers and the graph's equations differ"):
        imported(network("LIF", True, True), tmp_path / "g.nir")


def test_equals_snntorch(tmp_path: Path) -> None:
    """A recurrent layer inside a graph of its own, as snntorch exports it."""
    export = pytest.importorskip("snntorch.export_nir").export_to_nir
    torch.manual_seed(1)
    first = nn.Linear(CHANNELS, NEURONS)
    layer = snn.RLeaky(beta=torch.full((NEURONS,), 0.8), threshold=torch.full((NEURONS,), 0.6),
                       all_to_all=True, linear_features=NEURONS, reset_mechanism="zero", reset_delay=False, init_hidden=True)  # fmt: skip
    last = nn.Linear(NEURONS, 3)
    graph = export(nn.Sequential(first, layer, last), torch.zeros(CHANNELS))
    graph.metadata["reset"] = "nir"
    chain, x = imported(graph, tmp_path / "s.nir"), samples(3, 50)
    layer.init_hidden = False
    with torch.no_grad():
        s, u = torch.zeros(3, NEURONS), torch.zeros(3, NEURONS)
        expected = []
        for sample in torch.from_numpy(x).unbind(1):
            s, u = layer(first(sample), s, u)
            expected.append(last(s))
    got = chain.activations(x)
    assert 0.02 < got[1].mean() < 0.8
    np.testing.assert_allclose(got[-1], torch.stack(expected, 1).numpy(), atol=1e-4)


def spiking(kind: str, reset: str) -> nn.Sequential:
    """A net of snntorch with delayed resets, its default."""
    torch.manual_seed(0)
    beta, threshold = torch.full((NEURONS,), 0.9), torch.full((NEURONS,), 0.5)
    same = {"threshold": threshold, "init_hidden": True, "reset_mechanism": reset}
    layer = {
        "Leaky": lambda: snn.Leaky(beta, **same),
        "Synaptic": lambda: snn.Synaptic(torch.full((NEURONS,), 0.7), beta, **same),
        "RLeaky": lambda: snn.RLeaky(beta, linear_features=NEURONS, **same),
        "RSynaptic": lambda: snn.RSynaptic(
            torch.full((NEURONS,), 0.7), beta, linear_features=NEURONS, **same
        ),
    }[kind]()
    return nn.Sequential(nn.Linear(CHANNELS, NEURONS), layer).eval()


@torch.no_grad()
def spikes_of(net: nn.Sequential, x: np.ndarray) -> np.ndarray:
    snn.utils.reset(net)
    return torch.stack([net(torch.from_numpy(x[:, t])) for t in range(x.shape[1])], 1).numpy()


def guesses(chain: FloatChain) -> list[str]:
    return [note for note in chain.notes if "never fire" not in note]


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("kind", ["Leaky", "Synaptic", "RLeaky", "RSynaptic"])
def test_resets_of_snntorch(kind: str, reset: str, tmp_path: Path) -> None:
    """By metadata, by the caller, and, of its default, by the guess, which is noted."""
    export = pytest.importorskip("snntorch.export_nir").export_to_nir
    net, x = spiking(kind, reset), samples()
    expected = spikes_of(net, x)
    assert 0.02 < expected.mean() < 0.8
    graph = export(net, torch.zeros(CHANNELS))
    graph.metadata["dt"] = 1e-4
    told = imported(graph, tmp_path / "g.nir", nir_reset=reset)
    graph.metadata["reset"] = reset
    chains = [told, imported(graph, tmp_path / "g.nir")]
    del graph.metadata["reset"]
    if reset == "subtract":
        chains.append(imported(graph, tmp_path / "g.nir"))
        assert "no kind of reset: subtraction of the threshold" in chains[-1].notes[0]
    for chain in chains:
        assert (chain.run(x) != expected).mean() < 1e-3
    refractory = reset == "zero" and kind != "Leaky"
    assert len(guesses(told)) == refractory
    assert not refractory or "a step at zero; if NIR's equations are meant" in told.notes[0]


@pytest.mark.parametrize("reset", ["subtract", "zero", "refractory", "nir"])
@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
def test_each_reset_is_that_of_its_equations(kind: str, reset: str, tmp_path: Path) -> None:
    """Other factors than snntorch's: "zero" is NIR's own."""
    graph, x = network(kind, False, False), samples()
    graph.nodes["n1"].metadata["reset"] = reset
    graph.metadata["reset"] = "zero"
    chain = imported(graph, tmp_path / "g.nir")
    assert [layer.reset for _, layer in chain.layers] == [
        "zero" if reset == "nir" else reset,
        "zero",
    ]
    node, u, i, s = graph.nodes["n1"], 0.0, 0.0, 0.0
    got, w = chain.activations(x[:1])[1][0], graph.nodes["w1"]
    for t, sample in enumerate(x[0].astype(np.float64)):
        drive = w.weight @ sample + w.bias
        if kind == "CubaLIF":
            drive = i = i + DT / node.tau_syn * (-i + node.w_in * drive)
        tau = node.tau_mem if kind == "CubaLIF" else node.tau
        before = u * (1 - s) if reset in ("zero", "nir") else u
        u = before + DT / tau * (node.v_leak - before + node.r * drive)
        u = u - s * node.v_threshold if reset == "subtract" else u
        u = u * (1 - s) if reset == "refractory" else u
        s = (u > node.v_threshold).astype(float)
        np.testing.assert_array_equal(got[t], s)


def test_guesses_are_noted(tmp_path: Path) -> None:
    graph = network("LIF", True, True)
    chain = imported(graph, tmp_path / "g.nir")
    assert len(guesses(chain)) == 1  # dt is in its metadata
    assert "reset to zero, as in NIR's equations, was taken for n1, n2; if it is" in chain.notes[0]
    assert "--nir-reset (nir_reset=) subtract, zero, refractory, nir" in chain.notes[0]
    program = quantize(chain, samples())
    assert program.metadata["notes"] == list(chain.notes)
    del graph.metadata["dt"]
    assert guesses(imported(graph, tmp_path / "g.nir", nir_dt=DT, nir_reset="nir")) == []
    noted = imported(graph, tmp_path / "g.nir", nir_reset="nir").notes
    assert "no time step: 0.0001 s, snntorch's, was taken" in noted[0]


def test_neurons_that_never_fire_are_noted(tmp_path: Path) -> None:
    graph = network("LIF", False, True)
    graph.nodes["n1"].v_threshold[:] = [1e6] * 3 + [0.1] * 6
    graph.nodes["n2"].v_threshold[:] = 0.01
    chain = imported(graph, tmp_path / "g.nir", nir_reset="nir")
    spikes = chain.activations(samples())
    silent = [int((y == 0).all(axis=(0, 1)).sum()) for y in (spikes[1], spikes[2])]
    assert silent[0] >= 3
    notes = [note for note in chain.notes if "never fire" in note]
    assert f"{silent[0]} of the 9 neurons of n1 never fire on the calibration data" in notes[0]
    assert len(notes) == np.count_nonzero(silent)


@pytest.mark.parametrize(
    "options,message",
    [
        ({"nir_reset": "none"}, "--nir-reset: there is no reset 'none': there are subtract, zero"),
        ({"nir_dt": 0.0}, "--nir-dt 0: it must be a positive time"),
        ({"nir_dt": 1.0}, "longer than a time constant"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=message):
        imported(network("LIF", True, True), tmp_path / "g.nir", **options)
    with pytest.raises(CompressError, match="is no .nir file: leave the option out"):
        load_float_model(tmp_path / "model.onnx", samples(), **options)


def test_wrong_metadata(tmp_path: Path) -> None:
    graph = network("LIF", True, True)
    graph.nodes["n2"].metadata["reset"] = "soft"
    with pytest.raises(CompressError, match="the metadata of n2: there is no reset 'soft'"):
        imported(graph, tmp_path / "g.nir")


def external(file: Any, path: Path) -> None:
    del file["node/nodes/w1/weight"]
    file.create_dataset(
        "node/nodes/w1/weight", (NEURONS, CHANNELS), "f4", external=[(str(path), 0, 144)]
    )


def virtual(file: Any, path: Path) -> None:
    import h5py

    del file["node/nodes/w1/weight"]
    layout = h5py.VirtualLayout((NEURONS, CHANNELS), "f4")
    layout[:] = h5py.VirtualSource(str(path), "x", (NEURONS, CHANNELS))
    file.create_virtual_dataset("node/nodes/w1/weight", layout)


def linked(file: Any, path: Path) -> None:
    import h5py

    del file["node/nodes/w1/weight"]
    file["node/nodes/w1/weight"] = h5py.ExternalLink(str(path), "/x")


def circle(file: Any, path: Path) -> None:
    file["node/nodes/w1/again"] = file["node"]


def huge(file: Any, path: Path) -> None:
    file.create_dataset("node/nodes/w1/more", (2**40,), "f4", chunks=(2**20,))


@pytest.mark.parametrize(
    "attack,message",
    [
        (external, "/node/nodes/w1/weight takes its data from another file: not read"),
        (virtual, "takes its data from another file"),
        (linked, "weight is a link, maybe to another file: not read"),
        (circle, "nested too deep, or in a circle"),
        (huge, "more than 256 MiB"),
    ],
)
def test_no_other_file_is_read(attack: Any, message: str, tmp_path: Path) -> None:
    import h5py

    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.ones(144, np.float32).tobytes())
    nir.write(tmp_path / "g.nir", network("LIF", True, True))
    with h5py.File(tmp_path / "g.nir", "r+") as file:
        attack(file, secret)
    with pytest.raises(CompressError, match=f"g.nir: .*{message}"):
        load_float_model(tmp_path / "g.nir", samples())


@pytest.mark.parametrize("integrator", [False, True])
def test_it_compresses(integrator: bool, tmp_path: Path) -> None:
    x = samples()
    chain = imported(network("LIF", True, integrator), tmp_path / "g.nir", window=80)
    assert [name for name, _ in chain.layers][-1] == ("li" if integrator else "mean")
    program, real = quantize(chain, x), chain.run(x)
    got = program.run(program.quantize_input(x)) * program.output_scale
    if not integrator:  # the mean of spikes over the window
        np.testing.assert_allclose(real[:, -1], chain.activations(x)[-2].mean(axis=1), atol=1e-5)
    assert np.corrcoef(got[:, -1].ravel(), real[:, -1].ravel())[0, 1] > 0.95


def test_every_unsupported_node_is_named(tmp_path: Path) -> None:
    one = np.ones(CHANNELS)
    graph = nir.NIRGraph.from_list(
        nir.Scale(one), nir.IF(r=one, v_threshold=one), nir.Threshold(one),
        nir.LIF(tau=one, r=one, v_leak=one, v_threshold=one, v_reset=0.5 * one),
    )  # fmt: skip
    with pytest.raises(CompressError) as caught:
        imported(graph, tmp_path / "g.nir")
    for part in (
        "scale (Scale: multiply",
        "if (IF: use LIF",
        "threshold (Threshold",
        "lif (LIF: v_reset",
    ):
        assert part in str(caught.value)


def rewired(change: str) -> Any:
    graph = network("LIF", True, True)
    nodes, edges = graph.nodes, graph.edges
    if change == "skip":
        edges.append(("w1", "n2"))
    elif change == "dangling":
        nodes["more"] = affine(3, 5, 7)
    elif change == "unknown":
        edges.append(("n2", "nothing"))
    elif change == "two":
        nodes["again"] = affine(NEURONS, NEURONS, 7)
        edges += [("n1", "again"), ("again", "n1")]
    elif change == "li":
        nodes["again"] = affine(3, 3, 7)
        edges += [("li", "again"), ("again", "li")]
    elif change == "taus":
        nodes["li"].tau = np.array([1e-2, 2e-2, 3e-2])
    elif change == "sizes":
        nodes["w2"].weight = np.ones((5, 4))
    elif change == "recurrent sizes":
        nodes["back"].weight = np.ones((5, 5))
    elif change == "parameters":
        nodes["n2"].r = np.ones(7)
    else:
        graph.metadata["dt"] = {"dt": 1.0, "negative": -1.0}[change]
    return graph


@pytest.mark.parametrize(
    "change,message",
    [
        ("skip", r"n2 has 2 inputs \(w2, w1\)"),
        ("dangling", "more has 0 inputs"),
        ("unknown", "not in it: nothing"),
        ("two", "n1 has two recurrent connections"),
        ("li", "only LIF and CubaLIF can be recurrent"),
        ("taus", r"li \(LI\): neurons of different tau"),
        ("sizes", r"n2 \(LIF\): it reads 4 values, a step has 9"),
        ("recurrent sizes", r"n1 \(LIF\): recurrent weights are \[5, 5\] for 9 neurons"),
        ("parameters", "not a NIR graph .*same shape"),
        ("dt", "longer than a time constant"),
        ("negative", "dt = -1"),
    ],
)
def test_what_is_no_chain(change: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=message):
        imported(rewired(change), tmp_path / "g.nir")


def test_wrong_files(tmp_path: Path) -> None:
    (tmp_path / "g.nir").write_text("no HDF5")
    with pytest.raises(CompressError, match="not a NIR graph"):
        load_float_model(tmp_path / "g.nir", samples())


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nir.write(tmp_path / "g.nir", network("LIF", False, False))
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ToolMissingError, match="pip install nir h5py"):
        load_float_model(tmp_path / "g.nir", samples())
