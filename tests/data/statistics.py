#!/usr/bin/env python3
"""Writes statistics.csv: what SciPy and statsmodels say where dbctl computes the same.

    pip install scipy statsmodels
    tests/data/statistics.py > tests/data/statistics.csv

The tests read the table; they need no Python.
"""

import csv
import itertools
import sys

import numpy as np
import scipy
import statsmodels
from scipy.special import logsumexp
from scipy.stats import binom, norm
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    proportion_confint,
)

ARMS = [
    ((0, 50), (0, 50)),
    ((0, 1000), (0, 3000)),
    ((1, 50), (0, 5000)),
    ((3, 1200), (4, 2400)),
    ((17, 1800), (20, 3600)),
    ((61, 9000), (9, 18000)),
    ((450, 9000), (1100, 18000)),
    ((7, 7), (3, 9)),
    ((52310, 1_000_000), (104_000, 2_000_000)),
]
CONFIDENCES = [0.9, 0.95, 0.975, 0.99]


def quantiles():
    for p in [1e-300, 1e-12, 1e-6, 0.0125, 0.05, 0.2, 0.425, 0.5, 0.575, 0.8, 0.95, 0.975, 0.9999999]:
        yield ["normal_quantile", p], [norm.ppf(p)]


def intervals():
    """One-sided bounds at a confidence: two-sided intervals at twice the rest."""
    for ((bad, total), other), confidence in itertools.product(ARMS, CONFIDENCES):
        alpha = 2 * (1 - confidence)
        low, high = proportion_confint(bad, total, alpha=alpha, method="wilson")
        yield ["wilson", bad, total, norm.ppf(confidence)], [low, high]
        low, high = confint_proportions_2indep(
            bad, total, *other, method="newcomb", compare="diff", alpha=alpha
        )
        yield ["newcombe", bad, total, *other, norm.ppf(confidence)], [low, high]


def samples():
    for p, margin, ratio, alpha in itertools.product(
        [0.001, 0.005, 0.02, 0.2], [0.0005, 0.002, 0.005, 0.02], [1, 2, 4], [0.05, 0.025]
    ):
        # statsmodels has no non-inferiority ("non-zero diff under null is not yet implemented").
        z = norm.ppf([1 - alpha, 0.8]).sum()
        variance = p * (1 - p) * (1 + 1 / ratio)
        without_any_bad = norm.ppf(1 - alpha) ** 2 * (1 - margin) / margin
        n = max(z**2 * variance / margin**2, without_any_bad)
        yield ["required_samples", p, margin, ratio, alpha, 0.8], [np.ceil(n)]


def evidence():
    """The mixture of likelihood ratios, from binomial probabilities."""
    rates = 0.1 * (np.arange(40) + 0.5)
    weights = np.exp(-(rates**2) / 2)
    weights /= weights.sum()
    for bad, share in itertools.product([1, 3, 12, 90, 4000], [0.02, 0.1, 1 / 3, 0.5, 0.9]):
        for mine in sorted({0, round(bad * share), min(bad, round(bad * share * 1.6 + 2)), bad}):
            alternatives = np.exp(rates) * share / (1 + share * np.expm1(rates))
            logs = binom.logpmf(mine, bad, alternatives) - binom.logpmf(mine, bad, share)
            yield ["evidence_of_harm", mine, bad, bad * share], [logsumexp(logs, b=weights)]


def main():
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["# SciPy", scipy.__version__, "statsmodels", statsmodels.__version__])
    for given, expected in itertools.chain(quantiles(), intervals(), samples(), evidence()):
        out.writerow([*map(repr_, given), "=", *(repr(float(x)) for x in expected)])


def repr_(value):
    return value if isinstance(value, str) else repr(float(value))


if __name__ == "__main__":
    main()
