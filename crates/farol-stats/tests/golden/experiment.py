"""Makes experiment.json: sequences, tests and posteriors by SciPy, NumPy and mpmath, to hold farol-stats against.

    pip install numpy==2.4.6 scipy==1.17.1 mpmath==1.4.1 && python experiment.py > experiment.json

Where no library has a method, its mixture is integrated numerically and its ends are searched for, where farol-stats has
closed forms.
"""

import json
import math

import mpmath as mp
import numpy as np
from scipy import stats
from scipy.special import logsumexp

mp.mp.dps = 30


def strength(tuned_for: float, alpha: float) -> float:
    twice = 2 * math.log(1 / alpha)
    return tuned_for / (twice + math.log(1 + twice))


def normal_mixture(count: int, variance: float, tuned_for: int, alpha: float) -> float:
    """The radius r at which the mean of exp(l S - l^2 n / 2) over l ~ N(0, 1/rho) is 1/alpha, S = n r / sd."""
    rho = mp.mpf(strength(tuned_for, alpha))

    def mixture(radius):
        total = count * radius / mp.sqrt(variance)
        peak, width = total / (count + rho), 1 / mp.sqrt(count + rho)
        density = lambda l: mp.exp(l * total - l * l * count / 2 - l * l * rho / 2) * mp.sqrt(rho / (2 * mp.pi))
        return mp.quad(density, [peak - 12 * width, peak, peak + 12 * width])

    guess = math.sqrt(variance / count) * 3
    return float(mp.findroot(lambda r: mp.log(mixture(r)) - mp.log(1 / mp.mpf(alpha)), (guess, guess * 1.1), tol=1e-22))


def means(rng) -> list[dict]:
    cases = []
    for count, tuned_for, alpha in [(2, 100, 0.05), (50, 100, 0.05), (1000, 500, 0.01), (100000, 1000, 0.1)]:
        mean, variance = float(rng.normal()), float(rng.gamma(2))
        radius = normal_mixture(count, variance, tuned_for, alpha)
        cases.append({"count": count, "observed": mean, "variance": variance, "tuned_for": tuned_for, "alpha": alpha,
                      "lower": mean - radius, "upper": mean + radius})
    return cases


def bernsteins(rng) -> list[dict]:
    cases = []
    for alpha, a, b in [(0.05, 10, 30), (0.01, 0.5, 0.5), (0.1, 1, 30)]:
        values = rng.beta(a, b, 400)
        t = np.arange(1, len(values) + 1)
        mean = (0.5 + np.cumsum(values)) / (t + 1)
        variance = (0.25 + np.cumsum((values - mean) ** 2)) / (t + 1)
        mean_before, variance_before = np.r_[0.5, mean[:-1]], np.r_[0.25, variance[:-1]]
        bet = np.minimum(np.sqrt(2 * np.log(2 / alpha) / (variance_before * t * np.log(1 + t))), 0.5)
        v, psi = 4 * (values - mean_before) ** 2, (-np.log(1 - bet) - bet) / 4
        middle = np.cumsum(bet * values) / np.cumsum(bet)
        radius = (np.log(2 / alpha) + np.cumsum(v * psi)) / np.cumsum(bet)
        cases.append({"alpha": alpha, "values": values.tolist(),
                      "lower": np.maximum.accumulate(np.maximum(middle - radius, 0)).tolist(),
                      "upper": np.minimum.accumulate(np.minimum(middle + radius, 1)).tolist()})
    return cases


def ln_against(successes: int, trials: int, rate) -> mp.mpf:
    k, f = successes, trials - successes
    peak, width = mp.mpf(k) / trials, 1 / mp.sqrt(trials)
    cuts = sorted({mp.mpf(0), mp.mpf(1), *[min(max(peak + s * width, mp.mpf(0)), mp.mpf(1)) for s in (-8, -4, -2, -1, 0, 1, 2, 4, 8)]})
    return mp.log(mp.quad(lambda q: mp.exp(k * mp.log(q / rate) + f * mp.log((1 - q) / (1 - rate))), cuts))


