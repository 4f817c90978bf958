#!/usr/bin/env python3
"""Ingest's rate alone and beside queries that run away, in one process and one run.

usage: queries_beside_ingest.py --farol target/release/farol --bootstrap 127.0.0.1:9092 [--events 3000000] [--rounds 3]

Needs confluent-kafka and psycopg. Two topics of the same events are filled first. In each round `farol run` (ingest and server) reads
a topic from its start, once alone and once while eight clients ask without pause for what no machine finishes: joins of a table with
itself, sorts and groupings that do not fit into memory, whole tables that the client does not read. Their limits are the defaults, but
for a timeout of 10 s, so that every kind of end is met. The rate is of rows committed, between the first tenth and the last, told by the
process's own metrics. Prints a JSON line for each run, and the median ratio.
"""
import argparse, collections, json, os, pathlib, socket, statistics, subprocess, tempfile, threading, time, urllib.request, uuid

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

a = argparse.ArgumentParser()
a.add_argument("--farol", required=True); a.add_argument("--bootstrap", required=True)
a.add_argument("--events", type=int, default=3_000_000); a.add_argument("--rounds", type=int, default=3)
a.add_argument("--seed-events", type=int, default=300_000, help="rows that are there to be asked for before a run begins")
a = a.parse_args()

ASKED = [
    "SELECT sum(a.latency_ms * b.latency_ms) FROM traces a, traces b WHERE a.input_tokens < b.output_tokens",
    "SELECT count(*) FROM traces a JOIN traces b ON a.service = b.service AND a.latency_ms < b.latency_ms",
    "SELECT * FROM traces ORDER BY output, trace_id, event_time",
    "SELECT trace_id, span_id, output, count(*) FROM traces GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1",
    "SELECT * FROM traces a, generate_series(1, 1000)",
    "SELECT a.trace_id FROM traces a, traces b ORDER BY a.output, b.output",
    "SELECT approx_distinct(trace_id), avg(length(output)), max(output) FROM traces, generate_series(1, 100)",
    "SELECT service, avg(latency_ms) FROM traces, generate_series(1, 50) GROUP BY service",
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fill(topic, count):
    admin = AdminClient({"bootstrap.servers": a.bootstrap})
    for f in admin.create_topics([NewTopic(topic, 4, 1)]).values():
        f.result()
    p = Producer({"bootstrap.servers": a.bootstrap, "linger.ms": 50, "compression.type": "lz4", "queue.buffering.max.messages": 1000000})
    prose = "the answer to what was asked, in words that a person might write, " * 8
    now = int(time.time() * 1000)
    for i in range(count):
        event = {"event_id": f"{topic}-{i}", "event_time": now, "trace_id": f"{i:032x}", "service": f"service-{i % 7}", "provider": "openai",
                 "request_model": "gpt-4o-mini", "input_tokens": i % 2000, "output_tokens": i % 500, "latency_ms": (i * 7919) % 10000,
                 "status": "ok", "cost": "0.00012", "output": prose[: 200 + i % 300]}
        while True:
            try:
                p.produce(topic, json.dumps(event).encode(), key=event["trace_id"])
                break
            except BufferError:
                p.poll(0.1)
        if i % 10000 == 0:
            p.poll(0)
    p.flush(300)


def metric(port, name, **labels):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{k}="{v}"' for k, v in labels.items()]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines
               if line.split("{")[0].split(" ")[0] == name and all(label in line for label in wanted))


def cpu_seconds(pid):
    """CPU seconds of a process by the names of its threads, those that have ended left out."""
    of = collections.Counter()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            name, fields = (task / "stat").read_text().split("(", 1)[1].rsplit(") ", 1)
        except OSError:
            continue
        fields = fields.split()
        of[name] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return of


