r"""Delta sparsity, trained in: thresholds at which a wanted share of columns is not updated.

Thresholds rise until the shares are reached, then follow them while the model learns to live with
what it no longer sees; a pressure on the moves of what is held,

.. math:: loss + \lambda \, mean_t |x_t - \hat x_{t-1}| / full\ scale

makes it move less (A. Yousefzadeh and M. Sifalakis, Training for temporal sparsity in deep neural
networks, arXiv 2107.07305).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeflow.cells.chain import FloatChain, joined, output_of
from edgeflow.cells.delta import Delta, Hold, has_delta_state
from edgeflow.cells.front import FrontEnd
from edgeflow.cells.rate import Decimate
from edgeflow.cells.taps import DelayLine
from edgeflow.compression.convert import converted, few_windows
from edgeflow.compression.input_range import equalized, input_format
from edgeflow.compression.model import ChainModel
from edgeflow.compression.options import DeltaOptions
from edgeflow.errors import CompressError
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.quantization import Widths
from edgeflow.training.batches import Batch
from edgeflow.training.method import Method

#: Calibration windows by which a threshold is found, and halvings of its interval.
WINDOWS, HALVINGS = 128, 12
#: Thresholds to choose from, in shares of the full scale.
REACH = (2.0**-12, 2.0)
#: Times that one channel's unit may be coarser than its width allows.
COARSEST = 16.0
#: Layers whose values are samples still.
_OF_SAMPLES = (FrontEnd, DelayLine, Decimate)
#: Share of the epochs over which the wanted shares rise.
RAMP = 0.4


class DeltaSparsity(Method):
    """Replace the recurrent layers by delta layers and raise their thresholds.

    Parameters
    ----------
    calibration : float32 array [n, time, channels]
        Raw samples of training subjects.
    widths : Widths
        Of the integers, whose full scale is the thresholds' unit.
    epochs : int
        Of the training: an epoch counts as settled if it began with the whole thresholds; a single
        one does.
    """

    def __init__(
        self,
        calibration: NDArray[np.float32],
        options: DeltaOptions,
        widths: Widths,
        epochs: int = 100,
    ) -> None:
        self.calibration, self.options, self.widths = calibration, options, widths
        self.epochs, self.ramp = epochs, RAMP if epochs > 1 else 0.0
        self._few = few_windows(calibration, WINDOWS)

    def describe(self) -> dict[str, Any]:
        return {"method": "delta", **asdict(self.options), "calibration": len(self.calibration)}

    def prepare(self, model: ChainModel) -> None:
        """Wrap the layers; their thresholds are zero.

        Raises
        ------
        CompressError
            If no layer has a delta form.
        """
        chain = model.chain()
        form = equalized(input_format(chain, self.calibration, self.widths), chain)
        found = list(converted(chain, self.calibration, self.widths, form))
        for number, (source, done) in enumerate(found):
            layer = model.layers[number]
            # the few rows of a read-out save less than their bookkeeping costs
            if isinstance(layer, nn.Linear) or not done.node.delta_sources:
                continue
            signals = (source, done.output) if has_delta_state(layer) else (source,)
            inner = not _reads_samples(model, number)
            read = self.options.group if inner else self.options.input_group
            groups = (read, self.options.group)
            full_scales = [torch.from_numpy(s.scale * symmetric_max(s.bits)) for s in signals]
            holds = [Hold(f, group=g) for f, g in zip(full_scales, groups, strict=False)]
            model.layers[number] = Delta(layer, *holds)
        if not any(isinstance(layer, Delta) for layer in model.layers):
            raise CompressError("no layer has a delta form: use gru, lstm, rnn, lmu, cfc or mingru")

    def before_epoch(self, model: ChainModel, progress: float) -> None:
        """Set the thresholds for the shares wanted at `progress`."""
        rise = 1 - (1 - min(progress / self.ramp, 1.0)) ** 3 if self.ramp else 1.0
        self.set_thresholds(model, self.options.state * rise, self.options.input * rise)

    @torch.no_grad()
    def set_thresholds(self, model: ChainModel, state: float, input: float) -> None:
        """Choose thresholds at which calibration data do not update these shares of columns."""
        values = {0: (torch.from_numpy(self._few) - model.mean) / model.std}
        for number, (layer, row) in enumerate(zip(model.layers, model.chain().reads, strict=True)):
            value = joined(values, row)
            if isinstance(layer, Delta):
                if row != (0,) or layer.input.group > 1:
                    wanted = input if _reads_samples(model, number) else state
                    _search(layer.input, layer, value, wanted)
                else:
                    _search_each(layer.input, value, input)
                if layer.state is not None:
                    _search(layer.state, layer, value, state)
            values[number + 1] = output_of(layer, value)
        _forget(model)

    def losses(self, model: ChainModel, batch: Batch, logits: Tensor, losses: Tensor) -> Tensor:
        """Add the pressure."""
        moves = [move for hold in _holds(model) for move in hold.moves]
        _forget(model)
        if not self.options.pressure or not moves:
            return losses
        return losses + self.options.pressure * torch.stack(moves).mean()

    def settled(self, progress: float) -> bool:
        """Wait until the shares are reached."""
        # rounding aside, the epoch began at or after the ramp's end
        return progress > 0 and progress - 1 / self.epochs > self.ramp - 1e-9

    def row(self, model: ChainModel) -> dict[str, float]:
        """Return the shares of columns that calibration data do not update."""
        _forget(model)
        model.chain().activations(self._few)
        result = sparsity(model)
        _forget(model)
        return result


def with_thresholds(
    chain: FloatChain, calibration: NDArray[np.float32], options: DeltaOptions, widths: Widths
) -> FloatChain:
    """Return a chain with delta layers that do not update the wanted shares of columns.

    Nothing is trained; `chain` is not changed.

    Raises
    ------
    CompressError
        If no layer has a delta form.
    """
    model = ChainModel(chain)
    method = DeltaSparsity(calibration, options, widths)
    method.prepare(model)
    method.set_thresholds(model, options.state, options.input)
    return model.chain()


def sparsity(model: ChainModel) -> dict[str, float]:
    """Return "input_sparsity" and "state_sparsity" of what was seen since it was forgotten."""
    holds: dict[str, list[Hold]] = {"input_sparsity": [], "state_sparsity": []}
    for number, layer in enumerate(model.layers):
        if isinstance(layer, Delta):
            of = "input_sparsity" if _reads_samples(model, number) else "state_sparsity"
            holds[of].append(layer.input)
            if layer.state is not None:
                holds["state_sparsity"].append(layer.state)
    return {
        name: 1 - float(sum(h.updated for h in found) / sum(h.seen for h in found))
        for name, found in holds.items()
        if found
    }


def _reads_samples(model: ChainModel, number: int) -> bool:
    layers = model.layers
    return reads_samples(model.chain().reads, number, lambda k: isinstance(layers[k], _OF_SAMPLES))


def reads_samples(
    reads: Sequence[Sequence[int]], number: int, of_samples: Callable[[int], bool]
) -> bool:
    """Tell whether a layer reads samples, as they are or through layers whose values still are.

    Parameters
    ----------
    reads : sequence of sequence of int
        Of each layer, what it reads: 0 the samples, k layer k - 1.
    number : int
        Of the layer.
    of_samples : callable
        Tells it of a layer, by its number.
    """
    return 0 in reads[number] or all(
        of_samples(k - 1) and reads_samples(reads, k - 1, of_samples) for k in reads[number]
    )


def _search(hold: Hold, layer: Delta, x: Tensor, wanted: float) -> None:
    """Find the smallest threshold at which the wanted share of columns is not updated."""
    low, high = REACH
    for _ in range(HALVINGS if wanted else 0):
        middle = (low * high) ** 0.5
        hold.threshold.fill_(middle)
        hold.forget()
        layer(x)
        low, high = (middle, high) if hold.sparsity < wanted else (low, middle)
    hold.threshold.fill_(high if wanted else 0.0)


def _search_each(hold: Hold, x: Tensor, wanted: float) -> None:
    """Find each column's smallest threshold that leaves out the wanted share of its updates.

    Channels of an input move by very different shares of their full scales.
    """
    low, high = (torch.full_like(hold.full_scale, reach) for reach in REACH)
    for _ in range(HALVINGS if wanted else 0):
        middle = (low * high).sqrt()
        held, still = torch.zeros_like(x[:, 0]), torch.zeros_like(middle)
        for value in x.unbind(1):
            moved = (value - held).abs() >= middle * hold.full_scale
            held = torch.where(moved, value, held)
            still += (~moved).float().mean(0) / x.shape[1]
        low, high = (
            torch.where(still < wanted, middle, low),
            torch.where(still < wanted, high, middle),
        )
    # units get coarser by no more than what leaves enough of them
    least = torch.maximum(high.min(), high.max() / COARSEST)
    hold.balance.copy_((high / least).clamp(min=1.0) if wanted else torch.ones_like(high))
    hold.threshold.fill_(float(least) if wanted else 0.0)


def _holds(model: nn.Module) -> list[Hold]:
    return [module for module in model.modules() if isinstance(module, Hold)]


def _forget(model: nn.Module) -> None:
    for hold in _holds(model):
        hold.forget()
