"""The end of an imported graph: the chain of what its output needs, as the data ask for it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from edgeflow.cells.chain import FloatChain
from edgeflow.cells.rate import ZeroOrderHold
from edgeflow.errors import CompressError
from edgeflow.importers.making import linear_layer
from edgeflow.program.clocks import EVERY_STEP

if TYPE_CHECKING:
    from edgeflow.importers.assembly import Assembly


@dataclass(frozen=True)
class Description:
    """Facts about a model from the caller: the fields of `FloatChain` of the same names."""

    channels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    window: int = 0
    rate_hz: float = 0.0


def finished(chain: "Assembly", description: Description, source: str) -> FloatChain:
    """Return the chain.

    Two classes and one output become two outputs, whose difference it is.
    """
    if not chain.layers:
        raise CompressError("there is no layer in it: give it a recurrent or a linear one")
    for name, layer in chain.layers:
        if not all(bool(p.isfinite().all()) for p in layer.parameters()):
            raise CompressError(
                f"{name} has weights that are NaN or infinite: train it again, or load others"
            )
    if len(chain.point.parts) > 1:
        chain.sum("outputs", [chain.point], [1.0])
    _leave_out_unread(chain)
    if not chain.point.settled:
        what = chain.point.maker if chain.point.padding is None else "its padding"
        raise CompressError(
            f"{what} has no linear layer beside it: end the model with one, or leave it out"
        )
    if chain.width == 1 and len(description.classes) == 2:
        _two_outputs(chain, *description.classes)
    clock = chain.clocks()[chain.point.reads[0]]
    if clock != EVERY_STEP:
        chain.append("hold", ZeroOrderHold(clock.first, clock.period), chain.width)
    plain = all(row == (number,) for number, row in enumerate(chain.sources))
    return FloatChain(
        layers=chain.layers,
        sources=() if plain else tuple(chain.sources),
        mean=chain.centre.astype(np.float32),
        std=chain.spread.astype(np.float32),
        channels=description.channels or tuple(f"x{i}" for i in range(chain.inputs)),
        classes=description.classes,
        window=description.window,
        rate_hz=description.rate_hz,
        source=source,
        notes=tuple(dict.fromkeys(chain.notes)),
    )


def _leave_out_unread(chain: "Assembly") -> None:
    """Drop layers that nothing reads, such as the last of a stack whose first state is read."""
    kept, wanted = list[int](), {*chain.point.reads}
    for number in range(len(chain.layers), 0, -1):
        if number in wanted:
            kept.insert(0, number)
            wanted.update(chain.sources[number - 1])
    place = {0: 0, **{number: k + 1 for k, number in enumerate(kept)}}
    chain.layers = [chain.layers[number - 1] for number in kept]
    chain.sources = [tuple(place[k] for k in chain.sources[number - 1]) for number in kept]
    parts = tuple(replace(part, value=place[part.value]) for part in chain.point.parts)
    chain.point = replace(chain.point, parts=parts)


def _two_outputs(chain: "Assembly", negative: str, positive: str) -> None:
    half = np.array([-0.5, 0.5])
    name, last = chain.layers[-1]
    if isinstance(last, nn.Linear):
        weight, bias = (p.detach().double().numpy() for p in (last.weight, last.bias))
        chain.layers[-1] = name, linear_layer(half[:, None] * weight, half * bias).eval()
    else:
        chain.linear("classes", half[:, None])
    chain.notes.append(
        f"its one output is taken as that of '{positive}' against '{negative}', the first of "
        f"two classes: above 0{', 0.5 after the sigmoid,' if chain.final else ''} it is "
        f"'{positive}'"
    )
