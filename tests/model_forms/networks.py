"""Whole networks: residual and gated ones, temporal convolutions, attention, several heads."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.model_forms.accepted import last, normed
from tests.model_forms.form import CHANNELS, CLASSES, HIDDEN, STEPS, Form, Made, gru, head, net

WIDE = 6
#: Samples of a step, where it has several.
SIDE = 4


def residual_heads(m: Made, x: Tensor) -> tuple[Tensor, Tensor]:
    h = m.rnn(m.first(x))[0]
    h = h + m.two(h)[0]
    return m.out(h[:, -1]), m.other(h[:, -1])


def attention_pooled(m: Made, x: Tensor) -> Tensor:
    """Yang et al. 2016: scores by a small network, of the outputs of a recurrent layer."""
    h = m.rnn(x)[0]
    w = F.softmax(m.score(h), dim=1)
    return m.out((w * h).sum(dim=1))


def attention_multiplied(m: Made, x: Tensor) -> tuple[Tensor, Tensor]:
    """Weights as a matrix, by a learned vector, and returned beside."""
    h = m.rnn(x)[0]
    w = torch.softmax((torch.tanh(m.mid(h)) @ m.query) / HIDDEN**0.5, dim=-1)
    return m.out(torch.bmm(w.unsqueeze(1), h).squeeze(1)), w


def side_by_side(outputs: tuple[Tensor, ...]) -> Tensor:
    return torch.cat(outputs, -1)


def causal(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """Return a convolution of [n, channels, time] with zeros on the left."""
    return conv(F.pad(x, ((conv.kernel_size[0] - 1) * conv.dilation[0], 0)))


def tcn(m: Made, x: Tensor) -> Tensor:
    """Bai et al. 2018, with one convolution a block."""
    h = torch.relu(causal(m.conv1, x.transpose(1, 2)))
    h = h + torch.relu(causal(m.conv2, h))
    h = h + torch.relu(causal(m.conv4, h))
    return m.out(h[:, :, -1])


def wavenet(m: Made, x: Tensor) -> Tensor:
    """A gated block of van den Oord et al. 2016."""
    h = m.conv1(x.transpose(1, 2))
    h = h + torch.tanh(causal(m.conv2, h)) * torch.sigmoid(causal(m.conv4, h))
    return m.out(h.transpose(1, 2))


def blocks() -> dict[str, nn.Module]:
    return {
        "conv1": nn.Conv1d(CHANNELS, WIDE, 1),
        "conv2": nn.Conv1d(WIDE, WIDE, 3, dilation=2),
        "conv4": nn.Conv1d(WIDE, WIDE, 3, dilation=4),
        "out": head(WIDE),
    }


def pooled(m: Made, x: Tensor) -> Tensor:
    h = m.pool(torch.relu(m.norm(m.conv(x.transpose(1, 2)))))
    return m.out(m.rnn(h.transpose(1, 2))[0][:, -1])


NETWORKS = [
    Form("residual gru of two layers, two heads",
         lambda: net(residual_heads, first=nn.Linear(CHANNELS, HIDDEN), rnn=gru(HIDDEN),
                     two=gru(HIDDEN), other=head(outputs=2)),
         output=side_by_side, notes="side by side"),
    Form("gru, residual, layer norm",
         lambda: net(lambda m, x: m.out(m.norm(m.rnn(m.first(x))[0] + m.first(x))),
                     first=nn.Linear(CHANNELS, HIDDEN), rnn=gru(HIDDEN), norm=nn.LayerNorm(HIDDEN))),
    Form("last states of two layers joined",
         lambda: net(lambda m, x: m.out(torch.cat([m.rnn(x)[0][:, -1], m.two(x)[1][-1]], 1)),
                     two=gru(CHANNELS, 7), out=head(HIDDEN + 7))),
    Form("gru and lstm side by side",
         lambda: net(lambda m, x: m.out(torch.cat((m.rnn(x)[0], m.two(x)[0]), dim=-1)),
                     two=gru(kind=nn.LSTM), out=head(2 * HIDDEN))),
    Form("temporal convolutions, dilated, residual", lambda: net(tcn, rnn=None, **blocks())),
    Form("gated convolutions, residual", lambda: net(wavenet, rnn=None, **blocks())),
    Form("gate of a linear layer",
         lambda: net(lambda m, x: m.out(m.rnn(x)[0] * torch.sigmoid(m.side(x))),
                     side=head(CHANNELS, HIDDEN))),
    Form("head of three layers with dropout",
         lambda: net(last, out=nn.Sequential(
             nn.Linear(HIDDEN, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 8), nn.Tanh(),
             nn.Dropout(0.2), nn.Linear(8, CLASSES)))),
    Form("batch norm, relu between recurrent layers",
         lambda: net(lambda m, x: m.out(m.two(torch.relu(m.norm(m.mid(m.rnn(x)[0]).transpose(1, 2))
                                                         ).transpose(1, 2))[0][:, -1]),
                     mid=nn.Linear(HIDDEN, 6), norm=normed(6), two=gru(6))),
    Form("gated linear unit by chunk",
         lambda: net(lambda m, x: (lambda a, b: m.out(a * torch.sigmoid(b)))(
             *m.side(m.rnn(x)[0]).chunk(2, -1)), side=head(HIDDEN, 2 * HIDDEN))),
    Form("F.glu",
         lambda: net(lambda m, x: m.out(F.glu(m.side(m.rnn(x)[0]), -1)),
                     side=head(HIDDEN, 2 * HIDDEN))),
    Form("split of a recurrent layer's outputs",
         lambda: net(lambda m, x: (lambda a, b: m.out(torch.cat([torch.relu(b), a], -1)))(
             *m.rnn(x)[0][:, -1].split([2, 3], 1)))),
    Form("some channels past the recurrent layer",
         lambda: net(lambda m, x: m.out(torch.cat([m.rnn(x[..., :2])[0][:, -1], x[:, -1, 2:]], 1)),
                     rnn=gru(2), out=head(HIDDEN + 1))),
    Form("channels by narrow, in a convolution's order",
         lambda: net(lambda m, x: m.out(torch.cat([
             m.rnn(m.conv(x.transpose(1, 2))[:, 1:4].transpose(1, 2))[0],
             x.narrow(-1, 0, 1)], -1)),
                     conv=nn.Conv1d(CHANNELS, WIDE, 1), rnn=gru(3), out=head(HIDDEN + 1))),
    Form("two branches of channels",
         lambda: net(lambda m, x: (lambda a, b: m.out(torch.cat([m.rnn(a)[1][-1], m.two(b)[1][-1]],
                                                               -1)))(*x.split([2, 1], -1)),
                     rnn=gru(2), two=gru(1), out=head(2 * HIDDEN))),
    Form("magnitude channel",
         lambda: net(lambda m, x: last(m, torch.cat(
             [x, torch.linalg.vector_norm(x[..., :2], dim=-1, keepdim=True)], -1)),
                     rnn=gru(CHANNELS + 1))),
    Form("magnitude channel, written out",
         lambda: net(lambda m, x: last(m, torch.cat(
             [x, x.square().sum(-1, keepdim=True).sqrt()], -1)), rnn=gru(CHANNELS + 1))),
    Form("magnitude by powers, of some channels",
         lambda: net(lambda m, x: last(m, torch.cat(
             [x, (x[..., :2].pow(2).sum(-1) ** 0.5).unsqueeze(-1)], -1)), rnn=gru(CHANNELS + 1))),
    Form("magnitude by products, and nothing else",
         lambda: net(lambda m, x: last(m, torch.sqrt((x * x).sum(dim=2, keepdim=True))),
                     rnn=gru(1))),
    Form("magnitude by torch.norm",
         lambda: net(lambda m, x: last(m, torch.norm(x, dim=-1, keepdim=True)), rnn=gru(1))),
    Form("magnitude of all channels, normalised",
         lambda: net(lambda m, x: last(m, (torch.cat([x, x.norm(dim=-1)[..., None]], -1) - 0.5) / 2),
                     rnn=gru(CHANNELS + 1))),
    Form("attention pooling",
         lambda: net(attention_pooled,
                     score=nn.Sequential(nn.Linear(HIDDEN, 4), nn.Tanh(), nn.Linear(4, 1)))),
    Form("attention pooling by a matrix, its weights returned, too",
         lambda: net(attention_multiplied, mid=nn.Linear(HIDDEN, 6),
                     query=nn.Parameter(torch.randn(6))),
         output=lambda y: y[0], notes="inside of the model"),
    Form("attention pooling behind a strided convolution",
         lambda: net(lambda m, x: attention_pooled(m, m.conv(x.transpose(1, 2)).transpose(1, 2)),
                     conv=nn.Conv1d(CHANNELS, 6, 4, stride=2), rnn=gru(6),
                     score=nn.Linear(HIDDEN, 1))),
    Form("units of a last state",
         lambda: net(lambda m, x: m.out(m.rnn(x)[1][-1][..., 1:4]), out=head(3))),
    Form("conv, batch norm, relu, pool, gru",
         lambda: net(pooled, conv=nn.Conv1d(CHANNELS, WIDE, 3), norm=normed(WIDE),
                     pool=nn.MaxPool1d(2), rnn=gru(WIDE))),
    Form("strided conv",
         lambda: net(lambda m, x: m.out(m.rnn(m.conv(x.transpose(1, 2)).transpose(1, 2))[0][:, -1]),
                     conv=nn.Conv1d(CHANNELS, 6, 4, stride=2), rnn=gru(6))),
    Form("strided conv in groups, mean pool",
         lambda: net(pooled, conv=nn.Conv1d(CHANNELS, 6, 3, stride=2, groups=3), norm=normed(6),
                     pool=nn.AvgPool1d(3, 1), rnn=gru(6))),
    Form("several samples a step",
         lambda: net(lambda m, x: m.out(m.rnn(x.reshape(len(x), -1, SIDE * CHANNELS))[0][:, -1]),
                     rnn=gru(SIDE * CHANNELS))),
    Form("pool with padding",
         lambda: net(pooled, conv=nn.Conv1d(CHANNELS, WIDE, 3), norm=normed(WIDE),
                     pool=nn.MaxPool1d(2, padding=1), rnn=gru(WIDE)),
         "padding|pads", why="whole windows, without padding"),
    Form("nn.TransformerEncoderLayer",
         lambda: net(lambda m, x: m.out(m.rnn(m.first(x))), first=nn.Linear(CHANNELS, 8),
                     rnn=nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), out=head(8)),
         "attention|transformer|MatMul|Softmax|softmax",
         why="weighs the whole window: a recurrent layer"),
    Form("conv2d over time and channels",
         lambda: net(lambda m, x: m.out(m.conv(x[:, None]).flatten(1)), rnn=None,
                     conv=nn.Conv2d(1, 2, 3), out=head(2 * (STEPS - 2) * (CHANNELS - 2))),
         "conv2d|Conv", why="a causal nn.Conv1d"),
    Form("sorted samples", lambda: net(lambda m, x: last(m, x.sort(1).values)), "sort|TopK",
         why="needs the whole window"),
]  # fmt: skip
