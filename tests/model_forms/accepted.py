"""Forms that every door takes."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.model_forms.form import (
    CHANNELS,
    CLASSES,
    HIDDEN,
    Form,
    Made,
    gru,
    head,
    net,
    zeros,
)

ReluRNN = functools.partial(nn.RNN, nonlinearity="relu")
CALLED_ON_SAMPLES = "the module is called on samples alone: a default for the state"
MEAN, STD = torch.tensor([0.5, -1.0, 0.2]), torch.tensor([2.0, 0.7, 1.5])


def last(m: Made, x: Tensor) -> Tensor:
    return m.out(m.rnn(x)[0][:, -1])


def every(m: Made, x: Tensor) -> Tensor:
    return m.out(m.rnn(x)[0])


class Select(nn.Module):
    """A recurrent layer's output at the last step, as people put into nn.Sequential."""

    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        return pair[0][:, -1]


class First(nn.Module):
    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        return pair[0]


class Permute(nn.Module):
    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(*self.order)


def normed(size: int = HIDDEN) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(size)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.3, 2.0)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def layer_norm(size: int = HIDDEN) -> nn.LayerNorm:
    norm = nn.LayerNorm(size)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def convolved(m: Made, x: Tensor) -> Tensor:
    return m.out(m.rnn(m.conv(F.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2))[0][:, -1])


def cut(m: Made, x: Tensor) -> Tensor:
    return m.out(m.rnn(torch.relu(m.conv(x.transpose(1, 2))[:, :, :-2]).transpose(1, 2))[0][:, -1])


def tied() -> Made:
    """Two layers that share the weights of their states."""
    made = net(lambda m, x: m.out(m.two(m.rnn(m.first(x))[0])[0][:, -1]), rnn=gru(HIDDEN),
               two=gru(HIDDEN), first=nn.Linear(CHANNELS, HIDDEN))  # fmt: skip
    made.two.weight_hh_l0 = made.rnn.weight_hh_l0
    return made


def branched(m: Made, x: Tensor) -> Tensor:
    return last(m, x) if x.abs().sum() > 0 else -last(m, x)


def halved() -> Made:
    """Trained in half precision; read as float32, so that it runs."""
    return net(last).half().float()  # type: ignore[return-value]


def probabilities(y: Tensor) -> Tensor:
    return y.softmax(-1)


def two_classes(y: Tensor) -> Tensor:
    """The log odds of two outputs."""
    return y[..., 1:] - y[..., :1]


def two_heads(m: Made, x: Tensor) -> tuple[Tensor, Tensor]:
    h = m.rnn(x)[0][:, -1]
    return m.out(h), m.other(h)


def as_dict(m: Made, x: Tensor) -> dict[str, Tensor]:
    h = m.rnn(x)[0][:, -1]
    return {"logits": m.out(h), "other": m.other(h)}