class Clients:
    """Eight that ask without pause, until they are told to stop."""

    def __init__(self, port):
        self.stopped = threading.Event()
        self.ends = collections.Counter()
        self.threads = [threading.Thread(target=self.ask, args=(port, sql), daemon=True) for sql in ASKED]
        for thread in self.threads:
            thread.start()

    def ask(self, port, sql):
        # Clients are other machines: what they do with rows is not to be held against the server on this one.
        # At the lowest niceness they would still finish a turn of some milliseconds before a thread of the server that wakes up.
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        while not self.stopped.is_set():
            try:
                with psycopg.connect(host="127.0.0.1", port=port, user="bench", dbname="farol", autocommit=True) as connection:
                    if "generate_series(1, 1000)" in sql:
                        # Takes a little and leaves the rest unread.
                        rows = connection.cursor().stream(sql)
                        next(rows)
                        self.stopped.wait(12)
                        self.ends["not read"] += 1
                        connection.close()
                        continue
                    for _ in connection.cursor().stream(sql):
                        if self.stopped.is_set():
                            connection.cancel()
                    self.ends["answered"] += 1
            except psycopg.Error as error:
                self.ends[error.sqlstate or type(error).__name__] += 1

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(30)


def run(topic, beside):
    work = pathlib.Path(tempfile.mkdtemp(prefix="farol-beside-"))
    http, postgres = free_port(), free_port()
    config = lambda name, t: (work / name).write_text(f"""\
lake: {{uri: '{work}/lake'}}
kafka: {{brokers: '{a.bootstrap}', group: '{work.name}-{name}'}}
topics: [{{name: {t}, kind: trace, format: json}}]
server: {{http: '127.0.0.1:{http}', postgres: '127.0.0.1:{postgres}', flight: null, query: {{timeout: 10s}}}}
""")
    config("seed.yaml", seed_topic); config("run.yaml", topic)
    log = open(work / "farol.log", "wb")
    subprocess.run([a.farol, "--config", work / "seed.yaml", "run", "--roles", "ingest", "--drain"], cwd=work, stdout=log, stderr=log, check=True)
    farol = subprocess.Popen([a.farol, "--config", work / "run.yaml", "run", "--roles", "ingest,server"], cwd=work, stdout=log, stderr=log)
    clients, marks, peak_kib = None, {}, 0
    try:
        while True:
            assert farol.poll() is None, (work / "farol.log").read_text()
            try:
                stored = metric(http, "farol_ingest_entries_total", outcome="stored")
            except OSError:
                time.sleep(0.05)
                continue
            if beside and clients is None:
                clients = Clients(postgres)
            status = pathlib.Path(f"/proc/{farol.pid}/status").read_text()
            peak_kib = max([peak_kib] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")])
            now = time.monotonic()
            for part in [0.1, 1.0]:
                if stored >= part * a.events:
                    if part not in marks:
                        marks[part] = (now, stored, cpu_seconds(farol.pid))
            if 1.0 in marks:
                break
            time.sleep(0.05)
        (t0, n0, used0), (t1, n1, used1) = marks[0.1], marks[1.0]
        said = {"beside": beside, "events_per_second": round((n1 - n0) / (t1 - t0)), "seconds": round(t1 - t0, 1), "peak_rss_mib": peak_kib // 1024}
        said["cpu_seconds"] = {name: round(used, 1) for name, used in (used1 - used0).most_common(6)}
        if clients:
            said["queries_running_at_the_end"] = metric(http, "farol_queries_running")
            clients.stop()
            said["ends"] = dict(clients.ends)
        print(json.dumps(said), flush=True)
        return (n1 - n0) / (t1 - t0)
    finally:
        farol.terminate()
        farol.wait(60)
        subprocess.run(["rm", "-rf", work])


name = f"beside-{uuid.uuid4().hex[:8]}"
seed_topic = f"{name}-seed"
fill(seed_topic, a.seed_events)
fill(name, a.events)
ratios = []
for turn in range(a.rounds):
    # Which comes first changes, so that a machine that grows slower or faster speaks for neither.
    order = [False, True] if turn % 2 == 0 else [True, False]
    rates = {beside: run(name, beside) for beside in order}
    ratios.append(rates[True] / rates[False])
print(json.dumps({"ratios": [round(r, 3) for r in ratios], "median": round(statistics.median(ratios), 3)}))
