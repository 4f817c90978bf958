"""Makes drift_vectors.json: AUC, logistic regression, MMD, PCA and cosine by scikit-learn and SciPy, to hold farol-stats
against.

    pip install scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6 && python drift_vectors.py > drift_vectors.json
"""

import json

import numpy as np
from scipy.spatial.distance import cosine, pdist
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel

rng = np.random.default_rng(23)


def areas():
    for n, m, digits in [(1, 1, 3), (10, 7, 1), (40, 60, 1), (80, 50, 6)]:
        positive = np.round(rng.normal(0.5, 1, n), digits)
        negative = np.round(rng.normal(0, 1, m), digits)
        labels = np.r_[np.ones(n), np.zeros(m)]
        area = roc_auc_score(labels, np.r_[positive, negative])
        yield {"positive": positive.tolist(), "negative": negative.tolist(), "expected": float(area)}


def regressions():
    for n, width, penalty in [(40, 1, 1.0), (80, 3, 0.1), (120, 5, 10.0)]:
        rows = np.round(rng.normal(size=(n, width)), 4)
        labels = rng.uniform(size=n) < 1 / (1 + np.exp(-rows[:, 0] - 0.5))
        model = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-13, max_iter=1000).fit(rows, labels)
        yield {
            "rows": rows.ravel().tolist(),
            "width": width,
            "labels": labels.tolist(),
            "penalty": penalty,
            "coefficients": model.coef_[0].tolist(),
            "intercept": float(model.intercept_[0]),
        }


def vectors():
    for n, m, width, components in [(20, 15, 2, 1), (40, 25, 6, 3), (60, 30, 20, 5)]:
        spread = 3.0 / (1 + np.arange(width))
        reference = np.round(rng.normal(0.5, 1, size=(n, width)) * spread, 4)
        window = np.round(rng.normal(0.8, 1.2, size=(m, width)) * spread, 4)
        bandwidth = float(np.median(pdist(reference)))
        gamma = 1 / (2 * bandwidth**2)
        mean = lambda a, b: rbf_kernel(a, b, gamma=gamma).mean()
        frequencies = np.round(rng.normal(size=(16, width)) / bandwidth, 4)
        features = lambda x: np.hstack([np.cos(x @ frequencies.T), np.sin(x @ frequencies.T)]) / 4
        pca = PCA(components, svd_solver="full").fit(reference)
        rebuilt = pca.inverse_transform(pca.transform(window))
        yield {
            "reference": reference.ravel().tolist(),
            "window": window.ravel().tolist(),
            "width": width,
            "cosine": float(cosine(reference.mean(0), window.mean(0))),
            "bandwidth": bandwidth,
            "discrepancy": float(mean(reference, reference) + mean(window, window) - 2 * mean(reference, window)),
            "frequencies": frequencies.ravel().tolist(),
            "feature_discrepancy": float(((features(reference).mean(0) - features(window).mean(0)) ** 2).sum()),
            "components": components,
            "errors": ((window - rebuilt) ** 2).mean(1).tolist(),
        }


print(json.dumps({"areas": list(areas()), "regressions": list(regressions()), "vectors": list(vectors())}))