def proportions() -> list[dict]:
    cases = []
    for successes, trials, alpha in [(0, 10, 0.05), (7, 10, 0.05), (85, 100, 0.05), (100, 100, 0.01), (4321, 5000, 0.1), (3, 20000, 0.05)]:
        limit, observed = mp.log(1 / mp.mpf(alpha)), mp.mpf(successes) / trials
        spread = mp.sqrt((observed * (1 - observed) + mp.mpf(1) / trials) / trials)

        def end(side):
            if (side < 0 and successes == 0) or (side > 0 and successes == trials):
                return float(observed)
            far = mp.mpf("1e-9") if side < 0 else 1 - mp.mpf("1e-9")
            near = observed + side * spread / 100
            return float(mp.findroot(lambda p: ln_against(successes, trials, p) - limit, (near, far), solver="anderson", tol=1e-20))

        rate = 0.8
        cases.append({"successes": successes, "trials": trials, "alpha": alpha, "lower": end(-1), "upper": end(1),
                      "rate": rate, "ln_e_value": float(ln_against(successes, trials, mp.mpf(rate)))})
    return cases


def fewest(count: int, level: float, rho: float, limit: float) -> int:
    """The smallest number at or below the quantile whose e-value, integrated over a fine grid, is below the limit."""
    cells = 400_000
    theta = (np.arange(cells) + 0.5) * level / cells
    prior = (rho * level - 1) * np.log(theta) + (rho * (1 - level) - 1) * np.log1p(-theta)
    prior -= logsumexp(prior)
    one, zero = np.log(theta / level), np.log1p(-theta) - np.log1p(-level)
    low, high = -1, count
    while high - low > 1:
        middle = (low + high) // 2
        if logsumexp(prior + middle * one + (count - middle) * zero) < limit:
            high = middle
        else:
            low = middle
    return high


def quantiles() -> list[dict]:
    cases = []
    for count, level, tuned_for, alpha in [(5, 0.5, 100, 0.05), (60, 0.5, 100, 0.05), (1000, 0.5, 1000, 0.05), (1000, 0.95, 1000, 0.05),
                                           (20000, 0.99, 5000, 0.01), (300, 0.1, 200, 0.2), (100, 0.95, 1000, 0.05)]:
        rho, limit = strength(tuned_for, alpha), math.log(2 / alpha)
        lower = fewest(count, level, rho, limit)
        upper = fewest(count, 1 - level, rho, limit)
        cases.append({"count": count, "level": level, "tuned_for": tuned_for, "alpha": alpha,
                      "lower": lower or None, "upper": (count + 1 - upper) if upper else None})
    return cases


def comparisons(rng) -> list[dict]:
    cases = []
    for size_a, size_b, shift, scale in [(20, 30, 0.5, 0.3), (400, 500, 0.1, 0.05), (400, 100, 0.0, 1.0), (1000, 1000, 0.4, 0.1)]:
        a, b = rng.normal(1, 1, size_a), rng.normal(1 + shift, 1.5, size_b)
        difference = float(b.mean() - a.mean())
        variance = mp.mpf(float(a.var(ddof=1) / size_a + b.var(ddof=1) / size_b))
        tau = mp.mpf(scale)

        def ln_ratio(at):
            peak, width = at * tau**2 / (tau**2 + variance), tau * mp.sqrt(variance / (tau**2 + variance))
            weight = lambda d: mp.exp((2 * d * at - d * d) / (2 * variance)) * mp.npdf(d, 0, tau)
            return mp.log(mp.quad(weight, [peak - 12 * width, peak, peak + 12 * width]))

        ratio = ln_ratio(mp.mpf(difference))
        guess = 3 * mp.sqrt(variance)
        radius = mp.findroot(lambda r: ln_ratio(r) - mp.log(20), (guess, guess * 1.1), tol=1e-20)
        cases.append({"control": a.tolist(), "treatment": b.tolist(), "scale": scale, "difference": difference,
                      "ln_ratio": float(ratio), "p_value": float(min(mp.mpf(1), 1 / mp.exp(ratio))),
                      "lower": float(difference - radius), "upper": float(difference + radius)})
    return cases


