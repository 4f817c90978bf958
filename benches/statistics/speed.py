#!/usr/bin/env python3
"""What drift of whole columns and watching of series cost, beside Evidently, SciPy, scikit-learn and river, in one run.

    traces ──seed──▶ 15 columns of numbers, 5 of categories, a reference and a window ─┬─▶ example drift_speed (Farol)
                                                                                       ├─▶ Evidently's data drift preset
                                                                                       └─▶ SciPy; scikit-learn
    a day's rhythm and noise, a value a minute and series ─┬─▶ example series_cost (Farol)
                                                           └─▶ river's detectors

Time is of one thread's processor, with data in memory: reading, parsing and building of frames is left out of all sides. Three
columns of numbers are moved by 0.3 standard deviations and one category gains 20 points. River's detectors watch fewer series, and
what they cost is counted up in proportion; their values are those of `series_cost`, number for number.

    cargo build --release -p farol-stats --examples
    benches/statistics/speed.py --examples target/release/examples --data DIR [--rows 1000000] [--series 10000] [--seed 1]
"""
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse, concurrent.futures, json, math, multiprocessing, pathlib, re, resource, subprocess, tempfile, time, warnings

import numpy as np
import pandas as pd
from river import anomaly, time_series
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import traffic
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

warnings.filterwarnings("ignore")
NUMBERS, CATEGORIES, CLASSIFIED_ROWS, FOLDS = 15, [2, 5, 20, 50, 200], 100_000, 5
WARM, STEPS = 300, 20


def columns(data, rows, seed):
    """Name → (reference, window): tokens as they are, and durations that go with them; categories as texts."""
    generator, pools, found = np.random.default_rng(seed), traffic.numbers(data), {}
    for place in range(NUMBERS):
        pool = list(pools.values())[place % len(pools)]
        sides = [generator.choice(pool, rows) for _ in range(2)]
        if place % 5 == 4:
            sides[1] = traffic.moved(pool, sides[1], 0.3)
        if place % 2:
            sides = [side * generator.lognormal(0, 0.3, rows) / 50 for side in sides]
        found[f"number{place:02}"] = sides
    for count in CATEGORIES:
        pool = traffic.categories(pools, count)["uneven"]
        sides = [generator.choice(pool, rows) for _ in range(2)]
        if count == 20:
            sides[1] = traffic.gained(generator, pool, sides[1], 20)
        texts = np.array([f"category-{code}" for code in range(count)], object)
        found[f"category{count:03}"] = [texts[side] for side in sides]
    return found


def timed(work):
    processor, wall = time.process_time(), time.perf_counter()
    answer = work()
    return answer, time.process_time() - processor, time.perf_counter() - wall


def farol(examples, data):
    """What each way of drift_speed took, by its name."""
    with tempfile.TemporaryDirectory(prefix="farol-speed-") as directory:
        for name, sides in data.items():
            for side, values in zip(("reference", "window"), sides):
                path = pathlib.Path(directory, f"{name}.{side}")
                if name.startswith("number"):
                    path.with_name(path.name + ".f64").write_bytes(values.astype("<f8").tobytes())
                else:
                    path.with_name(path.name + ".txt").write_text("\n".join(values) + "\n")
        done = subprocess.run([examples / "drift_speed", directory], stdout=subprocess.PIPE, text=True, check=True)
    return {line["way"]: line for line in map(json.loads, done.stdout.splitlines())}


def evidently(data):
    frames = [pd.DataFrame({name: sides[side] for name, sides in data.items()}) for side in (0, 1)]
    definition = DataDefinition(numerical_columns=[name for name in data if name.startswith("number")],
                                categorical_columns=[name for name in data if name.startswith("category")])
    reference, window = (Dataset.from_pandas(frame, definition) for frame in frames)
    report, processor, wall = timed(lambda: Report([DataDriftPreset()]).run(window, reference).dict())
    [count] = [metric["value"]["count"] for metric in report["metrics"] if metric["metric_name"].startswith("DriftedColumnsCount")]
    return int(count), processor, wall


def scipy(data):
    """The same tests without any report around them. Both answers of a column are computed; the distance decides, as in Evidently."""
    series = {name: [pd.Series(side) for side in sides] for name, sides in data.items()}

    def work():
        drifted = 0
        for name, (reference, window) in series.items():
            if name.startswith("number"):
                ks_2samp(reference, window)
                drifted += wasserstein_distance(reference, window) / reference.std(ddof=0) >= 0.1
            else:
                counts = pd.concat([reference.value_counts(), window.value_counts()], axis=1).fillna(0).to_numpy()
                chi2_contingency(counts.T, correction=False)
                drifted += jensenshannon(*counts.T) >= 0.1
        return int(drifted)
    return timed(work)


def classifier(data):
    """scikit-learn's fits for what Farol's domain classifier does with one draw: five folds, twice."""
    sides = [np.column_stack([pair[side][:CLASSIFIED_ROWS] for name, pair in data.items() if name.startswith("number")]) for side in (0, 1)]
    rows, labels = np.concatenate(sides), np.repeat([0, 1], [len(side) for side in sides])

    def work():
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0))
        areas = [cross_val_score(model, rows, each, cv=FOLDS, scoring="roc_auc").mean()
                 for each in (labels, np.random.default_rng(1).permutation(labels))]
        return areas[0]
    return timed(work)


