"""Makes drift_numbers.json: Kolmogorov–Smirnov and Wasserstein-1 by SciPy, to hold farol-stats against.

    pip install scipy==1.17.1 numpy==2.4.6 && python drift_numbers.py > drift_numbers.json
"""

import json
import warnings

import numpy as np
from scipy import stats

rng = np.random.default_rng(20)


def rounded(values):
    """Few digits keep the file small; the reference is computed from what is written."""
    return [float(f"{value:.6g}") for value in values]


def samples():
    for n, m in [(1, 1), (5, 7), (12, 12), (30, 45), (100, 80), (200, 300), (350, 350)]:
        yield rng.normal(size=n), rng.normal(0.4, 1.0, size=m)
        yield rng.lognormal(3, 1, size=n), rng.lognormal(3.1, 1.2, size=m)
        yield rng.poisson(4, size=n), rng.poisson(5, size=m)
    yield [1, 2, 3], [10, 11]
    yield [-1.5, 0.0, 0.0, 2.0], [-1.5, 0.0, 0.0, 2.0]
    yield [3, 3, 3], [3, 4, 4]


def cases():
    for reference, window in samples():
        reference, window = rounded(reference), rounded(window)
        asymptotic = stats.ks_2samp(reference, window, method="asymp")
        exact = stats.ks_2samp(reference, window, method="exact")
        distance = stats.wasserstein_distance(reference, window)
        deviation = float(np.std(reference))
        yield {
            "reference": reference,
            "window": window,
            "statistic": float(asymptotic.statistic),
            # SciPy has none where the effective size rounds to zero.
            "asymptotic": None if np.isnan(asymptotic.pvalue) else float(asymptotic.pvalue),
            "exact": float(exact.pvalue),
            "wasserstein": float(distance),
            "ratio": float(distance) / deviation if deviation > 0 else None,
        }


def tails():
    """P(D >= x) for equal sizes 2 n, whose effective size is n: every way of computing it."""
    for n in [1, 2, 5, 10, 50, 100, 140, 141, 200, 500, 1000, 5000, 20000, 100000]:
        for z in [0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.5, 1.8, 2.1, 3.0, 5.0, 8.0]:
            x = float(z / np.sqrt(n))
            if x <= 1:
                yield {"n": n, "x": x, "p": float(stats.kstwo.sf(x, n))}


warnings.simplefilter("ignore")
print(json.dumps({"samples": list(cases()), "tails": list(tails())}))
