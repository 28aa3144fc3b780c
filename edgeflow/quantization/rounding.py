r"""Rounding of weights whose errors compensate each other.

A weight that is rounded leaves an error :math:`e_k x_k` in its output. The weights that are rounded
after it move so that, on average over the matrix's inputs, the least of this error is left: with
:math:`H = E[x x^T]` and :math:`U^T U = H^{-1}` (U upper triangular), those of columns j > k move by
:math:`-e_k U_{kj} / U_{kk}`.

E. Frantar et al., GPTQ: accurate post-training quantization for generative pre-trained
transformers, ICLR 2023, arXiv 2210.17323.
"""

import numpy as np

from edgeflow.quantization.signal import Floats

#: Added to the diagonal of H, in units of its mean.
DAMPING = 0.01


def second_moment(x: Floats) -> Floats:
    """Return E[x x^T], [cols, cols], of x [..., cols]."""
    flat = x.reshape(-1, x.shape[-1])
    moment: Floats = flat.T @ flat / max(len(flat), 1)
    return moment


def round_compensated(weight: Floats, moment: Floats, limit: int) -> Floats:
    """Return integers whose products with the matrix's inputs are near those of `weight`.

    Parameters
    ----------
    weight : float64 array [rows, cols]
        In units of the integers. Zeros stay zero.
    moment : float64 array [cols, cols]
        `second_moment` of the matrix's inputs.
    limit : int
        Largest magnitude of a result.

    Returns
    -------
    float64 array [rows, cols]
    """
    damping = DAMPING * np.mean(np.diag(moment))
    if damping <= 0:
        return np.clip(np.round(weight), -limit, limit)
    # columns that are read most go first, as later ones make up for them
    order = np.argsort(-np.diag(moment), kind="stable")
    inverse = np.linalg.inv(moment[np.ix_(order, order)] + damping * np.eye(len(moment)))
    upper = np.linalg.cholesky((inverse + inverse.T) / 2).T
    left = weight[:, order]
    free = left != 0
    result = np.zeros_like(weight)
    for k, column in enumerate(order):
        rounded = np.where(free[:, k], np.clip(np.round(left[:, k]), -limit, limit), 0.0)
        error = (left[:, k] - rounded) / upper[k, k]
        left[:, k + 1 :] -= np.where(free[:, k + 1 :], np.outer(error, upper[k, k + 1 :]), 0.0)
        result[:, column] = rounded
    return result