def value(series, minute):
    """As series_cost's."""
    mask = (1 << 64) - 1
    mixed = ((series + 1) * 0x9E37_79B9_7F4A_7C15 & mask) ^ ((minute + 1) * 0xD1B5_4A32_D192_ED03 & mask)
    noise = ((mixed ^ mixed >> 29) * 0xBF58_476D_1CE4_E5B9 & mask) >> 40
    return 100 + 20 * math.sin(minute / 1440 * math.tau) + noise / (1 << 24) * 10


def half_space_trees(detector, number):
    row = {"value": (number - 70) / 70}
    detector.score_one(row)
    detector.learn_one(row)


def gaussian(detector, number):
    detector.score_one(None, number)
    detector.learn_one(None, number)


def forecast(detector, number):
    # There is nothing to forecast from before the first value.
    if detector.predictive_model.level:
        detector.score_one(None, number)
    detector.learn_one(None, number)


# How many series each watches: trees of 10,000 series would not fit into memory.
RIVER = {
    "river HalfSpaceTrees": (200, lambda: anomaly.HalfSpaceTrees(seed=1), half_space_trees),
    "river GaussianScorer": (10_000, anomaly.GaussianScorer, gaussian),
    "river PredictiveAnomalyDetection, HoltWinters":
        (10_000, lambda: anomaly.PredictiveAnomalyDetection(time_series.HoltWinters(alpha=0.3, beta=0.1)), forecast),
}


def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def river(name):
    """How many series were watched, processor seconds of a step of one, and bytes of one."""
    count, new, step = RIVER[name]
    values = [[value(place, minute) for place in range(count)] for minute in range(WARM + STEPS)]
    before = resident()
    detectors = [new() for _ in range(count)]

    def run(minutes):
        for minute in minutes:
            for detector, number in zip(detectors, values[minute]):
                step(detector, number)
    run(range(WARM))
    size = (resident() - before) / count
    _, processor, _ = timed(lambda: run(range(WARM, WARM + STEPS)))
    return count, processor / STEPS / count, size


def series_table(examples, series):
    print(f"\n| {series:,} series, a value each | watched | processor s a step | times Farol's watches | bytes a series |\n|---|--:|--:|--:|--:|")
    names = {"rates": "Farol, watches of rates", "ensemble": "Farol, ensemble", "watches": "Farol, watches of series"}
    cost = {}
    for way in names:
        done = subprocess.run([examples / "series_cost", way, str(series)], stdout=subprocess.PIPE, text=True, check=True)
        cost[way] = [float(figure) for figure in re.search(r"([\d.]+) s of one core a step, (\d+) bytes", done.stdout).groups()]
    seconds, _ = cost["watches"]
    for way, name in names.items():
        print(f"| {name} | {series:,} | {cost[way][0]:.4f} | {cost[way][0] / seconds:.1f} | {cost[way][1]:,.0f} |", flush=True)
    for name in RIVER:
        # A process of its own, or it would take up memory that the work before has left.
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
            count, one, theirs = alone.submit(river, name).result()
        print(f"| {name} | {count:,} | {one * series:.4f} | {one * series / seconds:.1f} | {theirs:,.0f} |", flush=True)


def drift_table(examples, data, rows):
    ours = farol(examples, data)
    count, processor, wall = evidently(data)
    drifted, scipy_processor, scipy_wall = scipy(data)
    lines = [("Evidently, DataDriftPreset", processor, wall, count), ("SciPy, the same columns", scipy_processor, scipy_wall, drifted)]
    names = {"values": "Farol, values sorted: KS, Wasserstein, PSI", "sketches": "Farol, values into sketches: KS, Wasserstein's test, PSI",
             "kept": "Farol, sketches and counts that were kept: the same"}
    lines += [(name, ours[way]["processor_seconds"], ours[way]["wall_seconds"], len(ours[way]["drifted"])) for way, name in names.items()]
    print(f"\n| {len(data)} columns, {rows:,} rows against {rows:,} | processor s | wall s | Evidently's is times as much | SciPy's is | drifted |\n"
          "|---|--:|--:|--:|--:|--:|")
    for name, seconds, wall, count in lines:
        print(f"| {name} | {seconds:.3f} | {wall:.3f} | {processor / seconds:,.1f} | {scipy_processor / seconds:,.1f} | {count} |", flush=True)
    area, seconds, wall = classifier(data)
    mine = ours["rows"]
    print(f"\n| domain classifier, {NUMBERS} columns, {min(rows, CLASSIFIED_ROWS):,} rows a side, twice {FOLDS} fits | processor s | wall s | times Farol's |\n"
          f"|---|--:|--:|--:|\n| scikit-learn, area {area:.3f} | {seconds:.3f} | {wall:.3f} | {seconds / mine['processor_seconds']:.1f} |\n"
          f"| Farol | {mine['processor_seconds']:.3f} | {mine['wall_seconds']:.3f} | 1 |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", required=True, type=pathlib.Path, help="the folder of built examples")
    parser.add_argument("--data", required=True, help="the folder that holds workloads/")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    o = parser.parse_args()
    drift_table(o.examples, columns(o.data, o.rows, o.seed), o.rows)
    series_table(o.examples, o.series)


if __name__ == "__main__":
    main()
