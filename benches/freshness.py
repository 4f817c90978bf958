#!/usr/bin/env python3
"""How long after it is sent an event can be queried, at a steady rate, over a real Kafka.

usage: freshness.py --farol target/release/farol --bootstrap 127.0.0.1:9092 [--rate 5000] [--seconds 60] [--flush-interval 2s]
Needs confluent-kafka and pyarrow. Each event carries the time at which it was handed to the producer; a version of the table
counts as visible when its entry appears in the table's log. Prints one JSON line: the distribution in seconds and the commits.
"""
import argparse, json, pathlib, signal, subprocess, tempfile, threading, time, uuid

import pyarrow.parquet as pq
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

a = argparse.ArgumentParser()
a.add_argument("--farol", required=True); a.add_argument("--bootstrap", required=True)
a.add_argument("--rate", type=int, default=5000); a.add_argument("--seconds", type=int, default=60)
a.add_argument("--flush-interval", default="2s"); a.add_argument("--partitions", type=int, default=4)
a = a.parse_args()

topic = f"freshness-{uuid.uuid4().hex[:8]}"
admin = AdminClient({"bootstrap.servers": a.bootstrap})
for f in admin.create_topics([NewTopic(topic, a.partitions, 1)]).values():
    f.result()
work = pathlib.Path(tempfile.mkdtemp(prefix="farol-freshness-"))
log = work / "lake/traces/_delta_log"
(work / "farol.yaml").write_text(f"""\
lake: {{uri: '{work}/lake'}}
kafka: {{brokers: '{a.bootstrap}', group: '{topic}'}}
topics: [{{name: {topic}, kind: trace, format: json}}]
ingest: {{flush_interval: {a.flush_interval}}}
server: {{http: null, postgres: null, flight: null}}
""")
farol = subprocess.Popen([a.farol, "--config", str(work / "farol.yaml"), "run", "--roles", "ingest"],
                         cwd=work, stdout=subprocess.DEVNULL, stderr=open(work / "farol.log", "wb"))
seen: dict[str, float] = {}
stop = threading.Event()


def watch() -> None:
    while not stop.is_set():
        now = time.time()
        for entry in log.glob("*.json"):
            seen.setdefault(entry.name, now)
        time.sleep(0.01)


watcher = threading.Thread(target=watch)
watcher.start()
deadline = time.time() + 30
while not log.exists() and time.time() < deadline:
    time.sleep(0.05)
p = Producer({"bootstrap.servers": a.bootstrap, "linger.ms": 5, "compression.type": "lz4", "acks": "all"})
prose = "the answer to the question is in the document " * 5
sent, began = 0, time.time()
while (elapsed := time.time() - began) < a.seconds:
    while sent < elapsed * a.rate:
        event = {"event_id": f"{topic}-{sent}", "event_time": int(time.time() * 1e6), "trace_id": f"{sent:032x}", "span_id": f"{sent:016x}",
                 "service": f"s{sent % 8}", "operation": "chat", "provider": "openai", "request_model": "gpt-4o", "input_tokens": sent % 4000,
                 "output_tokens": sent % 900, "latency_ms": sent % 3000, "status": "ok", "cost": "0.000125", "input": prose, "output": prose}
        p.produce(topic, json.dumps(event).encode(), key=event["trace_id"])
        sent += 1
    p.poll(0.001)
p.flush(30)


def rows() -> int:
    return sum(json.loads(json.loads(line)["add"]["stats"])["numRecords"]
               for entry in log.glob("*.json") for line in entry.read_text().splitlines() if '"add"' in line)


deadline = time.time() + 60
while rows() < sent and time.time() < deadline:
    time.sleep(0.1)
time.sleep(0.1)
stop.set(); watcher.join()
farol.send_signal(signal.SIGTERM); farol.wait(60)
ages, commits = [], 0
for name, visible in sorted(seen.items()):
    added = [json.loads(line)["add"]["path"] for line in (log / name).read_text().splitlines() if '"add"' in line]
    commits += bool(added)
    for path in added:
        times = pq.ParquetFile(work / "lake/traces" / path).read(columns=["event_time"])["event_time"].cast("int64")
        ages += [visible - t / 1e6 for t in times.to_pylist()]
ages.sort()
at = lambda q: round(ages[min(len(ages) - 1, int(q * len(ages)))], 3)
print(json.dumps({"flush_interval": a.flush_interval, "rate": a.rate, "sent": sent, "queryable": len(ages), "commits": commits,
                  "p50_s": at(0.5), "p90_s": at(0.9), "p99_s": at(0.99), "max_s": round(ages[-1], 3)}))
raise SystemExit(0 if len(ages) == sent else f"{sent - len(ages)} events are missing; see {work}")
