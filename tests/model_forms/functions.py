"""Functions of single values between layers."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.model_forms.accepted import last
from tests.model_forms.form import HIDDEN, Form, net

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": nn.Sigmoid(),
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


FUNCTIONS = [
    *(_hard_sigmoid(_form(name, function)) for name, function in _FUNCTIONS.items()),
    Form("softplus at the end", lambda: net(lambda m, x: F.softplus(last(m, x)))),
    _form("sine", torch.sin, "(?i)sin"),
]
