"""Functions of single values in Keras's files."""

from collections.abc import Callable, Mapping

from torch import nn

from edgeflow.importers.keras_chain import Part

#: Activations by their name, "hard_sigmoid" apart: it has one slope in Keras 2, another in Keras 3.
ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "celu": nn.CELU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "hard_silu": nn.Hardswish,
    "hard_swish": nn.Hardswish,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "mish": nn.Mish,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
}


def function_of(part: Part) -> nn.Module | None:
    """Return the function that a layer is, None if it is none by its class."""
    options = part.options
    if part.kind == "ReLU":
        return nn.ReLU()
    if part.kind == "ELU":
        return nn.ELU(options.get("alpha", 1.0))
    if part.kind == "LeakyReLU":  # alpha before Keras 3
        return nn.LeakyReLU(options.get("negative_slope", options.get("alpha", 0.3)))
    return None
