"""How sure a number is: bootstrap intervals, McNemar's test, a paired permutation test.

Everything is drawn with a fixed seed, so the same results give the same numbers. Questions
are resampled one by one; those about one document are alike, so intervals are a little
too narrow where there are many of them. Knows no metric and no run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SEED = 20250813
RESAMPLES = 2000
PERMUTATIONS = 9999
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number over `n` questions with its 95% interval.

    `low` and `high` are `None` where `n` is too small to tell.
    """

    value: float
    low: float | None
    high: float | None
    n: int


def mean(values: Sequence[float]) -> Estimate:
    """Return the mean of at least one value with its bootstrap interval."""
    value = float(np.mean(values))
    return _bootstrap(value, (values,), lambda sample, axis=-1: np.mean(sample, axis=axis), True)


def share(values: Sequence[float]) -> Estimate:
    """Return the mean of values in [0, 1] with its interval.

    Where all questions agree on yes or no, every resample would too; the interval is then
    that of Clopper and Pearson 1934.
    """
    value = float(np.mean(values))
    if len(set(values)) > 1 or value not in (0.0, 1.0):
        return mean(values)
    from scipy.stats import binomtest

    exact = binomtest(round(value * len(values)), len(values)).proportion_ci(LEVEL)
    return Estimate(value, float(exact.low), float(exact.high), len(values))


def percentile(values: Sequence[float], percent: float) -> Estimate:
    """Return a percentile (0 … 100) of at least one value with its bootstrap interval."""

    def statistic(sample: Any, axis: int = -1) -> Any:
        return np.percentile(sample, percent, axis=axis)

    return _bootstrap(float(np.percentile(values, percent)), (values,), statistic, True)


def paired(statistic: Callable[..., float], *columns: Sequence[float]) -> Estimate:
    """Return a statistic of aligned columns; the interval resamples their rows."""
    return _bootstrap(statistic(*columns), columns, statistic, False)


def _bootstrap(
    value: float, columns: Sequence[Sequence[float]], statistic: Callable[..., Any], fast: bool
) -> Estimate:
    """Percentile bootstrap (Efron and Tibshirani 1993, chapter 13)."""
    n = len(columns[0])
    if n < 2:
        return Estimate(value, None, None, n)
    from scipy.stats import DegenerateDataWarning, bootstrap

    with warnings.catch_warnings():
        # All values alike: the interval is the value, which is what the data say.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        interval = bootstrap(
            [np.asarray(column, dtype=float) for column in columns],
            statistic,
            n_resamples=RESAMPLES,
            confidence_level=LEVEL,
            method="percentile",
            paired=len(columns) > 1,
            vectorized=fast,
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high), n)


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> float:
    """Return the two-sided p-value of McNemar's exact test (McNemar 1947).

    Of the questions whose outcome changed, half should have changed for the better by
    chance. 1 where none changed.
    """
    better = sum(a and not b for b, a in zip(before, after, strict=True))
    worse = sum(b and not a for b, a in zip(before, after, strict=True))
    if better + worse == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse).pvalue)


def permutation(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the two-sided p-value that the mean difference of pairs is zero.

    Signs of the differences are exchanged (Fisher 1935; Smucker et al. 2007 compare the
    test for information retrieval): all exchanges where there are few, else 9,999 drawn.
    1 where nothing differs, or where there is one question only.
    """
    differences = [a - b for b, a in zip(before, after, strict=True)]
    if len(differences) < 2 or not any(differences):
        return 1.0
    from scipy.stats import permutation_test

    test = permutation_test(
        (np.asarray(before, dtype=float), np.asarray(after, dtype=float)),
        lambda x, y, axis=-1: np.mean(y - x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(SEED),
    )
    return float(test.pvalue)
