#!/usr/bin/env python3
"""What jobs cost beside ingest: CPU seconds per million events of each, with few rows and with many in the table, and with
few series and many.

Drives a finished binary over a Kafka that runs already (tests/services/kafka.sh). For every number of series: `--history`
events are sent, read and measured, then pieces of `--events`, each read by `run --roles ingest --drain` and measured by
`run --roles jobs --drain`. CPU seconds are the operating system's, of whole processes; what a process costs that finds
nothing to do is told as well, and taken off. Needs confluent-kafka.

    benches/jobs.py --farol target/release/farol --bootstrap HOST:PORT [--events N] [--pieces N] [--history N] [--series N ...] [--rate N]
"""
import argparse, datetime, json, os, pathlib, subprocess, tempfile, uuid

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

START_MS = 1_767_225_600_000  # 2026-01-01
EVENT = ('{"event_id":"%s-%09d","event_time":"%s.%03dZ","trace_id":"%032x","span_id":"%016x","session_id":"s-%d","user_id":"u-%d",'
         '"service":"assistant","environment":"prod","operation":"chat","task":"answer","provider":"openai","request_model":"gpt-4o",'
         '"response_model":"gpt-4o-2024-08-06","prompt_id":"p-%d","prompt_version":"3","input_tokens":%d,"output_tokens":%d,'
         '"cache_read_tokens":%d,"latency_ms":%d,"time_to_first_token_ms":%d,"status":"%s","cost":"0.%06d","currency":"USD",'
         '"input":"%s","output":"%s"}')  # about 800 bytes
WORDS = ("the customer order invoice refund shipment please summarise explain draft reply answer question document policy contract clause "
         "table column query error retry timeout model prompt context tokens cache latency budget team feature release incident").split()
TEXTS = [" ".join(WORDS[(n * 7 + place * place * (n + 3)) % len(WORDS)] for place in range(17)) for n in range(9_973)]


def cpu_seconds(command, directory):
    """Runs a command to its end; the CPU seconds it took, and what it printed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        pid = subprocess.Popen(command, cwd=directory, stdout=out, stderr=log)
        _, status, usage = os.wait4(pid.pid, 0)
        pid.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if pid.returncode != 0:
            log.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {pid.returncode}:\n{log.read().decode()[-2_000:]}")
        return usage.ru_utime + usage.ru_stime, out.read().decode()


def send(bootstrap, topic, run, first, count, rate, series):
    """Sends events number `first` to `first + count`, `rate` of them in a second of the events' own time."""
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": "lz4", "linger.ms": 50, "batch.num.messages": 100_000,
                         "queue.buffering.max.messages": 500_000, "queue.buffering.max.kbytes": 262_144})
    second, prefix = None, ""
    for n in range(first, first + count):
        now_s, now_ms = divmod(START_MS + n * 1000 // rate, 1000)
        if now_s != second:
            second, prefix = now_s, datetime.datetime.fromtimestamp(now_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        draw = (n * 2_654_435_761) & 0xFFFFFFFF
        latency = 80 + draw % 9_001
        status = "ok" if draw % 20 else "error"
        event = EVENT % (run, n, prefix, now_ms, n * 0x9E3779B97F4A7C15F39CC0605CEDC835 & (1 << 128) - 1, n, draw % 40_000, draw % 9_000,
                         n * 7_919 % series, 50 + draw % 8_000, 5 + draw % 1_500, draw % 400, latency, latency // 4, status, draw % 30_000, TEXTS[draw % 9_973], TEXTS[n % 9_973])
        while True:
            try:
                producer.produce(topic, event, partition=n % 4)
                break
            except BufferError:
                producer.poll(0.05)
        if n % 10_000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise SystemExit("Kafka did not take everything")


def measure(o, farol, directory, series):
    run = uuid.uuid4().hex[:8]
    topic = f"bench.{run}.traces"
    admin = AdminClient({"bootstrap.servers": o.bootstrap})
    for made in admin.create_topics([NewTopic(topic, 4, 1)]).values():
        made.result()
    pathlib.Path(directory, "farol.yaml").write_text(
        f"kafka: {{brokers: '{o.bootstrap}', group: bench-{run}}}\ntopics: [{{name: {topic}, kind: trace, format: json}}]\n"
        "server: {http: null, postgres: null, flight: null}\njobs: {max_series: 1000000}\n")
    ingest_command = [farol, "run", "--roles", "ingest", "--drain"]
    jobs_command = [farol, "run", "--roles", "jobs", "--drain"]
    sent = 0
    try:
        # The history is read piece by piece too: so it is many versions of the table, as in use.
        while sent < o.history:
            count = min(5_000_000, o.history - sent)
            send(o.bootstrap, topic, run, sent, count, o.rate, series)
            sent += count
            cpu_seconds(ingest_command, directory)
            cpu_seconds(jobs_command, directory)
        for _ in range(o.pieces):
            idle_ingest, _ = cpu_seconds(ingest_command, directory)
            idle_jobs, _ = cpu_seconds(jobs_command, directory)
            send(o.bootstrap, topic, run, sent, o.events, o.rate, series)
            sent += o.events
            ingest = cpu_seconds(ingest_command, directory)[0] - idle_ingest
            jobs = cpu_seconds(jobs_command, directory)[0] - idle_jobs
            query = "SELECT CAST(sum(requests) AS BIGINT) AS n, count(*) AS partials FROM partials.performance"
            found = json.loads(cpu_seconds([farol, "sql", query, "--format", "json"], directory)[1])[0]
            if found["n"] != sent:
                raise SystemExit(f"{sent} were sent, and {found['n']} measured")
            million = o.events / 1e6
            print(f"{series:>7} {sent:>11} {found['partials']:>11} {ingest / million:>10.2f} {jobs / million:>8.2f} {jobs / ingest:>6.2f} "
                  f"{idle_ingest:>12.2f} {idle_jobs:>10.2f}", flush=True)
    finally:
        for gone in admin.delete_topics([topic]).values():
            gone.result()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--farol", required=True)
    a.add_argument("--bootstrap", required=True)
    a.add_argument("--events", type=int, default=1_000_000, help="events of a piece")
    a.add_argument("--pieces", type=int, default=3)
    a.add_argument("--history", type=int, default=0, help="events in the table before the first piece")
    a.add_argument("--series", type=int, nargs="+", default=[1, 5_000])
    a.add_argument("--rate", type=int, default=5_000, help="events in a second of the events' own time")
    o = a.parse_args()
    print(f"{'series':>7} {'events':>11} {'partials':>11} {'ingest s/M':>10} {'jobs s/M':>8} {'ratio':>6} {'idle ingest':>12} {'idle jobs':>10}")
    for series in o.series:
        with tempfile.TemporaryDirectory(prefix="farol-jobs-") as directory:
            measure(o, str(pathlib.Path(o.farol).resolve()), directory, series)


if __name__ == "__main__":
    main()
