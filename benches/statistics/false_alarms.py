#!/usr/bin/env python3
"""False alarms and power of Farol's drift decision beside Evidently's defaults, on the same samples of real traffic.

    traces ──seed──▶ pairs of samples ─┬─▶ example drift_samples (Farol) ─┬─▶ alarm rates, as Markdown
                                       └─▶ Evidently's default tests ─────┘

An alarm of Farol: significant at 0.05 after adjustment, and a debiased effect of 0.1. A column alone is a family of one test; the
columns of a report are one family. An alarm of Evidently: its default test for the kind of the column and the size of the
reference, at its default threshold. Its tests are called one by one for speed; that this is what its preset says is checked in
the same run, on twenty columns of each size and kind.

    cargo build --release -p farol-stats --examples
    benches/statistics/false_alarms.py --samples target/release/examples/drift_samples --data DIR [--repetitions 600] [--seed 1]
"""
import argparse, json, subprocess, sys, tempfile, time, warnings, zlib

import numpy as np
import pandas as pd
from scipy.stats import binomtest

import traffic
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests.registry import get_stattest
from evidently.presets import DataDriftPreset

warnings.filterwarnings("ignore")
LEVEL, ROUNDS, REPORT_ROUNDS = 0.05, 499, 1_999
SIZES, CATEGORIES = [50, 100, 200, 500, 1_000, 2_000], [2, 5, 20, 50, 200]
SHIFTS, GAINS = [0.1, 0.2, 0.5], [5, 10, 20]
KIND = {"numbers": "num", "categories": "cat"}
NAMES = {"numbers": ["Wasserstein", "KS", "Wasserstein of sketches"], "categories": ["PSI", "JSD"]}


def series(kind, values):
    return pd.Series(values) if kind == "numbers" else pd.Series(values).astype(str)


def evidently(kind, reference, window):
    """What Evidently says of a column by default: the score, and whether it is drift."""
    reference, window = series(kind, reference), series(kind, window)
    found = get_stattest(reference, window, KIND[kind], None)(reference, window, KIND[kind], None)
    return float(found.drift_score), bool(found.drifted)


def agrees_with_preset(kind, pairs):
    """Stops where the preset says something else of these pairs, as columns of one report, than the tests one by one."""
    frames = [pd.DataFrame({f"c{place}": series(kind, pair[side]) for place, pair in enumerate(pairs)}) for side in (0, 1)]
    columns = list(frames[0])
    definition = DataDefinition(numerical_columns=columns) if kind == "numbers" else DataDefinition(categorical_columns=columns)
    reference, window = (Dataset.from_pandas(frame, definition) for frame in frames)
    metrics = Report([DataDriftPreset()]).run(window, reference).dict()["metrics"]
    for place, (before, after) in enumerate(pairs):
        [value] = [metric["value"] for metric in metrics if metric["metric_name"].startswith(f"ValueDrift(column=c{place},")]
        score, _ = evidently(kind, before, after)
        if not np.isclose(float(value), score, rtol=1e-9, atol=1e-12, equal_nan=True):
            raise SystemExit(f"Evidently's preset says {value} and its test {score}")


class Bench:
    def __init__(self, o):
        self.samples, self.seed, self.repetitions = o.samples, o.seed, o.repetitions
        self.pools = traffic.numbers(o.data)
        self.mixes = {count: traffic.categories(self.pools, count) for count in CATEGORIES}
        self.start, self.checked = time.monotonic(), 0

    def generator(self, *case):
        return np.random.default_rng([self.seed, zlib.crc32(repr(case).encode())])

    def both(self, columns, rounds=ROUNDS):
        """Farol's tests and Evidently's answer for each (report or None, kind, reference, window)."""
        with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as file:
            for report, kind, reference, window in columns:
                file.write(json.dumps({"report": report, "kind": kind, "reference": reference.tolist(), "window": window.tolist()}) + "\n")
            file.flush()
            farol = subprocess.Popen([self.samples, file.name, str(rounds), str(LEVEL)], stdout=subprocess.PIPE, text=True)
            theirs = [evidently(kind, reference, window) for _, kind, reference, window in columns]
            ours = [json.loads(line)["tests"] for line in farol.communicate()[0].splitlines()]
        if farol.returncode or len(ours) != len(theirs):
            raise SystemExit("drift_samples failed")
        return ours, theirs

    def rates(self, kind, n, draw, repetitions, check=False, *case):
        """How often each of Farol's tests and Evidently alarmed, and how often Farol's p alone would have."""
        generator = self.generator(kind, n, *case)
        pairs = [draw(generator) for _ in range(repetitions)]
        if check:
            agrees_with_preset(kind, pairs[:20])
            self.checked += 1
        ours, theirs = self.both([(None, kind, *pair) for pair in pairs])
        tests = range(len(NAMES[kind]))
        return {"alarms": [sum(line[test]["drift"] for line in ours) for test in tests],
                "p": [sum(line[test]["p_value"] <= LEVEL for line in ours) for test in tests],
                "evidently": sum(drifted for _, drifted in theirs), "of": repetitions}

    def progress(self, what):
        print(f"{time.monotonic() - self.start:6.0f} s  {what}", file=sys.stderr, flush=True)


