#!/usr/bin/env python3
"""Dashboards, look-ups and scans over a lake of many traces: Farol in a warm process, beside DuckDB on the same files.

    cargo build --release -p farol-jobs --example query_bench
    benches/queries/run.py --bench target/release/examples/query_bench --lake DIR [--traces N] [--days 30] [--runs 50]

Makes the lake where DIR is not there. Farol's dashboards are read from measures; DuckDB computes them from the raw rows, as it
would have to without them; look-up and scans read the same files in both. Every figure is of the same sitting: p50 and p95 in
milliseconds over the runs, after three that are not counted. DuckDB's dashboards of 30 days take long, so they are run less
often, and said so. Needs the Python of tests/services/python.sh.
"""
import argparse
import datetime as dt
import json
import pathlib
import random
import statistics
import subprocess
import time

import duckdb
from deltalake import DeltaTable

START = dt.datetime(2026, 5, 1, tzinfo=dt.timezone.utc)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=pathlib.Path, required=True)
    parser.add_argument("--lake", type=pathlib.Path, required=True)
    parser.add_argument("--traces", type=int, default=100_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--scan-runs", type=int, default=10)
    parser.add_argument("--slow-seconds", type=float, default=120, help="the most that DuckDB gets for one query's runs")
    return parser.parse_args()


MEASURED = "requests, error_rate, latency_p50_ms, latency_p95_ms, time_to_first_token_p95_ms, tokens_per_second"
COUNTED = """count(*) AS requests, avg(CASE WHEN status = 'error' THEN 1.0 ELSE 0 END) AS error_rate,
    approx_quantile(latency_ms, 0.5), approx_quantile(latency_ms, 0.95), approx_quantile(time_to_first_token_ms, 0.95),
    sum(output_tokens) / sum(latency_ms - time_to_first_token_ms) * 1000 AS tokens_per_second"""


def dashboards(end: dt.datetime) -> list[tuple[str, str, str]]:
    """Name, Farol's SQL, DuckDB's SQL."""
    found = []
    for name, back, window in [
        ("last hour by model, by minute", dt.timedelta(hours=1), "1 minute"),
        ("last day by model, by hour", dt.timedelta(days=1), "1 hour"),
        ("last 30 days by model, by day", dt.timedelta(days=30), "1 day"),
    ]:
        start = end - back
        bucket = window.removeprefix("1 ")
        farol = f"""SELECT window_start, model, {MEASURED} FROM measures('performance', '{window}', 'model')
            WHERE window_start >= '{start.isoformat()}' ORDER BY 1, 2"""
        duck = f"""SELECT date_trunc('{bucket}', event_time), model, {COUNTED} FROM traces
            WHERE event_date >= '{start.date()}' AND event_time >= '{start.isoformat()}' GROUP BY 1, 2 ORDER BY 1, 2"""
        found.append((name, farol, duck))
    start = end - dt.timedelta(days=30)
    farol = f"""SELECT window_start, model, currency, cost, requests FROM measures('spend', '1 day', 'model', 'currency')
        WHERE window_start >= '{start.isoformat()}' ORDER BY 1, 2"""
    duck = f"""SELECT date_trunc('day', event_time), model, currency, sum(cost), count(*) FROM traces
        WHERE event_date >= '{start.date()}' GROUP BY 1, 2, 3 ORDER BY 1, 2"""
    found.append(("30 days' spend by model, by day", farol, duck))
    days = f"""SELECT window_start, model, {MEASURED} FROM measures('performance', '1 day in America/Sao_Paulo', 'model')
        WHERE window_start >= '{start.isoformat()}' ORDER BY 1, 2"""
    duck = f"""SELECT date_trunc('day', event_time AT TIME ZONE 'America/Sao_Paulo'), model, {COUNTED} FROM traces
        WHERE event_date >= '{start.date()}' GROUP BY 1, 2 ORDER BY 1, 2"""
    found.append(("last 30 days by model, by day in São Paulo", days, duck))
    return found


def scans() -> list[tuple[str, str]]:
    return [
        (
            "scan: one service's slow errors",
            "SELECT count(*), avg(latency_ms), sum(output_tokens) FROM traces "
            "WHERE service = 'translator' AND status = 'error' AND latency_ms > 1000",
        ),
        (
            "scan: errors of all by model",
            "SELECT model, count(*), sum(input_tokens), avg(latency_ms) FROM traces WHERE status = 'error' GROUP BY model",
        ),
        (
            "scan: tokens of all by service",
            "SELECT service, count(*), sum(input_tokens), sum(output_tokens) FROM traces "
            "WHERE latency_ms > 500 GROUP BY service",
        ),
    ]


def told(times_ms: list[float]) -> dict:
    ordered = sorted(times_ms)
    return {
        "runs": len(ordered),
        "p50": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))],
    }


