"""Makes conformal.json: values of the conformal detector, to hold farol-stats against.

    pip install numpy==2.3.5 scipy==1.17.1 && python conformal.py > conformal.json

Ranks come from SciPy's percentileofscore over the last 720 scores; the value is written out as the sum over all starts of the
product of the betting factors since, not by its recurrence. Scores are ranked as the detector remembers them: in steps of a 2048th of
a doubling of 1 + their size.
"""

import json
import math

import numpy as np
from scipy.stats import percentileofscore

REMEMBERED = 720
EXPONENTS = [0.15, 0.3, 0.5, 0.75]


def p_values(scores: np.ndarray) -> list[float]:
    found = []
    for place, score in enumerate(scores):
        past = scores[max(0, place - REMEMBERED):place]
        below = percentileofscore(past, score, kind="strict") / 100 * len(past) if len(past) else 0.0
        found.append((len(past) - round(below) + 1) / (len(past) + 1))
    return found


def values(p: list[float], places: list[int]) -> list[float]:
    found = []
    for end in places:
        total = 0.0
        for exponent in EXPONENTS:
            logs = [math.log(exponent) + (exponent - 1) * math.log(one) for one in p[:end + 1]]
            total += math.fsum(math.exp(math.fsum(logs[start:])) for start in range(end + 1))
        found.append(total / len(EXPONENTS))
    return found


def main() -> None:
    rng = np.random.default_rng(20261127)
    cases = []
    for scores, places in [
        (rng.standard_normal(60), list(range(60))),
        (rng.integers(0, 4, 80).astype(float), list(range(0, 80, 7))),
        (np.concatenate([rng.standard_cauchy(900), 50 + rng.random(8)]), [0, 100, 719, 720, 721, 899, 902, 905, 907]),
    ]:
        steps = np.copysign(np.round(2048 * np.log2(1 + np.abs(scores))), scores)
        p = p_values(np.clip(steps, -32768, 32767))
        cases.append({"scores": scores.tolist(), "p_values": p, "places": places, "expected": values(p, places)})
    print(json.dumps({"cases": cases}))


main()
