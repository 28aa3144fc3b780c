"""CfC: against the ncps package, import of its modules, quantization, and the integer step."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

import edgeflow
from edgeflow.cells import cfc
from edgeflow.cells.cfc import CfC
from edgeflow.errors import CompressError, ProgramError, TrainError
from edgeflow.importers import from_module
from edgeflow.importers.ncps import from_ncps
from edgeflow.program import Program
from edgeflow.program import fixedpoint as fp
from edgeflow.program.nodes import CfC as CfCNode
from edgeflow.program.nodes import PureCfC
from edgeflow.program.nodes.cfc import BACKBONES
from tests.parity.conftest import run_c  # noqa: F401
from tests.random_nodes.matrices import random_matrix
from tests.random_programs import random_program


def walk(n: int = 12, time: int = 60, channels: int = 4) -> np.ndarray:
    """Return smooth samples of the size of normalised ones."""
    x = np.cumsum(np.random.default_rng(0).standard_normal((n, time, channels)), axis=1)
    return ((x - x.mean((0, 1))) / x.std((0, 1))).astype(np.float32)


def scrambled(module: nn.Module) -> nn.Module:
    """Move a pure cell's parameters off their initial values."""
    torch.manual_seed(1)
    for name, parameter in module.named_parameters():
        if name.endswith(("w_tau", ".A")) or name == "A":
            nn.init.uniform_(parameter, -1.2, 1.2)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return module


class Net(nn.Module):
    def __init__(self, rnn: nn.Module, width: int) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.rnn = rnn
        self.out = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0])


