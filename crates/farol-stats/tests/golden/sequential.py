"""Makes sequential.json: values of e-detectors and run lengths of CUSUM, to hold farol-stats against.

    pip install numpy==2.4.6 scipy==1.17.1 && python sequential.py > sequential.json

The e-detector's value is written out as the sum over all starts of the product of the factors since, not by its
recurrence; windows as the plain mean over all orders (small ones) or over all hypergeometric draws (large ones); CUSUM's
run length by solving the whole dense system.
"""

import itertools
import json
import math

import numpy as np
from scipy.special import gammaln

SIZES = [0.05 * 2 ** (i / 2) for i in range(11)]
POWERS = [size**-1.5 for size in SIZES[2:]]
WEIGHTS = [0.05, 0.05] + [0.9 * power / sum(POWERS) for power in POWERS]


def factors_of(baseline: float, direction: str) -> list[tuple[float, float]]:
    """What a 1 and what a 0 multiplies by, for each alternative."""
    angle = 2 * math.asin(math.sqrt(baseline))
    found = []
    for size in SIZES:
        if direction == "decrease":
            other = max(angle - size, 0.05 * angle)
        else:
            other = min(angle + size, math.pi - 0.05 * (math.pi - angle))
        mean = math.sin(other / 2) ** 2
        found.append((mean / baseline, (1 - mean) / (1 - baseline)))
    return found


def one_by_one(baseline: float, direction: str, values: np.ndarray) -> list[float]:
    total = np.zeros(len(values))
    for weight, (one, zero) in zip(WEIGHTS, factors_of(baseline, direction)):
        # 1 + slope (x - m), which is the interpolation of the two factors.
        slope = one - zero
        logs = np.log1p(slope * (values - baseline))
        for end in range(1, len(values) + 1):
            total[end - 1] += weight * sum(math.exp(math.fsum(logs[start:end])) for start in range(end))
    return total.tolist()


def over_all_orders(before: float, one: float, zero: float, ones: int, trials: int) -> float:
    found = []
    for places in itertools.combinations(range(trials), ones):
        value = before
        for place in range(trials):
            value = (one if place in places else zero) * (value + 1)
        found.append(value)
    return math.fsum(found) / len(found)


def choose(n, k):
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def over_all_draws(before: float, one: float, zero: float, ones: int, trials: int) -> float:
    zeros = trials - ones
    value = before * math.exp(ones * math.log(one) + zeros * math.log(zero))
    for last in range(1, trials + 1):
        s = np.arange(max(0, last - zeros), min(ones, last) + 1)
        logs = choose(ones, s) + choose(zeros, last - s) - choose(trials, last)
        value += float(np.exp(logs + s * math.log(one) + (last - s) * math.log(zero)).sum())
    return value


def by_windows(baseline: float, direction: str, windows: list[tuple[int, int]]) -> list[float]:
    total = [0.0] * len(windows)
    for weight, (one, zero) in zip(WEIGHTS, factors_of(baseline, direction)):
        value = 0.0
        for place, (ones, trials) in enumerate(windows):
            mean = over_all_orders if trials <= 12 else over_all_draws
            value = mean(value, one, zero, ones, trials)
            total[place] += weight * value
    return total


def run_length(up: int, down: int, threshold: int, rising: float) -> float:
    matrix = np.eye(threshold)
    for score in range(threshold):
        matrix[score, max(0, score - down)] -= 1 - rising
        if score + up < threshold:
            matrix[score, score + up] -= rising
    return float(np.linalg.solve(matrix, np.ones(threshold))[0])


def cusum(baseline: float, alternative: float, asked: float) -> dict:
    one = math.log(alternative / baseline)
    zero = math.log((1 - alternative) / (1 - baseline))
    up, down = max(one, zero), -min(one, zero)
    unit = min(up, down) / math.ceil(50 * min(up, down) / max(up, down))
    up, down = round(up / unit), round(down / unit)
    rising = baseline if one > 0 else 1 - baseline
    low, high = 0, 1
    while run_length(up, down, high, rising) < asked:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if run_length(up, down, middle, rising) >= asked:
            high = middle
        else:
            low = middle
    rates = [baseline, alternative, (baseline + alternative) / 2]
    return {
        "baseline": baseline,
        "alternative": alternative,
        "asked": asked,
        "lattice": [up, down, high],
        "rates": rates,
        "run_lengths": [run_length(up, down, high, rate if one > 0 else 1 - rate) for rate in rates],
    }


def main() -> None:
    rng = np.random.default_rng(20240601)
    singles, windows = [], []
    for baseline, direction, mean in [
        (0.85, "decrease", 0.8), (0.5, "decrease", 0.5), (0.99, "decrease", 0.9), (0.02, "decrease", 0.01),
        (0.02, "increase", 0.05), (0.3, "increase", 0.3), (0.98, "increase", 0.99), (0.0005, "increase", 0.01),
    ]:
        binary = (rng.random(120) < mean).astype(float)
        bounded = rng.beta(4 * mean, 4 * (1 - mean), 120)
        for values in (binary, bounded):
            singles.append({
                "baseline": baseline, "direction": direction, "values": values.tolist(),
                "expected": one_by_one(baseline, direction, values),
            })
        sizes = [1, 5, 9, 0, 12, 40, 300, 1500]
        counts = [(int(rng.binomial(size, mean)), size) for size in sizes]
        windows.append({
            "baseline": baseline, "direction": direction, "counts": counts,
            "expected": by_windows(baseline, direction, counts),
        })
    rules = [cusum(*case) for case in [(0.85, 0.8, 1e5), (0.5, 0.4, 1e4), (0.99, 0.95, 1e4), (0.02, 0.05, 1e4), (0.2, 0.1, 500)]]
    print(json.dumps({"singles": singles, "windows": windows, "cusum": rules}))


main()
