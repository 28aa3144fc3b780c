r"""The Legendre memory: a linear system that remembers the last `theta` samples of its input.

.. math::
    \theta\, \dot m = \bar A m + \bar B u, \qquad
    \bar A_{ij} = (2i + 1) \begin{cases} -1 & i < j \\ (-1)^{i - j + 1} & i \ge j \end{cases},
    \qquad \bar B_i = (2i + 1)(-1)^i

with :math:`i, j = 0 \dots order - 1`: :math:`m_i(t)` is the coefficient of the shifted Legendre
polynomial of degree i in the past window :math:`u(t - \theta), \dots, u(t)`.

A. Voelker, I. Kajić, C. Eliasmith, Legendre Memory Units: continuous-time representation in
recurrent neural networks, NeurIPS 2019.
"""

import torch
from torch import Tensor


def legendre(order: int, theta: float) -> tuple[Tensor, Tensor]:
    """Return A [order, order] and B [order] of ``dm/dt = A m + B u``, float64, `theta` in samples.

    Parameters
    ----------
    order : int
        At least 1.
    theta : float
        Positive.
    """
    i = torch.arange(order, dtype=torch.float64)[:, None]
    j = i.T
    sign = torch.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    A = (2 * i + 1) * sign / theta
    B = ((2 * i + 1) * (-1.0) ** i)[:, 0] / theta
    return A, B


def zero_order_hold(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Return the exact step of one sample for an input that is constant between samples.

    ``exp([[A, B], [0, 0]])`` holds the discrete A and B in its first rows.
    """
    order = len(B)
    block = torch.zeros(order + 1, order + 1, dtype=A.dtype)
    block[:order, :order] = A
    block[:order, order] = B
    step = torch.linalg.matrix_exp(block)
    return step[:order, :order], step[:order, order]


def powers(A: Tensor, count: int) -> Tensor:
    """Return ``A**0, ..., A**(count - 1)`` as [count, order, order], by doubling."""
    result = torch.eye(len(A), dtype=A.dtype)[None]
    square = A
    while len(result) < count:
        result = torch.cat([result, result @ square])
        square = square @ square
    return result[:count]
