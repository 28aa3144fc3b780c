"""Bands that are warped and scaled in training.

Unit tier: alone it would catch an augmentation that also changes what is scored, or that moves
bands between the sets of a front end.
"""

import numpy as np
import pytest
import torch

from edgeflow.cells.front_text import front_of
from edgeflow.data.frames import hop_channels
from edgeflow.errors import TrainError
from edgeflow.training.bands import BandAugmentation


class Model(torch.nn.Module):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.front = front_of(text, hop_channels("audio", 40), 50.0)


def test_nothing_asked_changes_nothing() -> None:
    y = torch.randn(3, 5, 8)
    assert torch.equal(BandAugmentation().change(y, 4), y)


def test_bands_are_stretched_in_each_set() -> None:
    """A value at band b is found at b / factor, by linear interpolation, in both sets alike."""
    torch.manual_seed(1)
    ramp = torch.arange(8.0)
    y = torch.cat([ramp, 100 + ramp]).expand(2, 3, 16)
    changed = BandAugmentation(warp=0.2).change(y, 8)
    torch.manual_seed(1)
    factor = torch.exp(0.2 * torch.randn(2, 1))
    wanted = (ramp * factor).clamp(max=7)[:, None].expand(2, 3, 8)
    torch.testing.assert_close(changed[..., :8], wanted)
    torch.testing.assert_close(changed[..., 8:], 100 + wanted)


def test_gains_hold_for_a_stretch() -> None:
    y = torch.ones(4, 6, 8)
    changed = BandAugmentation(scale=0.5).change(y, 4)
    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert len(np.unique(changed[:, 0].numpy())) == 32


def test_only_the_step_of_a_training_sees_it() -> None:
    model, x = Model("log-mel,difference"), torch.randn(2, 4, 40) / 9

    def values() -> torch.Tensor:
        y = x
        for layer in model.front:
            y, _ = layer(y)
        return y

    before, method = values(), BandAugmentation(0.1, 0.5)
    method.prepare(model)
    with method.during_step(model):
        assert not torch.allclose(values(), before)
    assert torch.equal(values(), before)


@pytest.mark.parametrize("front", ["", "difference"])
def test_it_needs_bands(front: str) -> None:
    BandAugmentation(0.1).prepare(Model("log-mel"))
    with pytest.raises(TrainError, match="are for sound: use --front log-mel"):
        BandAugmentation(0.1).prepare(Model(front))
    with pytest.raises(TrainError, match="0 to 1, 0 to 2"):
        BandAugmentation(-0.1)
