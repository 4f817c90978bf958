"""Makes series.json: the parts of the series detectors that a reference implementation has.

    pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 rrcf==0.4.4 && python series.py > series.json
"""

import json

import numpy as np
import rrcf
from scipy import optimize, stats
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors


def as_float32(values):
    return [float(value) for value in np.asarray(values, dtype=np.float32)]


def pareto_fit(excesses):
    """SciPy's likelihood, brought to its interior maximum more closely than SciPy's own fit does."""
    start_shape, _, start_scale = stats.genpareto.fit(excesses, floc=0)

    def loss(parameters):
        shape, log_scale = parameters
        if shape <= -1:
            return np.inf  # the likelihood grows without bound there
        return stats.genpareto.nnlf((shape, 0.0, np.exp(log_scale)), excesses)

    best = (np.inf, None)
    for shape, scale in [(start_shape, start_scale), (0.1, np.mean(excesses)), (-0.1, np.mean(excesses))]:
        found = np.array([shape, np.log(scale)])
        for _ in range(3):
            found = optimize.minimize(loss, found, method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-13, "maxiter": 2000}).x
        if found[0] > -0.95:  # not the bound at which the distribution ends at the largest excess
            best = min(best, (loss(found), tuple(found)))
    shape, log_scale = best[1]
    return float(shape), float(np.exp(log_scale))


def pareto():
    cases = []
    samples = [
        stats.genpareto.rvs(0.3, scale=2.0, size=400, random_state=1),
        stats.genpareto.rvs(-0.25, scale=0.5, size=300, random_state=2),
        stats.expon.rvs(scale=10.0, size=500, random_state=3),
        stats.genpareto.rvs(0.7, scale=1e-3, size=250, random_state=4),
        np.abs(stats.norm.rvs(size=200, random_state=5)),
    ]
    for sample in samples:
        shape, scale = pareto_fit(sample)
        ratio = np.mean(sample) ** 2 / np.var(sample)
        far = float(np.max(sample) * 0.9)
        cases.append(
            {
                "excesses": [float(value) for value in sample],
                "shape": shape,
                "scale": scale,
                "moments_shape": float(0.5 * (1 - ratio)),
                "moments_scale": float(0.5 * np.mean(sample) * (1 + ratio)),
                "log_likelihood": float(stats.genpareto.logpdf(sample, shape, scale=scale).sum()),
                "far": far,
                "survival": float(stats.genpareto.sf(far, shape, scale=scale)),
                "level": float(stats.genpareto.isf(1e-3, shape, scale=scale)),
            }
        )
    return cases


def spot():
    cases = []
    for seed, draw in enumerate([stats.norm.rvs, stats.expon.rvs, lambda **k: stats.t.rvs(4, **k)]):
        first = np.round(draw(size=2000, random_state=seed), 6)
        threshold = np.quantile(first, 0.98)
        excesses = first[first > threshold] - threshold
        shape, scale = pareto_fit(excesses)
        risk = 1e-4
        limit = threshold + stats.genpareto.isf(risk * len(first) / len(excesses), shape, scale=scale)
        cases.append({"first": [float(value) for value in first], "risk": risk, "limit": float(limit)})
    return cases


def recursive_least_squares():
    """The closed form of exponentially weighted ridge regression."""
    random = np.random.default_rng(7)
    rows = random.normal(size=(200, 3))
    target = rows @ [0.5, -2.0, 1.0] + random.normal(scale=0.3, size=200)
    cases = []
    for forgetting, variance in [(1.0, 1.0), (0.98, 10.0)]:
        weights = forgetting ** np.arange(199, -1, -1)
        moments = (rows * weights[:, None]).T @ rows + np.eye(3) * forgetting**200 / variance
        solved = np.linalg.solve(moments, (rows * weights[:, None]).T @ target)
        cases.append({"forgetting": forgetting, "variance": variance, "rows": rows.tolist(), "target": target.tolist(), "weights": solved.tolist()})
    return cases


def neighbours():
    random = np.random.default_rng(8)
    values = np.float32(np.sin(np.arange(96) / 5) + random.normal(scale=0.1, size=96))
    windows = np.lib.stride_tricks.sliding_window_view(values.astype(float), 6)
    earlier = windows[: -6]
    distances, _ = NearestNeighbors(n_neighbors=3).fit(earlier).kneighbors(windows[-1:])
    return {"values": as_float32(values), "distance": float(distances[0, 2])}


def components():
    random = np.random.default_rng(9)
    basis, _ = np.linalg.qr(random.normal(size=(6, 6)))
    rows = random.normal(size=(2000, 6)) * [5.0, 2.0, 1.0, 0.1, 0.1, 0.1] @ basis.T + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    rows = np.round(rows, 3)
    return {"rows": rows.tolist(), "components": PCA(2).fit(rows).components_.tolist()}


def displacement():
    """Mean collusive displacement over many trees of the same points, and its standard error.

    The trees are built at once: rrcf's insertion of single points gives trees of another distribution than that.
    """
    np.random.seed(10)
    points = np.float32(np.vstack([np.random.normal(size=(30, 2)), [[4.0, 4.0]], [[0.0, 6.0]]])).astype(float)
    found = []
    for _ in range(1500):
        tree = rrcf.RCTree(points)
        found.append([tree.codisp(index) for index in range(len(points))])
    found = np.array(found)
    return {
        "points": points.tolist(),
        "mean": found.mean(axis=0).tolist(),
        "standard_error": (found.std(axis=0) / np.sqrt(len(found))).tolist(),
    }


def main():
    parts = [pareto, spot, recursive_least_squares, neighbours, components, displacement]
    print(json.dumps({part.__name__: part() for part in parts}))


main()
