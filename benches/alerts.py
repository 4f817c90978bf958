#!/usr/bin/env python3
"""How long after its window an alert is on its topic, over a real Kafka, every role in one process.

usage: alerts.py --farol target/release/farol --bootstrap 127.0.0.1:9092 [--rate 5000] [--seconds 240] [--flush-interval 300ms]
                 [--jobs-interval 300ms] [--watermark-bound 10s]
Needs confluent-kafka. Windows of ten seconds; every second one is an incident at each of five services. Two clocks: one starts
when the entry of `traces`' log appears whose watermarks, the least of all partitions, have passed the window's end; the other
at the window's end itself. Both stop when a reader of committed records has the alert. Windows that end less than 15 seconds before
the last event are left out: nothing moves the watermark past them but the partitions' idleness. Prints one JSON line: both
distributions in seconds, the versions of the tables, and the CPU seconds of all roles per minute.
"""
import argparse, json, os, pathlib, re, signal, subprocess, tempfile, threading, time, uuid
from datetime import datetime

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

a = argparse.ArgumentParser()
a.add_argument("--farol", required=True); a.add_argument("--bootstrap", required=True)
a.add_argument("--rate", type=int, default=5_000); a.add_argument("--seconds", type=int, default=240)
a.add_argument("--flush-interval"); a.add_argument("--jobs-interval"); a.add_argument("--watermark-bound")
a.add_argument("--partitions", type=int, default=4)
a = a.parse_args()

WINDOW = 10
topic = f"alerts-{uuid.uuid4().hex[:8]}"
admin = AdminClient({"bootstrap.servers": a.bootstrap})
for f in admin.create_topics([NewTopic(topic, a.partitions, 1), NewTopic(f"{topic}.told", 1, 1), NewTopic(f"{topic}.metrics", 1, 1)]).values():
    f.result()
work = pathlib.Path(tempfile.mkdtemp(prefix="farol-alerts-"))
for folder in ("jobs", "triggers"):
    (work / "pipelines" / folder).mkdir(parents=True)
(work / "pipelines/jobs/calls.yaml").write_text(f"name: calls\nreads: traces\nwindow: {WINDOW}s\nsegments: [service]\npartials: {{requests: sum, errors: sum}}\n"
                                                "measures: {error_rate: {expr: errors / requests}}\n")
(work / "pipelines/jobs/calls.sql").write_text("SELECT event_time, service, 1 AS requests, CASE WHEN status = 'error' THEN 1 ELSE 0 END AS errors FROM traces\n")
(work / "pipelines/triggers/errors.yaml").write_text(f"name: errors\non: calls\nwindow: {WINDOW}s\nby: [service]\nwhen: error_rate > 0.3 AND requests >= 5\nseverity: critical\n")
settings = {"flush_interval": a.flush_interval, "watermark_bound": a.watermark_bound}
ingest = ", ".join(f"{name}: {value}" for name, value in settings.items() if value)
jobs = f"interval: {a.jobs_interval}" if a.jobs_interval else ""
(work / "farol.yaml").write_text(f"""\
lake: {{uri: '{work}/lake'}}
pipelines: {{dir: '{work}/pipelines'}}
kafka: {{brokers: '{a.bootstrap}', group: '{topic}'}}
topics: [{{name: {topic}, kind: trace, format: json}}]
outputs: {{alerts: {topic}.told, metrics: {topic}.metrics}}
ingest: {{{ingest}}}
jobs: {{{jobs}}}
server: {{http: null, postgres: null, flight: null}}
""")
farol = subprocess.Popen([a.farol, "--config", str(work / "farol.yaml"), "run"], cwd=work, stdout=subprocess.DEVNULL, stderr=open(work / "farol.log", "wb"))
log = work / "lake/traces/_delta_log"
stop = threading.Event()
closed: list[tuple[float, float]] = []  # when it was seen, and the watermark then
told: list[tuple[float, dict]] = []
MARK = re.compile(rf"farol/.+/{re.escape(topic)}@.+/(\d+)#watermark_us")


def watch() -> None:
    version, marks = 0, {}
    while not stop.is_set():
        entry = log / f"{version:020d}.json"
        if not entry.exists():
            time.sleep(0.01)
            continue
        now = time.time()
        for line in entry.read_text().splitlines():
            action = json.loads(line)
            if "txn" in action and (found := MARK.fullmatch(action["txn"]["appId"])):
                marks[int(found[1])] = action["txn"]["version"] / 1e6
        if len(marks) == a.partitions:
            closed.append((now, min(marks.values())))
        version += 1


def listen() -> None:
    c = Consumer({"bootstrap.servers": a.bootstrap, "group.id": f"{topic}-reader", "isolation.level": "read_committed", "auto.offset.reset": "earliest"})
    c.subscribe([f"{topic}.told"])
    while not stop.is_set():
        m = c.poll(0.05)
        if m is not None and not m.error():
            told.append((time.time(), json.loads(m.value())))
    c.close()


threads = [threading.Thread(target=watch), threading.Thread(target=listen)]
for t in threads:
    t.start()
p = Producer({"bootstrap.servers": a.bootstrap, "linger.ms": 5, "acks": "all"})
sent, began = 0, time.time()
while (elapsed := time.time() - began) < a.seconds:
    while sent < elapsed * a.rate:
        now = time.time()
        incident = int(now // WINDOW) % 2 == 0
        event = {"event_id": f"{topic}-{sent}", "event_time": int(now * 1e6), "trace_id": f"{sent:032x}", "service": f"s{sent % 5}",
                 "status": "error" if incident else "ok", "latency_ms": sent % 3000}
        p.produce(topic, json.dumps(event).encode(), key=event["trace_id"])
        sent += 1
    p.poll(0)
    time.sleep(0.005)
p.flush()
ended = time.time()
time.sleep(20)
cpu_s = sum(map(int, pathlib.Path(f"/proc/{farol.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
minutes = (time.time() - began) / 60
stop.set()
for t in threads:
    t.join()
farol.send_signal(signal.SIGTERM); farol.wait(60)
from_commit, from_end = [], []
for arrived, body in told:
    end = datetime.fromisoformat(body["window_end"].replace("Z", "+00:00")).timestamp()
    if end > ended - 15:
        continue
    if (seen := next((at for at, watermark in closed if watermark >= end), None)) is not None and body["rule"] == "errors":
        from_commit.append(arrived - seen)
        from_end.append(arrived - end)


def distribution(waits):
    waits.sort()
    return {name: round(waits[min(len(waits) - 1, int(q * len(waits)))], 3) for name, q in (("p50", 0.5), ("p99", 0.99), ("max", 1))} if waits else None


versions = {table: len(list((work / "lake" / table / "_delta_log").glob("*.json"))) for table in ("traces", "partials/calls", "actions")}
print(json.dumps({"alerts": len(from_commit), "from_commit_s": distribution(from_commit), "from_window_end_s": distribution(from_end),
                  "versions": versions, "cpu_s_per_minute": round(cpu_s / minutes, 1), "sent": sent, "rate": a.rate, "files": str(work)}))
