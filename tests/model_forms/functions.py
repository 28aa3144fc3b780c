"""Functions of single values between layers."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.model_forms.accepted import last
from tests.model_forms.form import CHANNELS, HIDDEN, Form, gru, net

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": nn.Sigmoid(),
    "celu": lambda x: F.celu(x, 0.5),
    "leaky_relu": F.leaky_relu,
    "elu": nn.ELU(),
    "selu": F.selu,
    "gelu": nn.GELU(),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "hardswish": nn.Hardswish(),
    "hardsigmoid": F.hardsigmoid,
    "relu6": F.relu6,
}
_INSTEAD = "ReLU, GELU, SiLU, tanh or sigmoid"


def _form(name: str, function: Callable[[Tensor], Tensor], refused: str = "") -> Form:
    def build() -> nn.Module:
        return net(lambda m, x: m.out(function(3 * m.mid(m.rnn(x)[0]))),
                   mid=nn.Linear(HIDDEN, HIDDEN))  # fmt: skip

    return Form(f"{name} between layers", build, refused, why=_INSTEAD if refused else "")


def _hard_sigmoid(form: Form) -> Form:
    why = "Keras 2 and 3 have different ones of this name: sigmoid"
    return replace(form, why=why) if form.name.startswith("hardsigmoid") else form


def sloped() -> nn.PReLU:
    act = nn.PReLU(HIDDEN)
    nn.init.uniform_(act.weight, -0.3, 0.8)
    return act


FUNCTIONS = [
    *(_hard_sigmoid(_form(name, function)) for name, function in _FUNCTIONS.items()),
    Form(
        "PReLU of one slope",
        lambda: net(
            lambda m, x: m.out(m.act(3 * m.mid(m.rnn(x)[0]))),
            act=nn.PReLU(),
            mid=nn.Linear(HIDDEN, HIDDEN),
        ),
    ),
    Form(
        "PReLU of channels behind a convolution",
        lambda: net(
            lambda m, x: m.out(m.rnn(m.act(m.conv(x.transpose(1, 2))).transpose(1, 2))[0][:, -1]),
            conv=nn.Conv1d(CHANNELS, HIDDEN, 3),
            act=sloped(),
            rnn=gru(HIDDEN),
        ),
    ),
    Form(
        "PReLU of channels at the last step",
        lambda: net(lambda m, x: m.out(m.act(m.rnn(x)[0][:, -1])), act=sloped()),
    ),
    Form("softplus at the end", lambda: net(lambda m, x: F.softplus(last(m, x)))),
    _form("sine", torch.sin, "(?i)sin"),
]
