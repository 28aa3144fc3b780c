"""Loops over time: cells that are called step by step, and models of one step."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.model_forms.accepted import CALLED_ON_SAMPLES
from tests.model_forms.form import CHANNELS, CLASSES, HIDDEN, Form, Made, gru, head, net


def cell(kind: Any = nn.GRUCell, inputs: int = CHANNELS, **options: Any) -> Any:
    return kind(inputs, HIDDEN, **options)


def start(x: Tensor) -> Tensor:
    return x.new_zeros(x.shape[0], HIDDEN)


def stepped(m: Made, x: Tensor) -> Tensor:
    h = start(x)
    for step in range(x.shape[1]):
        h = m.rnn(x[:, step], h)
    return m.out(h)


def stepped_lstm(m: Made, x: Tensor) -> Tensor:
    h = c = start(x)
    for step in range(x.shape[1]):
        h, c = m.rnn(x[:, step], (h, c))
    return m.out(h)


def started(m: Made, x: Tensor) -> Tensor:
    """From a learned state."""
    h = m.h0.expand(x.shape[0], HIDDEN)
    for step in range(x.shape[1]):
        h = m.rnn(x[:, step], h)
    return m.out(h)


def scored(m: Made, x: Tensor) -> Tensor:
    """The head inside of the loop, over the steps themselves, from no state."""
    h, scores = None, []
    for sample in x.transpose(0, 1):
        h = m.rnn(sample, h)
        scores.append(m.out(h))
    return torch.stack(scores, 1)


def stacked(m: Made, x: Tensor) -> Tensor:
    """Two cells of a step, a layer before them and one beside."""
    one = two = None
    states = []
    for step in range(x.shape[1]):
        one = m.rnn(torch.relu(m.first(x[:, step])), one)
        two = m.two(one[0], two)
        states.append(two[0].unsqueeze(1))
    return m.out(torch.cat(states, 1) + m.first(x))


def time_first(m: Made, x: Tensor) -> Tensor:
    h, states = x.new_zeros(x.shape[1], HIDDEN), []
    for sample in x:
        h = m.rnn(sample, h)
        states.append(h)
    return m.out(torch.stack(states))


def beside(m: Made, x: Tensor) -> Tensor:
    """The samples beside the states, at each step."""
    h, y = start(x), x
    for sample in x.unbind(1):
        h = m.rnn(sample, h)
        y = m.out(torch.cat([h, sample], 1))
    return y


def fed_back(m: Made, x: Tensor) -> Tensor:
    h, y = start(x), x.new_zeros(x.shape[0], CLASSES)
    for step in range(x.shape[1]):
        h = m.rnn(torch.cat([x[:, step], y], -1), h)
        y = m.out(h)
    return y


def backwards(m: Made, x: Tensor) -> Tensor:
    h = start(x)
    for step in reversed(range(x.shape[1])):
        h = m.rnn(x[:, step], h)
    return m.out(h)


def one_step(m: Made, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    h = m.rnn(x, h)
    return m.out(h), h


def one_lstm_step(m: Made, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    h, c = m.rnn(x, (h, c))
    return m.out(h), h, c


def one_of_a_stack(m: Made, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    y, (h, c) = m.rnn(x[:, None], (h, c))
    return m.out(y[:, 0]), h, c


def first_of(*shape: int) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Return the arguments of one step: a sample, and as many states of zeros."""
    count, layers = shape

    def arguments(x: Tensor) -> tuple[Tensor, ...]:
        state = start(x) if not layers else start(x).expand(layers, -1, -1).contiguous()
        # of their own each: exporters take the same tensor as one input
        return (x[:, 0].contiguous(), *(state.clone() for _ in range(count)))

    return arguments


def streaming(name: str, compute: Any, arguments: Any, **parts: Any) -> Form:
    return Form(name, lambda: net(compute, **{k: part() for k, part in parts.items()}),
                arguments=arguments, alone=True, other=(("module", "forward"),),
                why=CALLED_ON_SAMPLES)  # fmt: skip


LOOPS = [
    Form("nn.GRUCell in a loop", lambda: net(stepped, rnn=cell())),
    Form("nn.GRUCell in a loop, from a learned state",
         lambda: net(started, rnn=cell(), h0=nn.Parameter(torch.randn(HIDDEN)))),
    Form("nn.LSTMCell in a loop", lambda: net(stepped_lstm, rnn=cell(nn.LSTMCell))),
    Form("nn.RNNCell in a loop, head inside", lambda: net(scored, rnn=cell(nn.RNNCell))),
    Form("nn.RNNCell of relu without bias",
         lambda: net(scored, rnn=cell(nn.RNNCell, bias=False, nonlinearity="relu"))),
    Form("nn.GRUCell without bias", lambda: net(scored, rnn=cell(bias=False))),
    Form("two nn.LSTMCell in a loop, layers around",
         lambda: net(stacked, rnn=cell(nn.LSTMCell, HIDDEN), two=cell(nn.LSTMCell, HIDDEN),
                     first=nn.Linear(CHANNELS, HIDDEN))),
    Form("nn.GRUCell over [time, n, channels]", lambda: net(time_first, rnn=cell()),
         arguments=lambda x: (x.transpose(0, 1),), output=lambda y: y.transpose(0, 1),
         notes=r"\[time, n, channels\]"),
    Form("states and samples joined in a loop",
         lambda: net(beside, rnn=cell(), out=head(HIDDEN + CHANNELS))),
    Form("outputs fed back into a loop", lambda: net(fed_back, rnn=cell(inputs=CHANNELS + CLASSES)),
         "beside the state", why="steps read the samples and their state"),
    Form("nn.GRUCell backwards", lambda: net(backwards, rnn=cell()), "more than its layers",
         why="needs the future"),
    streaming("one step of nn.GRUCell", one_step, first_of(1, 0), rnn=cell),
    streaming("one step of nn.LSTMCell", one_lstm_step, first_of(2, 0),
              rnn=lambda: cell(nn.LSTMCell)),
    streaming("one step of a stack", one_of_a_stack, first_of(2, 2),
              rnn=lambda: gru(kind=nn.LSTM, num_layers=2)),
]  # fmt: skip