ACCEPTED = [
    # recurrent layers, and what of them is read
    Form("gru, every step", lambda: net(every)),
    Form("gru, last step", lambda: net(last)),
    Form("lstm", lambda: net(last, rnn=gru(kind=nn.LSTM))),
    Form("rnn tanh", lambda: net(last, rnn=gru(kind=nn.RNN))),
    Form("rnn relu", lambda: net(every, rnn=gru(kind=ReluRNN))),
    Form("stacked, with dropout", lambda: net(last, rnn=gru(num_layers=2, dropout=0.4))),
    Form("stacked lstm, its last state",
         lambda: net(lambda m, x: m.out(m.rnn(x)[1][0][-1]), rnn=gru(kind=nn.LSTM, num_layers=2))),
    # neither exporter to ONNX writes a projection that onnxruntime can run
    Form("lstm with proj_size", lambda: net(every, rnn=gru(kind=nn.LSTM, proj_size=3), out=head(3)),
         doors="module pt2", why="exporters to ONNX do not write it"),
    Form("stacked lstm with proj_size and no bias",
         lambda: net(lambda m, x: m.out(m.rnn(x)[1][0][-1]), out=head(3),
                     rnn=gru(kind=nn.LSTM, proj_size=3, num_layers=2, bias=False)),
         doors="module pt2", why="exporters to ONNX do not write it"),
    Form("no bias", lambda: net(last, rnn=gru(bias=False), out=nn.Linear(HIDDEN, CLASSES, False))),
    Form("h_n[-1]", lambda: net(lambda m, x: m.out(m.rnn(x)[1][-1]))),
    Form("h_n.squeeze(0)", lambda: net(lambda m, x: m.out(m.rnn(x)[1].squeeze(0)))),
    Form("state returned beside", lambda: net(lambda m, x: (lambda h: (m.out(h[0]), h[1]))(m.rnn(x))),
         output=lambda y: y[0]),
    Form("without a head", lambda: net(lambda m, x: m.rnn(x)[0], out=None)),
    Form("gru after gru of another size",
         lambda: net(lambda m, x: m.out(m.two(m.rnn(x)[0])[0][:, -1]), two=gru(HIDDEN, 7),
                     out=head(7))),
    Form("gru after lstm",
         lambda: net(lambda m, x: m.out(m.two(m.rnn(x)[0])[0]), rnn=gru(kind=nn.LSTM),
                     two=gru(HIDDEN))),
    Form("tied weights", tied),
    Form("one layer called twice", lambda: net(lambda m, x: m.out(m.rnn(m.rnn(x)[0])[0]),
                                               rnn=gru(size=CHANNELS), out=head(CHANNELS))),
    # an exporter refuses what the samples decide
    Form("control flow by the samples", lambda: net(branched), notes="decides", doors="module",
         why="exporters refuse it"),
    # time first
    Form("time first inside, transpose",
         lambda: net(lambda m, x: m.out(m.rnn(x.transpose(0, 1))[0][-1]),
                     rnn=gru(batch_first=False))),
    Form("time first inside, permute and back",
         lambda: net(lambda m, x: m.out(m.rnn(x.permute(1, 0, 2))[0]).permute(1, 0, 2),
                     rnn=gru(batch_first=False))),
    Form("time first outside", lambda: net(every, rnn=gru(batch_first=False)),
         arguments=lambda x: (x.transpose(0, 1),), output=lambda y: y.transpose(0, 1),
         notes=r"\[time, n, channels\]"),
    # first states of zeros
    Form("zeros given as first state",
         lambda: net(lambda m, x: m.out(m.rnn(x, x.new_zeros(1, x.shape[0], HIDDEN))[0]))),
    Form("zeros given as first states of an lstm",
         lambda: net(lambda m, x: m.out(m.rnn(x, (torch.zeros(1, x.shape[0], HIDDEN),
                                                  torch.zeros(1, x.shape[0], HIDDEN)))[0]),
                     rnn=gru(kind=nn.LSTM))),
    # first states that are learned
    Form("learned first state",
         lambda: net(lambda m, x: m.out(m.rnn(x, m.h0.expand(1, x.shape[0], HIDDEN).contiguous())[0]),
                     h0=nn.Parameter(torch.randn(1, 1, HIDDEN)))),
    Form("learned first states of a stacked lstm",
         lambda: net(lambda m, x: m.out(m.rnn(x, (m.h0.repeat(1, x.shape[0], 1),
                                                  m.c0.repeat(1, x.shape[0], 1)))[1][0][-1]),
                     rnn=gru(kind=nn.LSTM, num_layers=2), h0=nn.Parameter(torch.randn(2, 1, HIDDEN)),
                     c0=nn.Parameter(torch.randn(2, 1, HIDDEN)))),
    Form("learned first state of an rnn, at the last step",
         lambda: net(lambda m, x: m.out(m.rnn(x, m.h0[:, None].expand(-1, x.shape[0], -1).contiguous()
                                                )[0][:, -1]),
                     rnn=gru(kind=nn.RNN), h0=nn.Parameter(torch.randn(1, HIDDEN)))),
    Form("constant first state",
         lambda: net(lambda m, x: m.out(m.rnn(x, torch.full((1, x.shape[0], HIDDEN), 0.5))[0]))),
    Form("state as input", lambda: net(lambda m, x, h: (lambda r: (m.out(r[0]), r[1]))(m.rnn(x, h))),
         arguments=lambda x: (x, zeros(x)), output=lambda y: y[0],
         other=(("module", "forward"),), why=CALLED_ON_SAMPLES),
    Form("state as first input",
         lambda: net(lambda m, h, x: (lambda r: (m.out(r[0]), r[1]))(m.rnn(x, h))),
         arguments=lambda x: (zeros(x), x), output=lambda y: y[0],
         other=(("module", "forward"),), why=CALLED_ON_SAMPLES),
    Form("state as first output",
         lambda: net(lambda m, x, h: (lambda r: (r[1], m.out(r[0][:, -1])))(m.rnn(x, h))),
         arguments=lambda x: (x, zeros(x)), output=lambda y: y[1],
         other=(("module", "forward"),), why=CALLED_ON_SAMPLES),
    # activations between layers
    Form("shared nn.ReLU",
         lambda: net(lambda m, x: m.out(m.act(m.mid(m.act(m.rnn(x)[0][:, -1])))), act=nn.ReLU(),
                     mid=nn.Linear(HIDDEN, 6), out=head(6))),
    Form("F.relu", lambda: net(lambda m, x: m.out(F.relu(m.rnn(x)[0])))),
    Form("torch.relu", lambda: net(lambda m, x: m.out(torch.relu(m.mid(m.rnn(x)[0][:, -1]))),
                                   mid=nn.Linear(HIDDEN, HIDDEN))),
    Form(".relu()", lambda: net(lambda m, x: m.out(m.rnn(x)[0][:, -1].relu()))),
    Form("linear, relu, linear head",
         lambda: net(last, out=nn.Sequential(nn.Linear(HIDDEN, 6), nn.ReLU(), nn.Dropout(0.3),
                                             nn.Linear(6, CLASSES)))),
    # modules around
    Form("nn.Sequential with a selecting module",
         lambda: nn.Sequential(gru(), Select(), nn.Dropout(0.5), head())),
    Form("nn.Sequential with permuting modules",
         lambda: nn.Sequential(Permute(1, 0, 2), gru(batch_first=False), First(), Permute(1, 0, 2),
                               head())),
    Form("linear front", lambda: nn.Sequential(nn.Linear(CHANNELS, 6), gru(6), Select(), head())),
    Form("linear and relu front",
         lambda: nn.Sequential(nn.Linear(CHANNELS, 6), nn.ReLU(), gru(6), First(), head())),
    # normalisation
    Form("layer norm between", lambda: net(lambda m, x: m.out(m.norm(m.rnn(x)[0][:, -1])),
                                           norm=layer_norm())),
    Form("layer norm at every step", lambda: net(lambda m, x: m.out(m.norm(m.rnn(x)[0])),
                                                 norm=layer_norm())),
    Form("batch norm after linear",
         lambda: net(last, out=nn.Sequential(nn.Linear(HIDDEN, 6), normed(6), nn.ReLU(),
                                             nn.Linear(6, CLASSES)))),
    Form("batch norm before linear", lambda: net(last, out=nn.Sequential(normed(), head()))),
    Form("batch norm over [n, channels, time]",
         lambda: net(lambda m, x: m.out(m.norm(m.rnn(x)[0].permute(0, 2, 1)).permute(0, 2, 1)),
                     norm=normed())),
    Form("batch norm of the input",
         lambda: net(lambda m, x: m.out(m.rnn(m.norm(x.transpose(1, 2)).transpose(1, 2))[0][:, -1]), norm=normed(CHANNELS))),
    Form("buffers mu and sigma",
         lambda: net(lambda m, x: last(m, (x - m.mu) / m.sigma), mu=MEAN, sigma=STD)),
    Form("buffers of [1, 1, channels]",
         lambda: net(lambda m, x: last(m, (x - m.mean) / m.std), mean=MEAN.view(1, 1, -1),
                     std=STD.view(1, 1, -1))),
    Form("buffers mean and std that are not used",
         lambda: net(last, mean=MEAN + 5, std=STD)),
    Form("scalar constants", lambda: net(lambda m, x: last(m, (x - 0.4) / 1.7))),
    Form("multiplied by a vector", lambda: net(lambda m, x: last(m, x * m.gain), gain=1 / STD)),
    Form("scaled output", lambda: net(lambda m, x: 10 * last(m, x) - 1)),
    # convolutions
    Form("conv front, padded on the left",
         lambda: net(convolved, conv=nn.Conv1d(CHANNELS, 6, 3), rnn=gru(6))),
    Form("conv front, padded and cut, relu",
         lambda: net(cut, conv=nn.Conv1d(CHANNELS, 6, 3, padding=2), rnn=gru(6))),
    Form("conv front, time first inside",
         lambda: net(lambda m, x: m.out(m.rnn(m.conv(x.transpose(1, 2)).permute(2, 0, 1))[0][-1]),
                     conv=nn.Conv1d(CHANNELS, 6, 1), rnn=gru(6, batch_first=False))),
    Form("conv of one tap",
         lambda: net(lambda m, x: m.out(m.rnn(m.conv(x.transpose(1, 2)).transpose(1, 2))[0]),
                     conv=nn.Conv1d(CHANNELS, 6, 1), rnn=gru(6))),
    # ends
    Form("mean of outputs over time", lambda: net(lambda m, x: every(m, x).mean(1))),
    Form("maximum over time", lambda: net(lambda m, x: m.out(m.rnn(x)[0].max(1).values))),
    Form("amax over time", lambda: net(lambda m, x: m.out(m.rnn(x)[0].amax(dim=1)))),
    Form("mean of states over time", lambda: net(lambda m, x: m.out(m.rnn(x)[0].mean(dim=1)))),
    Form("softmax", lambda: net(lambda m, x: last(m, x).softmax(-1)), chain=probabilities,
         notes="softmax"),
    Form("nn.LogSoftmax", lambda: net(last, out=nn.Sequential(head(), nn.LogSoftmax(-1))),
         chain=lambda y: y.log_softmax(-1), notes="softmax"),
    Form("sigmoid of many outputs", lambda: net(lambda m, x: last(m, x).sigmoid()),
         chain=torch.sigmoid, notes="sigmoid"),
    Form("one logit for two classes", lambda: net(last, out=head(outputs=1)),
         classes=("no", "yes"), chain=two_classes, notes="one|two"),
    Form("sigmoid of one logit", lambda: net(lambda m, x: last(m, x).sigmoid(), out=head(outputs=1)),
         classes=("no", "yes"), chain=lambda y: two_classes(y).sigmoid(), notes="sigmoid|one|two"),
    # branches
    Form("residual", lambda: net(lambda m, x: m.out(m.two(m.rnn(x)[0])[0] + m.rnn(x)[0]),
                                 two=gru(HIDDEN))),
    Form("skip around the recurrent layer",
         lambda: net(lambda m, x: m.out(m.rnn(m.first(x))[0] + m.first(x)),
                     first=nn.Linear(CHANNELS, HIDDEN), rnn=gru(HIDDEN))),
    Form("states and samples joined",
         lambda: net(lambda m, x: m.out(torch.cat([m.rnn(x)[1][-1], x[:, -1]], 1)),
                     out=head(HIDDEN + CHANNELS))),
    Form("first state of a stack", lambda: net(lambda m, x: m.out(m.rnn(x)[1][0]),
                                               rnn=gru(num_layers=2))),
    Form("product of branches", lambda: net(lambda m, x: m.out(m.rnn(x)[0] * (m.side(x) - 1)),
                                            side=head(CHANNELS, HIDDEN))),
    Form("two heads", lambda: net(two_heads, other=head(outputs=2)),
         output=lambda y: torch.cat(y, -1), notes="side by side"),
    Form("a dict of two", lambda: net(as_dict, other=head(outputs=2)),
         output=lambda y: torch.cat([*y.values()], -1), notes="side by side"),
    # precision
    Form("float64", lambda: net(last).double(), arguments=lambda x: (x.double(),), notes="float64"),
    Form("weights that were half", halved),
]  # fmt: skip
