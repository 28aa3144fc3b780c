"""What these alone would catch: a converter whose codes are not those of aihwkit's tile.

The goldens are digests of the codes of 100,000 outputs each; they are made anew, and compared code
by code, where aihwkit 1.1.0 (``pip install --no-deps``) and torch 2.13.0 are, by

    python -m tests.unit.imc.test_converter
"""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgeflow.errors import ImcError
from edgeflow.imc.converter import Converter

Floats32 = NDArray[np.float32]

OUTPUTS, BOUND = 50, float(np.pi**2)
#: Bits: CRC-32 of the codes of `single` and of `whole` in aihwkit.
GOLDENS = {
    4: (0x88402009, 0xC756188C),  # [0, 0] of 100000 differ
    5: (0xF9A69088, 0x43343DA8),  # [0, 0] of 100000 differ
    6: (0xA4FBED76, 0xE850C320),  # [0, 0] of 100000 differ
    7: (0xD27C48CC, 0x86316303),  # [0, 0] of 100000 differ
    8: (0x86E6CB9F, 0xF84D9D4A),  # [0, 0] of 100000 differ
    9: (0xB5C5153C, 0x17B415A1),  # [0, 0] of 100000 differ
    10: (0x40F8A9AB, 0xBE35A869),  # [0, 0] of 100000 differ
}


