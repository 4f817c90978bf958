#!/usr/bin/env python3
"""Compares the lake with the published workload traces, knowing both only by their documentation.

    workloads.py --lake DIR/lake azure-llm=PATH mooncake=PATH servegen=PATH…
    workloads.py azure-llm=PATH                        only prints what is expected

For each service (and each client of ServeGen) it computes from the files alone: rows, sums of tokens, rows without token
counts, first and last event time; then reads the table `traces` with another implementation of Delta Lake (PyPI
`deltalake` and `pyarrow`) and compares. It also demands that what the traces do not say is null, and that ids are unique.
Exit 0 when everything is equal; otherwise 1, with one line for each difference.
"""
import argparse
import ast
import bisect
import csv
import json
import math
import pathlib
import sys
from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)
ABSENT = ["input", "output", "latency_ms", "time_to_first_token_ms", "cost", "status", "trace_id", "span_id", "response_model",
          "provider", "session_id", "finish_reason", "cache_read_tokens", "temperature", "start_time"]
STRATA_MAX = 1024
STRIDES = {"gaps": 732_051, "input": 618_034, "output": 414_214, "ratio": 236_068}  # √3−1, (√5−1)/2, √2−1, √5−2


class Group:
    """What the rows of one service, or of one of its clients, add up to."""

    def __init__(self):
        self.rows = self.input_tokens = self.output_tokens = self.reasoning_tokens = self.without_tokens = 0
        self.first_us = self.last_us = None

    def times(self, *times_us):
        known = [t for t in (self.first_us, self.last_us, *times_us) if t is not None]
        self.first_us, self.last_us = min(known), max(known)

    def add(self, time_us, input_tokens, output_tokens):
        self.rows += 1
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        self.times(time_us)


def microseconds(t):
    return (t - EPOCH) // MICROSECOND


def found(path, ending):
    path = pathlib.Path(path)
    return sorted(p for p in path.rglob("*" + ending)) if path.is_dir() else [path]


def azure(path, _start_us, groups):
    for file in found(path, ".csv"):
        group = groups.setdefault((file.stem.removeprefix("AzureLLMInferenceTrace_"), None), Group())
        with open(file, newline="") as lines:
            for row in csv.DictReader(lines):
                # 100 ns steps, of which the table keeps whole microseconds.
                time = datetime.strptime(row["TIMESTAMP"][:26], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=timezone.utc)
                group.add(microseconds(time), int(row["ContextTokens"]), int(row["GeneratedTokens"]))


def mooncake(path, start_us, groups):
    for file in found(path, ".jsonl"):
        group = groups.setdefault((file.stem.removesuffix("_trace"), None), Group())
        with open(file) as lines:
            for line in lines:
                row = json.loads(line)
                group.add(start_us + row["timestamp"] * 1000, row["input_length"], row["output_length"])


# ServeGen: requests from parameters, by the method that the module `servegen` of `farol emit` documents.

def lower_gamma(a, x):
    """P(a, x)."""
    if x <= 0:
        return 0.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a + 1))
    if x < a + 1:
        term = total = 1.0
        k = 1
        while term > total * 1e-17:
            term *= x / (a + k)
            total += term
            k += 1
        return front * total
    # Legendre's continued fraction, from its far end.
    steps = int(200 + 20 * math.sqrt(x))
    tail = 0.0
    for k in range(steps, 0, -1):
        tail = k * (k - a) / (x + 2 * k + 1 - a - tail)
    return 1.0 - front * a / (x + 1 - a - tail)


def gamma_quantile(a, u):
    """Newton's method on the logarithm of x, kept within a bracket."""
    low, high = -700.0, math.log(a + 40 * math.sqrt(a) + 60)
    if lower_gamma(a, math.exp(low)) >= u:
        return 0.0
    y = min(max((math.log(u) + math.lgamma(a + 1)) / a, low), high)
    for _ in range(200):
        x = math.exp(y)
        off = lower_gamma(a, x) - u
        low, high = (low, y) if off > 0 else (y, high)
        slope = math.exp(a * y - x - math.lgamma(a))
        step = y - off / slope if slope > 0 else low - 1
        following = step if low < step < high else (low + high) / 2
        if abs(following - y) <= 1e-15 * max(1.0, abs(y)):
            return math.exp(following)
        y = following
    return math.exp(y)


