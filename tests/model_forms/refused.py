"""Forms that no door takes, and words of the refusal."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from tests.model_forms.accepted import every, last
from tests.model_forms.form import CHANNELS, CLASSES, HIDDEN, STEPS, Form, Made, gru, head, net


def two_scores(m: Made, x: Tensor) -> Tensor:
    h = m.rnn(x)[0]
    w = torch.softmax(m.score(h), 1)
    return m.out(torch.cat([(w[..., :1] * h).sum(1), (w * m.two(h)).sum(1)], -1))


def attended(m: Made, x: Tensor) -> Tensor:
    h = m.rnn(x)[0]
    return m.out(m.attention(h, h, h)[0][:, -1])


def joined(m: Made, x: Tensor) -> Tensor:
    _, (h, c) = m.rnn(x)
    return m.out(torch.cat([h[-1], c[-1]], 1))


def magnitude(m: Made, x: Tensor) -> Tensor:
    return last(m, torch.cat([x, x.square().sum(-1, keepdim=True).sqrt()], -1))


def checked(m: Made, x: Tensor) -> Tensor:
    assert x.ndim == 2, "two axes"
    return last(m, x)


def packed(m: Made, x: Tensor, lengths: Tensor) -> Tensor:
    return m.out(m.rnn(pack_padded_sequence(x, lengths, batch_first=True))[1][-1])


def bidirectional(**options: Any) -> Made:
    return net(every, rnn=gru(bidirectional=True, **options), out=head(2 * HIDDEN))


def lengths(x: Tensor) -> tuple[Tensor, Tensor]:
    return x, torch.full((len(x),), STEPS, dtype=torch.int64)


#: For the table in ``docs/import.md``: the reason, or what to use instead.
WHY = {
    "bidirectional": "needs the future: a forward layer",
    "random first state": "a stream starts from one state",
    "first state from the samples": "a stream starts from one state",
    "gain as input": "has no value in the file: a constant of the model",
    "features beside the samples": "further channels of the samples",
    "lengths as input": "plain tensors, windows of one length",
    "index by lengths": "plain tensors, windows of one length",
    "clamp": "clip the data before the model",
    "softmax over time": "weighs the whole window: the last step, or the mean",
    "softmax between": "ReLU, GELU, SiLU, tanh or sigmoid",
    "magnitude channel, written out": "torch.linalg.vector_norm",
    "difference of samples": "a channel of the data",
    "attention pooling of two scores": "one score a step",
    "nn.MultiheadAttention": "weighs the whole window: a recurrent layer",
    "places of the largest": "its value",
    "last states joined": "the output, not the cell state",
    "cell state read": "the output, not the cell state",
    "flattened window": "the last step",
    "another step than the last": "the last step",
    "reversed time": "needs the future",
    "embedding": "one-hot channels into a linear layer",
    "conv that reads the future": "zeros on the left",
    "assert in forward": "fails on the samples",
    "scripted": "the nn.Module that it was made from",
    "wrong number of channels": "as many channels as the data have",
    "no layer at all": "nothing to compress",
    "weights that are not finite": "train it again",
}

_FORMS = [
    Form("bidirectional", bidirectional, "future|bidirectional"),
    # first states
    Form("random first state",
         lambda: net(lambda m, x: m.out(m.rnn(x, torch.randn(1, x.shape[0], HIDDEN))[0])),
         "state|random"),
    Form("first state from the samples",
         lambda: net(lambda m, x: m.out(m.rnn(x, m.first(x[:, 0])[None])[0]),
                     first=nn.Linear(CHANNELS, HIDDEN)), "state"),
    # inputs that are no states
    Form("gain as input", lambda: net(lambda m, x, gain: last(m, x * gain)), "input",
         arguments=lambda x: (x, torch.ones(1)), other=(("module", "forward"),)),
    Form("features beside the samples",
         lambda: net(lambda m, x, z: m.out(torch.cat([m.rnn(x)[0][:, -1], z], 1)),
                     out=head(HIDDEN + 2)), "input",
         arguments=lambda x: (x, torch.ones(len(x), 2)), other=(("module", "forward"),)),
    Form("lengths as input", lambda: net(packed), "input|pack|length", arguments=lengths,
         other=(("module", "forward"),), doors="module"),
    Form("index by lengths",
         lambda: net(lambda m, x, n: m.out(m.rnn(x)[0][torch.arange(x.shape[0]), n - 1])), "input",
         arguments=lengths, other=(("module", "forward"),)),
    # steps that no integer layer has
    Form("clamp", lambda: net(lambda m, x: last(m, x.clamp(-1, 1))), "clamp|[Cc]lip"),
    Form("softmax over time", lambda: net(lambda m, x: every(m, x).softmax(1)), "softmax|Softmax"),
    Form("softmax between", lambda: net(lambda m, x: m.out(m.rnn(x)[0].softmax(-1))),
         "softmax|Softmax"),
    Form("magnitude channel, written out", lambda: net(magnitude, rnn=gru(CHANNELS + 1)),
         "square|[Pp]ow|[Cc]at|[Ss]quare|Concat|ReduceSum|Mul"),
    Form("difference of samples",
         lambda: net(lambda m, x: last(m, x[:, 1:] - x[:, :-1])), "two|differ|joins"),
    Form("attention pooling of two scores",
         lambda: net(two_scores, score=nn.Linear(HIDDEN, 2), two=nn.Linear(HIDDEN, 2),
                     out=head(HIDDEN + 2)), "one"),
    Form("nn.MultiheadAttention",
         lambda: net(attended, attention=nn.MultiheadAttention(HIDDEN, 1, batch_first=True)),
         "attention"),
    Form("places of the largest", lambda: net(lambda m, x: m.out(m.rnn(x)[0].max(1)[1].float())),
         "largest|ArgMax|Cast|_to_copy"),
    Form("last states joined", lambda: net(joined, rnn=gru(kind=nn.LSTM), out=head(2 * HIDDEN)),
         "cell state|two|[Cc]at"),
    Form("cell state read", lambda: net(lambda m, x: m.out(m.rnn(x)[1][1][-1]),
                                        rnn=gru(kind=nn.LSTM)), "cell state"),
    Form("flattened window", lambda: net(lambda m, x: m.out(m.rnn(x)[0].flatten(1)),
                                         out=head(HIDDEN * STEPS)), "step"),
    Form("another step than the last", lambda: net(lambda m, x: m.out(m.rnn(x)[0][:, 7])), "step|differ"),
    Form("reversed time", lambda: net(lambda m, x: last(m, x.flip(1))), "flip|[Rr]everse|[Ss]lice"),
    Form("embedding", lambda: Made(lambda m, x: m.out(m.rnn(m.table(x.long()[..., 0]))[0]),
                                   table=nn.Embedding(9, 4), rnn=gru(4), out=head()),
         "[Ee]mbedding|long|Gather|Cast|[Ss]elect|index", arguments=lambda x: (x.abs(),)),
    Form("conv that reads the future",
         lambda: net(lambda m, x: m.out(m.rnn(m.conv(x.transpose(1, 2)).transpose(1, 2))[0]),
                     conv=nn.Conv1d(CHANNELS, 6, 3, padding=1), rnn=gru(6)), "future"),
    # what no graph has
    Form("assert in forward", lambda: net(checked), "two axes", doors="module"),
    Form("scripted", lambda: torch.jit.script(nn.Sequential(head(CHANNELS), head(CLASSES))),
         "jit", doors="module"),
    Form("wrong number of channels", lambda: net(last, rnn=gru(CHANNELS + 1)), "4.*3|3.*4",
         arguments=lambda x: (torch.cat([x, x[..., :1]], -1),)),
    Form("no layer at all", lambda: Made(lambda m, x: x * m.gain, gain=torch.ones(CHANNELS)),
         "no layer|no recurrent"),
    Form("weights that are not finite", lambda: spoiled(), "NaN|finite"),
]  # fmt: skip


def spoiled() -> Made:
    made = net(last)
    made.out.weight.data[0, 0] = torch.nan
    return made


REFUSED = [replace(form, why=WHY[form.name]) for form in _FORMS]
