"""The gradual schedule of pruning."""


def gradual(update: int, updates: int, start: float, final: float) -> float:
    r"""Return the sparsity after an update.

    .. math:: s_k = s_f + (s_i - s_f) (1 - k / n)^3

    M. Zhu and S. Gupta, To prune, or not to prune: exploring the efficacy of pruning for model
    compression, arXiv 1710.01878, equation 1, with k = (t - t_0) / dt.

    Parameters
    ----------
    update, updates : int
        k >= 0 and n >= 1; from k = n on, the sparsity is the final one.
    start, final : float
        s_i and s_f, shares in [0, 1].
    """
    left = 1 - min(update / updates, 1.0)
    return final + (start - final) * left**3