def spread(count: int, limit: float) -> Floats32:
    """Numbers all over [-limit, limit), the same with every numpy."""
    hashed = np.arange(count, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(2**24)
    return ((hashed.astype(np.float64) / 2**23 - 1) * limit).astype(np.float32)


def single() -> Floats32:
    """[2000, 50]: what one converter gets; a fifth is beyond its bound."""
    return spread(100_000, 12.0).reshape(-1, OUTPUTS)


def whole() -> tuple[Floats32, Floats32]:
    """x [2000, 64] and weights [50, 64] of a tile, a sixth of x beyond the DAC's bound."""
    weights = np.arange(OUTPUTS * 64) * 40503 % 255 - 127
    return spread(2000 * 64, 1.2).reshape(-1, 64), weights.reshape(OUTPUTS, 64).astype("f4") / 128


def dac_bound(bits: int) -> float:
    """Bound with a step that is a power of two: then a tile's sums are exact in any order."""
    return (2 ** (bits - 1) - 1) / 2 ** (bits - 1)


def crc(codes: NDArray[np.int64]) -> int:
    return zlib.crc32(codes.astype("<i2").tobytes())


def our_tile(bits: int) -> NDArray[np.int64]:
    x, weights = whole()
    sums = Converter(bits, dac_bound(bits)).convert(x).astype(np.float64) @ weights.T
    return Converter(bits, BOUND / 3).codes(sums.astype(np.float32))


@pytest.mark.parametrize("bits", GOLDENS)
def test_codes_are_those_of_aihwkit(bits: int) -> None:
    one, tile = GOLDENS[bits]
    assert crc(Converter(bits, BOUND).codes(single())) == one
    assert crc(our_tile(bits)) == tile


bits_ = st.integers(2, 16)
bounds = st.floats(1e-3, 1e9)
shares = arrays(np.float64, 9, elements=st.floats(-2, 2, allow_subnormal=False))


@given(bits=bits_, bound=bounds, share=shares)
def test_it_rounds_to_the_nearest_level_and_clips(
    bits: int, bound: float, share: NDArray[np.float64]
) -> None:
    converter, x = Converter(bits, bound), share * bound
    y = converter.convert(x)
    inside = np.abs(x) <= bound
    assert np.all(np.abs(y - x)[inside] <= converter.step / 2 * (1 + 1e-9))
    assert np.all(np.abs(converter.codes(x))[~inside] == 2 ** (bits - 1) - 1)
    assert np.abs(y).max() <= bound * (1 + 1e-15)
    assert np.array_equal(y, converter.codes(x) * converter.step)


@given(bits=bits_, bound=bounds, share=shares)
def test_it_is_monotone_odd_and_idempotent(
    bits: int, bound: float, share: NDArray[np.float64]
) -> None:
    converter, x = Converter(bits, bound), np.sort(share * bound)
    y = converter.convert(x)
    assert np.all(np.diff(y) >= 0)
    assert np.array_equal(converter.convert(-x), -y)
    assert np.array_equal(converter.convert(y), y)
    assert np.array_equal(converter.codes(y), converter.codes(x))


@pytest.mark.parametrize("bits", range(2, 17))
def test_all_its_codes_are_used(bits: int) -> None:
    top = 2 ** (bits - 1) - 1
    codes = np.arange(-top, top + 1)
    assert np.array_equal(Converter(bits, float(top)).codes(codes), codes)
    halves = np.arange(0, 2 * top, 2) + 0.5  # 0.5, 2.5, ...: to even
    assert np.array_equal(
        Converter(bits, float(top)).codes(halves[halves < top]), np.arange(0, top, 2)
    )


def test_a_bound_a_column() -> None:
    x, bounds = single().astype(np.float64), np.linspace(0.5, 20, OUTPUTS)
    converter = Converter(6, bounds)
    for k in range(OUTPUTS):
        alone = Converter(6, float(bounds[k]))
        assert np.array_equal(converter.codes(x)[:, k], alone.codes(x[:, k]))
        assert np.array_equal(converter.convert(x)[:, k], alone.convert(x[:, k]))


def test_float32_stays_what_it_is() -> None:
    converter = Converter(6, np.float64(BOUND))
    assert converter.convert(single()).dtype == np.float32
    assert np.array_equal(converter.codes(single()), Converter(6, BOUND).codes(single()))
    assert converter.convert(np.arange(9)).dtype == np.float64


@pytest.mark.parametrize("bits", [1, 17, -3])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(ImcError, match=f"a converter of {bits} bits: it must have 2 to 16"):
        Converter(bits, 1.0)


@pytest.mark.parametrize("bound", [0.0, -1.0, np.inf, np.nan, np.array([1.0, 0.0])])
def test_bound_out_of_range(bound: float) -> None:
    with pytest.raises(ImcError, match="a bound of .*: it must be above 0 and finite"):
        Converter(8, bound)


def aihwkit_codes(
    x: Floats32, weights: Floats32, bits: int, dac: float | None, bound: float
) -> NDArray[np.int64]:
    """Return the codes of a Torch tile of aihwkit, noise off; without a DAC if `dac` is None."""
    import torch
    from aihwkit.nn import AnalogLinear
    from aihwkit.simulator.configs import TorchInferenceRPUConfig
    from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType

    config = TorchInferenceRPUConfig()
    config.mapping.weight_scaling_omega = 0.0
    config.forward.noise_management = NoiseManagementType.NONE
    config.forward.bound_management = BoundManagementType.NONE
    config.forward.out_noise = 0.0
    config.forward.inp_bound, config.forward.inp_res = (dac, 2**bits - 2) if dac else (-1, -1)
    config.forward.out_bound, config.forward.out_res = bound, 2**bits - 2
    layer = AnalogLinear(weights.shape[1], weights.shape[0], bias=False, rpu_config=config).eval()
    layer.set_weights(torch.from_numpy(weights))
    with torch.no_grad():
        y = layer(torch.from_numpy(x)).numpy()
    return np.rint(y.astype(np.float64) / (2 * bound / (2**bits - 2))).astype(np.int64)


if __name__ == "__main__":
    for bits in range(4, 11):
        one = aihwkit_codes(single(), np.eye(OUTPUTS, dtype="f4"), bits, None, BOUND)
        tile = aihwkit_codes(*whole(), bits, dac_bound(bits), BOUND / 3)
        differing = [
            int((a != b).sum())
            for a, b in ((one, Converter(bits, BOUND).codes(single())), (tile, our_tile(bits)))
        ]
        print(
            f"    {bits}: (0x{crc(one):08X}, 0x{crc(tile):08X}),  # {differing} of {one.size} differ"
        )
