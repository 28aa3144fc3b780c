"""Steps of ``edgeflow compress`` before a float model becomes integers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.chips import Chips
from edgeflow.compression.delta import DeltaSparsity, with_thresholds
from edgeflow.compression.finetune import FineTuned, FineTuneOptions, finetune
from edgeflow.compression.options import DeltaOptions, ImcOptions
from edgeflow.compression.prune import PruneOptions, pruning
from edgeflow.compression.qat import QuantizationAware
from edgeflow.compression.sensitivity import Sensitivity, choose_widths
from edgeflow.compression.sum_noise import SumNoise
from edgeflow.compression.weight_noise import WeightNoise
from edgeflow.data.sequences import sequences_of
from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain
from edgeflow.quantization import Widths
from edgeflow.training.distill import Distillation
from edgeflow.training.fit import OnEpoch
from edgeflow.training.method import Method

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Percentage points on validation subjects that mixed widths may cost before fine-tuning.
MIXED_DROP = 0.5


@dataclass
class Tuning:
    """Choice of widths, then fine-tuning; called by ``edgeflow.compression.evaluate``.

    Parameters
    ----------
    folder : Path
        Of the fine-tuning.
    options : FineTuneOptions, optional
        None: no fine-tuning.
    methods : sequence of Method
        Besides quantization-aware training.
    teachers, temperature, share
        Of a `Distillation`; no teachers: none.
    mixed : float, optional
        Percentage points that int4 weights of some matrices may cost; None: given widths.
    prune : PruneOptions, optional
        None: nothing.
    delta : DeltaOptions, optional
        None: dense products. Without fine-tuning, thresholds are found on calibration data.
    imc : ImcOptions, optional
        None: not for analog chips.
    on_epoch, on_matrix : callable, optional
        Progress of the fine-tuning and of the choice of widths.

    Raises
    ------
    CompressError
        If there are teachers or methods, and no fine-tuning.
    ImcError
        If the chips' device cannot be used.
    TrainError
        If a teacher cannot be loaded or an option is wrong.
    """

    dataset: "Dataset"
    folder: Path
    options: FineTuneOptions | None = None
    methods: Sequence[Method] = ()
    teachers: Sequence[str | Path] = ()
    temperature: float = 2.0
    share: float = 0.5
    mixed: float | None = None
    prune: PruneOptions | None = None
    delta: DeltaOptions | None = None
    imc: ImcOptions | None = None
    restart: bool = False
    on_epoch: OnEpoch | None = None
    on_matrix: Callable[[int, int], None] | None = None
    tuned: FineTuned | None = field(default=None, init=False)
    sensitivities: list[Sensitivity] = field(default_factory=list, init=False)
    _chips: Chips | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.options is None and (self.teachers or self.methods):
            raise CompressError("a teacher needs fine-tuning: use --epochs")
        if self.options is None and self.prune is not None:
            raise CompressError("pruning needs fine-tuning: use --epochs, like --epochs 10")
        if self.imc is not None:
            self._chips = Chips.of(self.imc)
        teacher = []
        if self.teachers:
            teacher = [Distillation(self.teachers, temperature=self.temperature, share=self.share)]
        self.methods = [*self.methods, *teacher]

    def __call__(
        self, chain: FloatChain, calibration: NDArray[np.float32], widths: Widths
    ) -> tuple[FloatChain, Widths]:
        """Return the chain to convert, and the widths."""
        if self.mixed is not None:
            data = sequences_of(
                self.dataset, "val", window=chain.window, hop=chain.hop, warmup=chain.warmup
            )
            widths, self.sensitivities = choose_widths(
                chain, calibration, data, widths, max_drop=self.mixed, on_matrix=self.on_matrix
            )
        if self.options is None:
            if self.delta is not None:
                chain = with_thresholds(chain, calibration, self.delta, widths)
            return chain, widths
        sparse: list[Method] = []
        if self.prune is not None:
            sparse += pruning(calibration, self.prune, self.options.epochs)
        if self.delta is not None:
            epochs = self.options.epochs
            sparse.append(DeltaSparsity(calibration, self.delta, widths, epochs))
        quantized = QuantizationAware(calibration, widths, integers=self._chips is None)
        chips = self._chips
        self.tuned = finetune(
            chain,
            self.dataset,
            calibration,
            folder=self.folder,
            methods=[quantized, *self._noise(quantized), *sparse, *self.methods],
            widths=widths,
            options=self.options,
            run_as=None if chips is None else partial(chips.programs, x=calibration),
            restart=self.restart,
            on_epoch=self.on_epoch,
        )
        return self.tuned.chain, widths

    def _noise(self, quantized: QuantizationAware) -> list[Method]:
        """Return the methods that train for the chips."""
        if self.imc is None or self._chips is None:
            return []
        weights = WeightNoise(quantized, self._chips, noise=self.imc.noise, clip=self.imc.clip)
        return [weights, SumNoise(weights)] if self._chips.noisy_sums else [weights]
