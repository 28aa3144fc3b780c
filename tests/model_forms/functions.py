"""Functions of single values between layers."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.model_forms.form import HIDDEN, Form, net

#: By name: the function, a pattern of its refusal, "" where it is taken, and what to do instead.
_FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], str, str]] = {
    "tanh": (torch.tanh, "", ""),
    "sigmoid": (nn.Sigmoid(), "", ""),
    "leaky_relu": (F.leaky_relu, "leaky_relu|LeakyRelu", "ReLU, tanh or sigmoid"),
    "elu": (nn.ELU(), "(?i)elu", "ReLU, tanh or sigmoid"),
    "hardswish": (nn.Hardswish(), "(?i)hard_?swish|HardSigmoid", "ReLU, tanh or sigmoid"),
    "hardsigmoid": (F.hardsigmoid, "(?i)hard_?sigmoid", "ReLU, tanh or sigmoid"),
    "softplus": (F.softplus, "(?i)softplus", "ReLU, tanh or sigmoid"),
    "mish": (F.mish, "(?i)mish|softplus", "ReLU, tanh or sigmoid"),
    "relu6": (F.relu6, "(?i)relu6|hardtanh|clip|clamp", "ReLU, tanh or sigmoid"),
    "sine": (torch.sin, "(?i)sin", "ReLU, tanh or sigmoid"),
}


def _form(name: str, function: Callable[[Tensor], Tensor], refused: str, why: str) -> Form:
    def build() -> nn.Module:
        return net(lambda m, x: m.out(function(3 * m.mid(m.rnn(x)[0]))),
                   mid=nn.Linear(HIDDEN, HIDDEN))  # fmt: skip

    return Form(f"{name} between layers", build, refused, why=why)


FUNCTIONS = [_form(name, *given) for name, given in _FUNCTIONS.items()]