def cupeds(rng) -> list[dict]:
    cases = []
    for size_a, size_b in [(5, 4), (200, 300), (1000, 900)]:
        xa, xb = rng.gamma(2, 3, size_a), rng.gamma(2, 3, size_b)
        ya, yb = 0.7 * xa + rng.normal(0, 2, size_a), 0.7 * xb + 0.3 + rng.normal(0, 2, size_b)
        x = np.r_[xa - xa.mean(), xb - xb.mean()]
        y = np.r_[ya - ya.mean(), yb - yb.mean()]
        theta = np.linalg.lstsq(x[:, None], y, rcond=None)[0][0]
        center = np.r_[xa, xb].mean()
        adjusted_a, adjusted_b = ya - theta * (xa - center), yb - theta * (xb - center)
        before = ya.var(ddof=1) / size_a + yb.var(ddof=1) / size_b
        after = adjusted_a.var(ddof=1) / size_a + adjusted_b.var(ddof=1) / size_b
        cases.append({"control": [ya.tolist(), xa.tolist()], "treatment": [yb.tolist(), xb.tolist()], "theta": float(theta),
                      "means": [float(adjusted_a.mean()), float(adjusted_b.mean())],
                      "variances": [float(adjusted_a.var(ddof=1)), float(adjusted_b.var(ddof=1))],
                      "reduction": float(1 - after / before)})
    return cases


def ratios(rng) -> list[dict]:
    cases = []
    for counts, planned in [([821, 779], [1, 1]), ([510, 490, 1000], [0.25, 0.25, 0.5]), ([4000, 4400], [0.5, 0.5]),
                            ([10, 0, 3, 5], [4, 1, 2, 3]), ([9000, 1000], [0.9, 0.1])]:
        shares = np.array(planned) / np.sum(planned)
        test = stats.chisquare(counts, shares * np.sum(counts))
        # One unit after another, each bet on by the shares so far: the urn of Polya.
        units = rng.permutation(np.repeat(np.arange(len(counts)), counts))
        urn, logs = 100 * shares, []
        for arm in units:
            logs.append(math.log(urn[arm] / urn.sum() / shares[arm]))
            urn[arm] += 1
        cases.append({"counts": counts, "planned": planned, "statistic": float(test.statistic), "p_value": float(test.pvalue),
                      "ln_e_value": math.fsum(logs)})
    return cases


def above(a: tuple[float, float], b: tuple[float, float]) -> float:
    """P(A > B) for whole parameters, by the finite sum over A's successes."""
    total = mp.mpf(0)
    for i in range(int(a[0])):
        total += mp.exp(lnb(b[0] + i, a[1] + b[1]) - mp.log(a[1] + i) - lnb(1 + i, a[1]) - lnb(*b))
    return float(total)


def lnb(a, b):
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def posteriors() -> list[dict]:
    cases = []
    for prior, first, second in [((1, 1), (0, 0), (5, 10)), ((1, 1), (85, 100), (80, 100)), ((1, 1), (3, 1000), (9, 1100)),
                                 ((1, 1), (860, 1000), (8400, 10000)), ((2, 3), (700, 1000), (730, 1000)), ((1, 1), (2, 2), (390000, 400000))]:
        case = {"prior": prior, "arms": [], "above": None}
        shapes = []
        for successes, trials in (first, second):
            a, b = prior[0] + successes, prior[1] + trials - successes
            shapes.append((a, b))
            case["arms"].append({"successes": successes, "trials": trials, "mean": float(stats.beta.mean(a, b)),
                                 "lower": float(stats.beta.ppf(0.025, a, b)), "upper": float(stats.beta.ppf(0.975, a, b))})
        case["above"] = above(*shapes)
        cases.append(case)
    return cases


def quantiles_of_jeffreys() -> list[dict]:
    return [{"successes": k, "trials": n, "lower": float(stats.beta.ppf(0.005, 0.5 + k, 0.5 + n - k)),
             "upper": float(stats.beta.ppf(0.995, 0.5 + k, 0.5 + n - k))}
            for k, n in [(0, 5), (1, 3), (50, 51), (12345, 54321), (1000000, 3000000)]]


def main() -> None:
    rng = np.random.default_rng(20240603)
    print(json.dumps({
        "means": means(rng), "bernsteins": bernsteins(rng), "proportions": proportions(), "quantiles": quantiles(),
        "comparisons": comparisons(rng), "cupeds": cupeds(rng), "ratios": ratios(rng), "posteriors": posteriors(),
        "jeffreys": quantiles_of_jeffreys(),
    }))


main()
