"""Makes drift_categories.json: divergences, chi-square tests and intervals by SciPy, to hold farol-stats against.

    pip install scipy==1.17.1 numpy==2.4.6 && python drift_categories.py > drift_categories.json
"""

import json

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

rng = np.random.default_rng(21)


def tables():
    for categories in [2, 3, 5, 20, 50, 200]:
        for n, m in [(50, 50), (100, 1000), (5000, 800), (100000, 40000)]:
            shares = rng.dirichlet(np.full(categories, 2.0))
            other = rng.dirichlet(shares * 200 + 0.1)
            yield rng.multinomial(n, shares), rng.multinomial(m, other)
    yield np.array([10, 20]), np.array([20, 10])
    yield np.array([1, 0, 3]), np.array([0, 2, 3])


def psi(reference, window):
    """The definition by SciPy's relative entropy; none where a count is zero."""
    keep = (reference + window) > 0
    reference, window = reference[keep], window[keep]
    if (reference == 0).any() or (window == 0).any():
        return None
    p, q = reference / reference.sum(), window / window.sum()
    return float(stats.entropy(p, q) + stats.entropy(q, p))


def case(reference, window):
    keep = (reference + window) > 0
    chi = stats.chi2_contingency(np.vstack([reference[keep], window[keep]]), correction=False)
    n, m, k = int(reference.sum()), int(window.sum()), int(window[reference == 0].sum())
    jsd = float(jensenshannon(reference / n, window / m) ** 2)
    index = psi(reference, window)
    scale = n * m / (n + m)
    degrees = int(keep.sum()) - 1
    interval = stats.binomtest(k, m).proportion_ci(0.95, method="exact")
    return {
        "reference": reference.tolist(),
        "window": window.tolist(),
        "psi": index,
        "psi_p": None if index is None else float(stats.chi2.sf(index * scale, degrees)),
        "jsd": jsd,
        "jsd_p": float(stats.chi2.sf(8 * jsd * scale, degrees)),
        "categories": degrees + 1,
        "chi_square": float(chi.statistic),
        "chi_square_p": float(chi.pvalue),
        "degrees": int(chi.dof),
        "new": k / m,
        "new_lower": float(interval.low),
        "new_upper": float(interval.high),
    }


print(json.dumps([case(*table) for table in tables()]))
