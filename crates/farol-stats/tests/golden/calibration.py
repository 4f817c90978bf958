"""Makes calibration.json: calibrations and expected performance by scikit-learn, to hold farol-stats against.

    pip install numpy==2.4.6 scikit-learn==1.9.1 mpmath==1.4.1 && python calibration.py > calibration.json

Platt's curve is the zero of its gradient to 30 digits by mpmath, and the script checks that scikit-learn's logistic
regression without penalty finds the same. Expected performance is scikit-learn's metrics of every row taken twice: as a
positive with weight p and as a negative with weight 1 - p.
"""

import json

import mpmath as mp
import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score


def platt(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    positive, negative = int(labels.sum()), int((~labels).sum())
    high, low = (positive + 1) / (positive + 2), 1 / (negative + 2)
    targets = np.where(labels, high, low)
    rows = np.concatenate([scores, scores]).reshape(-1, 1)
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    model.fit(rows, np.repeat([1, 0], len(scores)), sample_weight=np.concatenate([targets, 1 - targets]))
    mp.mp.dps = 30

    def gradient(slope, intercept):
        errors = [mp.mpf(float(t)) - 1 / (1 + mp.exp(slope * float(s) + intercept)) for s, t in zip(scores, targets)]
        return mp.fsum(e * float(s) for e, s in zip(errors, scores)), mp.fsum(errors)

    start = (-float(model.coef_[0, 0]), -float(model.intercept_[0]))
    slope, intercept = mp.findroot(gradient, start)
    assert abs(slope - start[0]) < 1e-6 * (1 + abs(slope)) and abs(intercept - start[1]) < 1e-6 * (1 + abs(intercept))
    return float(slope), float(intercept)


def calibrations(rng: np.random.Generator) -> list[dict]:
    cases = []
    for rows, scale, digits in [(5, 1.0, 1), (40, 1.0, 1), (300, 1.0, 2), (300, 1.0, 6), (200, 1000.0, 0), (150, 1e-3, 6)]:
        truth = rng.random(rows)
        labels = rng.random(rows) < truth**2
        labels[:2] = [True, False]
        scores = np.round(scale * np.clip(truth + rng.normal(0, 0.2, rows), 0, 1), digits)
        at = np.concatenate([scale * np.linspace(-0.2, 1.2, 57), scores])
        isotonic = IsotonicRegression(out_of_bounds="clip").fit(scores, labels.astype(float))
        slope, intercept = platt(scores, labels)
        cases.append({
            "scores": scores.tolist(), "labels": labels.tolist(), "at": at.tolist(),
            "isotonic": isotonic.predict(at).tolist(),
            "slope": slope, "intercept": intercept,
            "platt": [float(1 / (1 + mp.exp(slope * float(s) + intercept))) for s in at],
        })
    return cases


def performances(rng: np.random.Generator) -> list[dict]:
    cases = []
    for rows, threshold, digits in [(3, 0.5, 2), (50, 0.5, 1), (400, 0.3, 2), (1000, 0.8, 8)]:
        probabilities = np.round(rng.beta(1.2, 0.8, rows), digits)
        scores = np.round(probabilities**3, digits)
        predicted = probabilities >= threshold
        truth = np.repeat([1, 0], rows)
        weights = np.concatenate([probabilities, 1 - probabilities])
        twice = np.concatenate([predicted, predicted]).astype(int)
        cases.append({
            "probabilities": probabilities.tolist(), "scores": scores.tolist(), "predicted": predicted.tolist(),
            "accuracy": float(accuracy_score(truth, twice, sample_weight=weights)),
            "precision": float(precision_score(truth, twice, sample_weight=weights)),
            "recall": float(recall_score(truth, twice, sample_weight=weights)),
            "f1": float(f1_score(truth, twice, sample_weight=weights)),
            "area": float(roc_auc_score(truth, np.concatenate([scores, scores]), sample_weight=weights)),
            "deviation": float(np.sqrt((probabilities * (1 - probabilities)).sum()) / rows),
        })
    return cases


def main() -> None:
    rng = np.random.default_rng(20240602)
    print(json.dumps({"calibrations": calibrations(rng), "performances": performances(rng)}))


main()