@pytest.fixture
def doubles() -> Iterator[None]:
    """Make new tensors float64, whose rounding hides no other formula, on any processor."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
@pytest.mark.parametrize("mode", cfc.MODES)
def test_equals_ncps(mode: str, layers: int) -> None:
    ncps = pytest.importorskip("ncps.torch")
    torch.manual_seed(layers)
    theirs = scrambled(ncps.CfC(4, 9, mode=mode, backbone_layers=layers, backbone_units=11))
    (ours,) = from_ncps(theirs)
    x = torch.from_numpy(walk()).double()
    h = torch.randn(12, 9)
    with torch.no_grad():
        for state in (None, h):
            y, last = theirs(x, state)
            got, got_last = ours(x, state)
            assert (y - got).abs().max() < 1e-12
            assert (last - got_last).abs().max() < 1e-12


@pytest.mark.parametrize("mode", cfc.MODES)
def test_time_span_equals_ncps(mode: str) -> None:
    ncps = pytest.importorskip("ncps.torch")
    theirs = scrambled(ncps.CfC(4, 9, mode=mode, backbone_units=11))
    (ours,) = from_ncps(theirs)
    ours.time_span = 0.37
    x = torch.from_numpy(walk())
    with torch.no_grad():
        spans = torch.full((12, 60, 1), 0.37)
        # ncps multiplies spans [n] with [n, hidden]: one stream at a time
        for k in range(3):
            y = theirs(x[k : k + 1], timespans=spans[k : k + 1])[0]
            assert (y - ours(x[k : k + 1])[0]).abs().max() < 1e-5


@pytest.mark.parametrize("mode", cfc.MODES)
def test_steps_equal_the_sequence(mode: str) -> None:
    cell = scrambled(CfC(4, 7, mode=mode, backbone_units=5, backbone_layers=2)).eval()
    x, state = torch.from_numpy(walk()), None
    with torch.no_grad():
        whole = cell(x)[0]
        for t in range(x.shape[1]):
            y, state = cell(x[:, t : t + 1], state)
            assert torch.allclose(y[:, 0], whole[:, t], atol=1e-6)


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("mode", cfc.MODES)
def test_program_follows_the_module(mode: str, layers: int) -> None:
    torch.manual_seed(0)
    cell = CfC(4, 16, mode=mode, backbone_units=13, backbone_layers=layers, time_span=0.8)
    net, x = Net(scrambled(cell), 16), walk()
    program = edgeflow.compress(net, x)
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(y - real).max() < 0.12 * real.std()
    assert np.sqrt(((y - real) ** 2).mean()) < 0.02 * real.std()
    assert max(program.metadata["saturation"].values()) == 0


@pytest.mark.parametrize("mode", cfc.MODES)
def test_ncps_modules_are_compressed(mode: str) -> None:
    ncps = pytest.importorskip("ncps.torch")
    torch.manual_seed(0)
    net, x = Net(scrambled(ncps.CfC(4, 10, proj_size=6, mode=mode, backbone_units=8)), 6), walk()
    program = edgeflow.compress(net, x)
    assert [node.name for node in program.nodes] == ["rnn0", "rnn1", "out"]
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(y - real).max() < 0.12 * real.std()


def test_a_wiring_stays_sparse() -> None:
    """Synapses that a Neural Circuit Policy does not have are zeros in int8, too."""
    ncps = pytest.importorskip("ncps.torch")
    from ncps.wirings import AutoNCP

    torch.manual_seed(0)
    rnn = ncps.CfC(4, AutoNCP(24, 5, sparsity_level=0.6, seed=3))
    net, x = Net(rnn, 5), walk()
    program = edgeflow.compress(net, x)
    assert len(program.nodes) == 4 and program.nodes[2].outputs == 5
    for node, part in zip(program.nodes[:3], from_ncps(rnn), strict=True):
        absent = part.mask[:, : part.inputs].numpy() == 0
        assert absent.any()
        assert not node.input.weight[: 2 * part.hidden][np.tile(absent, (2, 1))].any()
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(y - real).max() < 0.12 * real.std()


@pytest.mark.parametrize("layers", [0, 1])
def test_low_rank_and_sparse_recurrence(layers: int) -> None:
    torch.manual_seed(0)
    cell = CfC(4, 12, backbone_units=12, backbone_layers=layers, rank=3, sparsity=0.5)
    recurrent = cell.products()[0][0][:12, 4:].detach().numpy()
    zero = recurrent == 0
    assert 0.3 < zero.mean() < 0.7
    reader = cell.backbone[0] if layers else cell.ff1
    x_part, p, q = (part.detach() for part in reader.parametrizations.weight.parameters())
    assert p.shape == (12, 3) and q.shape == (3, 12) and x_part.shape == (12, 4)
    assert np.allclose(recurrent[~zero], (p @ q).numpy()[~zero])
    x = torch.from_numpy(walk())
    cell(x)[0].sum().backward()
    assert all(part.grad is not None for part in reader.parametrizations.weight.parameters())
    program = edgeflow.compress(Net(cell, 12), x.numpy())
    assert not program.nodes[0].recurrent.weight[:12][zero].any()


def test_decay_table() -> None:
    v = np.arange(-(1 << 15), 1 << 15)
    real = v / 4096 * np.exp(-np.abs(v / 4096))
    y = fp.lookup("decay", v)
    # an eighth of the second derivative, 2, times the squared step, and rounding
    assert np.abs(y / 32768 - real).max() < 9.8e-4
    assert np.abs(y).max() == 12055


def test_file_keeps_every_kind(tmp_path) -> None:  # type: ignore[no-untyped-def]
    seen = set()
    for seed in range(12):
        program = random_program(seed, 3, [4, 5, 6], 2, 12, 12, cells=["cfc"])
        program.save(tmp_path / "p.onnx")
        assert Program.load(tmp_path / "p.onnx").hash == program.hash
        seen |= {node.operator for node in program.nodes[:-1]}
    assert seen == {"_".join([k, *b]) for k in ("CfC", "PureCfC") for b in BACKBONES}


def refused_by_ncps(**options: object) -> nn.Module:
    ncps = pytest.importorskip("ncps.torch")
    kind = ncps.LTC if options.pop("ltc", False) else ncps.CfC
    return Net(kind(4, 5, **options), 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ltc": True, "ode_unfolds": 13}, r"rnn \(\w+\): 13 solver steps: at most 12"),
        ({"mixed_memory": True}, r"rnn \(\w+\): ncps CfC with mixed_memory"),
        (
            {"activation": "gelu"},
            r"rnn \(\w+\): ncps CfC with the backbone activation GELU.*lecun_tanh",
        ),
        ({"backbone_layers": 4}, r"rnn \(\w+\): 4 backbone layers: at most 3"),
    ],
)
def test_what_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(CompressError, match=message):
        from_module(refused_by_ncps(**options), walk())


class Timed(Net):
    """Time spans of a batch of one come from the first channel, of others from `span`."""

    def __init__(self, rnn: nn.Module, span: float | None, keyword: bool) -> None:
        super().__init__(rnn, 5)
        self.span, self.keyword = span, keyword

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spans = x[:1, :, 0].abs() if self.span is None else torch.full((1, x.shape[1]), self.span)
        h = self.rnn(x, timespans=spans) if self.keyword else self.rnn(x, None, spans)
        return self.out(h[0])


@pytest.mark.parametrize("kind", ["CfC", "LTC"])
@pytest.mark.parametrize("keyword", [True, False])
def test_a_constant_time_span_is_taken_over(kind: str, keyword: bool) -> None:
    ncps = pytest.importorskip("ncps.torch")
    torch.manual_seed(0)
    net, x = Timed(getattr(ncps, kind)(4, 5), 0.3, keyword), walk()
    chain = from_module(net, x)
    assert abs(chain.layers[0][1].time_span - 0.3) < 1e-6
    with torch.no_grad():
        np.testing.assert_allclose(chain.run(x), net(torch.from_numpy(x)).numpy(), atol=1e-4)
        usual = net.out(net.rnn(torch.from_numpy(x))[0]).numpy()
    assert np.abs(chain.run(x) - usual).max() > 0.01


@pytest.mark.parametrize("kind", ["CfC", "LTC"])
@pytest.mark.parametrize("span", [None, 0.0])
def test_other_time_spans_are_refused(kind: str, span: float | None) -> None:
    ncps = pytest.importorskip("ncps.torch")
    net = Timed(getattr(ncps, kind)(4, 5, return_sequences=True), span, True)
    with pytest.raises(CompressError, match=r"rnn \(\w+\): timespans from .*a constant rate"):
        from_module(net, walk())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fast"}, "mode is 'fast': use one of default, no_gate, pure"),
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"backbone_units": 0}, "at least 1 unit"),
        ({"time_span": 0.0}, "time_span is 0.0"),
        ({"sparsity": 1.0}, "sparsity must be"),
        ({"rank": 6}, "rank is 6: it must be at most the 5 units"),
        ({"mask": np.ones((5, 3))}, r"mask must be \[5, 128\]"),
    ],
)
def test_wrong_arguments(options: dict[str, object], message: str) -> None:
    with pytest.raises(TrainError, match=message):
        CfC(4, 5, **options)  # type: ignore[arg-type]


def test_wrong_nodes() -> None:
    rng = np.random.default_rng(0)

    def matrix(rows: int, cols: int, bits: int = 12):  # type: ignore[no-untyped-def]
        return random_matrix(rng, rows, cols, bits, False)

    def node(kind=CfCNode, **change):  # type: ignore[no-untyped-def]
        fields = {
            "name": "c", "input": matrix(6, 3), "recurrent": matrix(6, 5),
            "heads": matrix(15, 6), "gate": 1, "state_bits": 12, "backbone_bits": 12,
        }  # fmt: skip
        return kind(**fields | change)

    assert node().outputs == 5
    for change, message in (
        ({"input": matrix(7, 3)}, "7 rows, the recurrent one 6"),
        ({"heads": matrix(14, 6)}, "need 15 rows of heads, not 14"),
        ({"heads": matrix(15, 7)}, "reads 7 values"),
        ({"backbone_bits": 10}, "of 12 bits, the one before gives 6 of 10"),
        ({"state_bits": 11}, "state width 11"),
        ({"gate": 2}, "gate 2 is not in 0..1"),
        ({"third": matrix(6, 6)}, "a backbone is heads, second and heads.*not third and heads"),
    ):
        with pytest.raises(ProgramError, match=message):
            node(**change)
    pure = {"kind": PureCfC, "heads": matrix(5, 6), "gate": 0}
    arrays = {"offset": np.zeros(5, np.int32), "gain": np.zeros(5, np.int32)}
    assert node(**pure, **arrays).outputs == 5
    with pytest.raises(ProgramError, match="gain must be int32 values in -131072..131072"):
        node(**pure, **arrays | {"gain": np.full(5, -(1 << 17) - 1, np.int32)})
    with pytest.raises(ProgramError, match="offset must have 5 values"):
        node(**pure, **arrays | {"offset": np.zeros(4, np.int32)})