def of_duckdb(connection, sqls: list[str], runs: int, seconds: float) -> tuple[dict, int]:
    times_ms, began, rows = [], time.monotonic(), 0
    for run in range(runs + 1):
        start = time.monotonic()
        rows = connection.sql(sqls[run % len(sqls)]).to_arrow_table().num_rows
        if run >= 1:
            times_ms.append((time.monotonic() - start) * 1e3)
        if times_ms and time.monotonic() - began > seconds:
            break
    return told(times_ms), rows


def asked(options: argparse.Namespace, lines: list[str], runs: int) -> dict:
    """Farol's times of queries, all in one process."""
    command = [options.bench, "ask", options.lake, str(runs)]
    found = subprocess.run(command, input="\n".join(lines), stdout=subprocess.PIPE, check=True, text=True)
    return {line["name"]: line for line in map(json.loads, found.stdout.splitlines())}


def main() -> None:
    options = arguments()
    if not options.lake.exists():
        subprocess.run([options.bench, "generate", options.lake, str(options.traces), str(options.days)], check=True)
    files = DeltaTable(str(options.lake / "traces")).file_uris()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")
    listed = ", ".join(f"'{file}'" for file in files)
    connection.execute(f"CREATE VIEW traces AS SELECT * FROM read_parquet([{listed}], hive_partitioning = true)")
    rows = connection.execute("SELECT count(*) FROM traces").fetchone()[0]
    size = sum(pathlib.Path(file.removeprefix("file://")).stat().st_size for file in files)
    print(f"{rows:,} traces in {len(files)} files of {size / 1e9:.1f} GB; DuckDB {duckdb.__version__}")

    end = START + dt.timedelta(days=options.days)
    random.seed(7)
    sample = connection.execute("SELECT trace_id FROM traces USING SAMPLE 200 ROWS (reservoir, 7)").fetchall()
    ids = [row[0] for row in sample]
    queries = [(name, [farol], [duck]) for name, farol, duck in dashboards(end)]
    looked_up = [f"SELECT * FROM traces WHERE trace_id = '{trace_id}'" for trace_id in ids]
    queries.append(("look-up by trace_id", looked_up, looked_up))
    absent = [f"SELECT * FROM traces WHERE trace_id = '{random.getrandbits(128):032x}'" for _ in range(100)]
    queries.append(("look-up of an id that is not there", absent, absent))
    queries += [(name, [sql], [sql]) for name, sql in scans()]

    quick = [json.dumps({"name": name, "sqls": farol}) for name, farol, _ in queries if not name.startswith("scan")]
    quick.append(json.dumps({"name": "refresh"}))
    slow = [json.dumps({"name": name, "sqls": farol}) for name, farol, _ in queries if name.startswith("scan")]
    farol = asked(options, quick, options.runs) | asked(options, slow, options.scan_runs)
    print("\n| query | rows | Farol p50 ms | p95 ms | DuckDB p50 ms | p95 ms | runs | DuckDB / Farol, p50 |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, _, duck in queries:
        ours = told(farol[name]["times_ms"])
        theirs, found = of_duckdb(connection, duck, ours["runs"], options.slow_seconds)
        if found != farol[name]["rows"] and "trace_id" not in name:
            print(f"| ({name}: {farol[name]['rows']} rows, DuckDB {found}) |")
        print(
            f"| {name} | {farol[name]['rows']} | {ours['p50']:.1f} | {ours['p95']:.1f} | {theirs['p50']:.1f} | "
            f"{theirs['p95']:.1f} | {ours['runs']}, {theirs['runs']} | {theirs['p50'] / ours['p50']:.1f} |",
            flush=True,
        )
    refreshed = told(farol["refresh"]["times_ms"])
    print(f"\nA session moved to the newest versions in {refreshed['p50']:.1f} ms (p95 {refreshed['p95']:.1f}).")


if __name__ == "__main__":
    main()