def step_of(name, n):
    step = max(n * STRIDES[name] // 1_000_000, 1)
    while math.gcd(step, n) > 1:
        step += 1
    return step


def edges(distribution, shape, n):
    """First and last arrival of a window of n requests, as shares of its length."""
    strata = min(n, STRATA_MAX)
    if distribution == "Gamma":
        gaps = [gamma_quantile(shape, (k + 0.5) / strata) for k in range(strata)]
    elif distribution == "Weibull":
        gaps = [(-math.log1p(-(k + 0.5) / strata)) ** (1 / shape) for k in range(strata)]
    else:
        gaps = [1.0] * strata
    # How many of the n requests fall into each stratum.
    bounds = [-(-k * n // strata) for k in range(strata + 1)]
    total = math.fsum(gap * (bounds[k + 1] - bounds[k]) for k, gap in enumerate(gaps))
    if not 0 < total < math.inf:
        gaps, total = [1.0] * strata, float(n)
    last = gaps[(n - 1) * step_of("gaps", n) % n * strata // n]
    return gaps[0] / 2 / total, 1 - last / 2 / total


class Density:
    def __init__(self, text):
        self.values, self.cumulative, total = [], [], 0.0
        for value, weight in sorted(ast.literal_eval(text).items()):
            total += weight
            self.values.append(value)
            self.cumulative.append(total)

    def __bool__(self):
        return bool(self.values) and self.cumulative[-1] > 0

    def at(self, rank, n):
        target = (rank + 0.5) / n * self.cumulative[-1]
        return self.values[min(bisect.bisect_left(self.cumulative, target), len(self.values) - 1)]

    def all(self, n):
        return [self.at(rank, n) for rank in range(n)]


def period(dataset, at_s):
    starts = [int(start) for start in dataset if int(start) <= at_s]
    fields = dataset[str(max(starts))] if starts else {}
    return {name: density for name, text in fields.items() if (density := Density(text))}


def add_tokens(group, densities, n):
    outputs = densities["output_tokens"].all(n) if "output_tokens" in densities else []
    group.output_tokens += sum(outputs)
    if "text_tokens" in densities:
        group.input_tokens += sum(densities["text_tokens"].all(n))
        for media in ("image", "audio", "video"):
            if f"{media}_count" in densities and f"{media}_tokens" in densities:
                pieces = sum(densities[f"{media}_count"].all(n))
                group.input_tokens += sum(densities[f"{media}_tokens"].all(pieces))
    elif "input_tokens" in densities:
        group.input_tokens += sum(densities["input_tokens"].all(n))
    else:
        group.without_tokens += n
    if "reason_ratio" in densities and outputs:
        output_step, ratio_step = step_of("output", n), step_of("ratio", n)
        ratios = densities["reason_ratio"].all(n)
        group.reasoning_tokens += sum(
            math.floor(outputs[i * output_step % n] * ratios[i * ratio_step % n] + 0.5) for i in range(n))


def servegen(path, start_us, groups):
    for file in found(path, "-trace.csv"):
        chunk = file.name.removesuffix("-trace.csv")
        client = "/".join([*file.resolve().parent.parts[-2:], chunk])
        group = groups.setdefault(("servegen", client), Group())
        dataset_file = file.with_name(f"{chunk}-dataset.json")
        dataset = json.loads(dataset_file.read_text()) if dataset_file.exists() else {}
        with open(file, newline="") as lines:
            windows = [(int(t), float(rate), kind, float(shape)) for t, rate, _, kind, shape, _ in csv.reader(lines)]
        lengths = [b[0] - a[0] for a, b in zip(windows, windows[1:])]
        lengths.append(lengths[-1] if lengths else 600)
        busy = []
        for (at_s, rate, kind, shape), length in zip(windows, lengths):
            n = math.floor(rate * length + 0.5)
            if n:
                busy.append((at_s, length, kind, shape, n))
                group.rows += n
                add_tokens(group, period(dataset, at_s), n)
        for at_s, length, kind, shape, n in {0: busy[0], 1: busy[-1]}.values() if busy else ():
            for share in edges(kind, shape, n):
                offset_ms = math.floor(length * 1e6 * min(share, 1.0) / 1000)
                group.times(start_us + at_s * 1_000_000 + offset_ms * 1000)


READERS = {"azure-llm": azure, "mooncake": mooncake, "servegen": servegen}


def expected(inputs, start_us):
    groups = {}
    for given in inputs:
        kind, _, path = given.partition("=")
        if kind not in READERS or not path:
            sys.exit(f"'{given}' is not FORMAT=PATH with one of {', '.join(READERS)}")
        READERS[kind](path, start_us, groups)
    return groups


def stored(lake, services):
    """The same groups from the table."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    columns = ["event_id", "service", "user_id", "event_time", "input_tokens", "output_tokens", "reasoning_tokens"]
    table = DeltaTable(f"{lake}/traces").to_pyarrow_table(columns=columns + ABSENT)
    table = table.filter(pc.is_in(table["service"], value_set=__import__("pyarrow").array(services)))
    problems = []
    for name in ABSENT:
        if table[name].null_count != table.num_rows:
            problems.append(f"{name} is not null in {table.num_rows - table[name].null_count} rows, but no trace says it")
    ids = table.group_by(["service", "event_id"]).aggregate([]).num_rows
    if ids != table.num_rows:
        problems.append(f"{table.num_rows} rows have {ids} different ids")
    totals = table.group_by(["service", "user_id"]).aggregate(
        [([], "count_all"), ("input_tokens", "sum"), ("input_tokens", "count"), ("output_tokens", "sum"),
         ("reasoning_tokens", "sum"), ("event_time", "min"), ("event_time", "max")])
    groups = {}
    for row in totals.to_pylist():
        group = groups[row["service"], row["user_id"]] = Group()
        group.rows = row["count_all"]
        group.input_tokens = row["input_tokens_sum"] or 0
        group.output_tokens = row["output_tokens_sum"] or 0
        group.reasoning_tokens = row["reasoning_tokens_sum"] or 0
        group.without_tokens = row["count_all"] - row["input_tokens_count"]
        group.first_us, group.last_us = microseconds(row["event_time_min"]), microseconds(row["event_time_max"])
    return groups, problems


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("inputs", nargs="+", metavar="FORMAT=PATH")
    arguments.add_argument("--lake", help="compare with this lake")
    arguments.add_argument("--start", default="2025-01-01T00:00:00+00:00", help="time zero of mooncake and servegen")
    arguments = arguments.parse_args()
    groups = expected(arguments.inputs, microseconds(datetime.fromisoformat(arguments.start)))
    if not arguments.lake:
        for (service, client), group in sorted(groups.items(), key=str):
            print(json.dumps({"service": service, "client": client, **vars(group)}))
        return 0
    rows, problems = stored(arguments.lake, sorted({service for service, _ in groups}))
    for key in sorted(set(groups) | set(rows), key=str):
        want, have = groups.get(key), rows.get(key)
        name = "/".join(part for part in key if part)
        if want is None or have is None:
            problems.append(f"{name}: " + ("not in the files" if want is None else "not in the table"))
            continue
        differences = [f"{field} is {vars(have)[field]}, expected {value}"
                       for field, value in vars(want).items() if vars(have)[field] != value]
        problems += [f"{name}: {difference}" for difference in differences]
        if not differences:
            print(f"ok    {name}: {want.rows} rows, {want.input_tokens} + {want.output_tokens} tokens")
    for problem in problems:
        print(f"WRONG {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