def percent(count, of):
    return f"{100 * count / of:.1f}"


def cell(rates, of="alarms"):
    counts = rates[of] + ([rates["evidently"]] if of == "alarms" else [])
    return " / ".join(percent(count, rates["of"]) for count in counts)


def table(title, heading, rows):
    print(f"\n### {title}\n\n| {' | '.join(heading)} |\n|{'---|' * len(heading)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.stdout.flush()


class Level:
    """Whether rates under no change stay at the level."""

    def __init__(self):
        self.cells = []

    def add(self, where, names, counts, of):
        self.cells += [(f"{where}, {name}", count, of) for name, count in zip(names, counts)]

    def say(self, what):
        chances = [binomtest(count, of, LEVEL, alternative="greater").pvalue for _, count, of in self.cells]
        where, count, of = max(self.cells, key=lambda entry: entry[1] / entry[2])
        interval = binomtest(count, of).proportion_ci(0.95)
        over = [f"{name} ({percent(count, of)} %)" for (name, count, of), chance in zip(self.cells, chances) if chance < 0.01 / len(chances)]
        print(f"\n{what}: the highest of {len(self.cells)} rates is {percent(count, of)} % (95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f}; "
              f"{where}); above {100 * LEVEL:.0f} % at 0.01, counting all rates: {', '.join(over) or 'none'}; at 0.01 each for itself: "
              f"{sum(chance < 0.01 for chance in chances)}.")


def no_change_of_numbers(bench):
    alarms, alone, rows = Level(), Level(), []
    for name, pool in bench.pools.items():
        for n in SIZES:
            found = bench.rates("numbers", n, lambda generator: traffic.pair(generator, pool, n), bench.repetitions, name == "code, input", name)
            alarms.add(f"{name}, n = {n}", NAMES["numbers"], found["alarms"], found["of"])
            alone.add(f"{name}, n = {n}", NAMES["numbers"], found["p"], found["of"])
            rows.append([name, f"{n:,}", *(percent(count, found["of"]) for count in found["alarms"]), percent(found["evidently"], found["of"]),
                         cell(found, "p")])
        bench.progress(f"no change, {name}")
    table(f"Numbers, no change: alarms in percent of {bench.repetitions:,} pairs",
          ["values", "n", *NAMES["numbers"], "Evidently", "Farol's p alone: Wasserstein / KS / sketches"], rows)
    alarms.say("Farol's decision")
    alone.say("Farol's p alone")


def no_change_of_categories(bench):
    alarms, alone, rows, p_rows = Level(), Level(), [], []
    for mix in ("even", "uneven"):
        for n in SIZES:
            row, p_row = [mix, f"{n:,}"], [mix, f"{n:,}"]
            for count in CATEGORIES:
                pool = bench.mixes[count][mix]
                found = bench.rates("categories", n, lambda generator: traffic.pair(generator, pool, n), bench.repetitions, (mix, count) == ("even", 20),
                                    mix, count)
                for level, of in ((alarms, "alarms"), (alone, "p")):
                    level.add(f"{mix}, n = {n}, {count} categories", NAMES["categories"], found[of], found["of"])
                row.append(cell(found))
                p_row.append(cell(found, "p"))
            rows.append(row)
            p_rows.append(p_row)
            bench.progress(f"no change, {mix} mix, n = {n}")
    heading = ["mix", "n", *(f"{count} categories" for count in CATEGORIES)]
    table(f"Categories, no change: alarms in percent of {bench.repetitions:,} pairs, PSI / JSD / Evidently", heading, rows)
    table("Categories, no change: Farol's p alone, PSI / JSD", heading, p_rows)
    alarms.say("Farol's decision")
    alone.say("Farol's p alone")


def reports(bench, count):
    """Twenty columns a report, all without change: how often is there any alarm?"""
    rows, level = [], Level()
    pools = list(bench.pools.values())
    for n in SIZES:
        generator, columns = bench.generator("report", n), []
        for report in range(count):
            columns += [(report, "numbers", *traffic.pair(generator, pools[place % len(pools)], n)) for place in range(15)]
            columns += [(report, "categories", *traffic.pair(generator, bench.mixes[number]["uneven"], n)) for number in CATEGORIES]
        ours, theirs = bench.both(columns, REPORT_ROUNDS)
        reported = [column[0] for column in columns]
        any_of = lambda answers: len({report for report, answer in zip(reported, answers) if answer})
        counts = [any_of(line[test]["drift"] for line in ours) for test in (0, 1)]
        adjusted = [any_of(line[test]["adjusted"] <= LEVEL for line in ours) for test in (0, 1)]
        level.add(f"n = {n}", ["Wasserstein and PSI", "KS and JSD"], adjusted, count)
        rows.append([f"{n:,}", *(percent(number, count) for number in [*counts, any_of(drifted for _, drifted in theirs)]),
                     " / ".join(percent(number, count) for number in adjusted)])
        bench.progress(f"reports, n = {n}")
    table(f"Reports of 20 columns (15 of numbers; 2, 5, 20, 50 and 200 categories, uneven), no change: with any alarm, in percent of {count} reports",
          ["n", "Wasserstein and PSI", "KS and JSD", "Evidently", "Farol's adjusted p alone"], rows)
    level.say("Farol's adjusted p alone")


def as_it_came(bench, repetitions):
    rows = []
    for n in SIZES:
        row = [f"{n:,}"]
        for name, pool in bench.pools.items():
            row.append(cell(bench.rates("numbers", n, lambda generator: traffic.consecutive(generator, pool, n), repetitions, False, name, "came")))
        rows.append(row)
    bench.progress("as it came")
    table(f"Numbers as they came, n requests and the next n: alarms in percent of {repetitions} places, Wasserstein / KS / sketches / Evidently",
          ["n", *bench.pools], rows)


def power(bench, repetitions):
    rows = []
    for name, pool in bench.pools.items():
        for n in SIZES:
            row = [name, f"{n:,}"]
            for shift in SHIFTS:
                def draw(generator):
                    reference, window = traffic.pair(generator, pool, n)
                    return reference, traffic.moved(pool, window, shift)
                row.append(cell(bench.rates("numbers", n, draw, repetitions, False, name, shift)))
            rows.append(row)
        bench.progress(f"power, {name}")
    table(f"Numbers, moved by standard deviations: alarms in percent of {repetitions} pairs, Wasserstein / KS / sketches / Evidently",
          ["values", "n", *(f"{shift} σ" for shift in SHIFTS)], rows)
    rows = []
    for mix in ("even", "uneven"):
        for points in GAINS:
            for n in SIZES:
                row = [mix, f"{points}", f"{n:,}"]
                for count in CATEGORIES:
                    pool = bench.mixes[count][mix]
                    def draw(generator):
                        reference, window = traffic.pair(generator, pool, n)
                        return reference, traffic.gained(generator, pool, window, points)
                    row.append(cell(bench.rates("categories", n, draw, repetitions, False, mix, points, count)))
                rows.append(row)
            bench.progress(f"power, {mix} mix, {points} points")
    table(f"Categories, the one of middle rank gains: alarms in percent of {repetitions} pairs, PSI / JSD / Evidently",
          ["mix", "points", "n", *(f"{count} categories" for count in CATEGORIES)], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", required=True, help="the example drift_samples, built")
    parser.add_argument("--data", required=True, help="the folder that holds workloads/")
    parser.add_argument("--repetitions", type=int, default=600, help="pairs a rate under no change; a fifth of it for all else")
    parser.add_argument("--seed", type=int, default=1)
    bench = Bench(parser.parse_args())
    fewer = max(bench.repetitions // 5, 1)
    no_change_of_numbers(bench)
    no_change_of_categories(bench)
    reports(bench, fewer)
    as_it_came(bench, fewer)
    power(bench, fewer)
    print(f"\nThe tests that stand for Evidently's preset agreed with it on {20 * bench.checked} columns.")


if __name__ == "__main__":
    main()
