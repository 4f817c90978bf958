#!/usr/bin/env python3
"""How long after the event that crosses a threshold the budget action is on its topic, over a real Kafka, every role in one process.

usage: budget_delay.py --farol target/release/farol --bootstrap 127.0.0.1:9092 [--rate 5000] [--seconds 240] [--crossings 100]
                       [--flush-interval 300ms] [--jobs-interval 300ms]
Needs confluent-kafka. Calls of `--crossings` teams, each with a daily budget of its own (one budget, by tag.team), cost one unit each;
a team's limit is reached by one known call, spread over the run. The clock starts when that call is handed to the producer and stops
when a reader of committed records has the team's `block_requests`; what was let through meanwhile is what enforcement costs: the calls
of the team that were sent between the two. Prints one JSON line: the delay's p50, p99 and most in seconds, overspend in calls and as a
part of the limit, the versions of the tables, and the CPU seconds of all roles per minute.
"""
import argparse, json, os, pathlib, signal, subprocess, tempfile, threading, time, uuid

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

a = argparse.ArgumentParser()
a.add_argument("--farol", required=True); a.add_argument("--bootstrap", required=True)
a.add_argument("--rate", type=int, default=5_000); a.add_argument("--seconds", type=int, default=240)
a.add_argument("--crossings", type=int, default=100)
a.add_argument("--flush-interval"); a.add_argument("--jobs-interval")
a.add_argument("--partitions", type=int, default=4)
a = a.parse_args()

topic = f"budget-{uuid.uuid4().hex[:8]}"
admin = AdminClient({"bootstrap.servers": a.bootstrap})
for f in admin.create_topics([NewTopic(topic, a.partitions, 1), NewTopic(f"{topic}.told", 1, 1), NewTopic(f"{topic}.alerts", 1, 1), NewTopic(f"{topic}.metrics", 1, 1)]).values():
    f.result()
work = pathlib.Path(tempfile.mkdtemp(prefix="farol-budget-"))
(work / "pipelines").mkdir(parents=True)
# Every event is a call of one team, teams in turn. Team k reaches the limit at its own time: it has spent `start[k]` before the run.
per_team = a.rate * a.seconds // a.crossings
LIMIT = 1_000_000
(work / "pipelines/budgets.yaml").write_text(f"""\
budgets:
  - {{name: teams, by: tag.team, limit: {LIMIT}, currency: USD, period: daily, thresholds: [{{percent: 100, action: block_requests}}]}}
""")
ingest = f"flush_interval: {a.flush_interval}" if a.flush_interval else ""
jobs = ", ".join(["tags: [team]"] + ([f"interval: {a.jobs_interval}"] if a.jobs_interval else []))
(work / "farol.yaml").write_text(f"""\
lake: {{uri: '{work}/lake'}}
pipelines: {{dir: '{work}/pipelines'}}
kafka: {{brokers: '{a.bootstrap}', group: '{topic}'}}
topics: [{{name: {topic}, kind: trace, format: json}}]
outputs: {{alerts: {topic}.alerts, budget: {topic}.told, metrics: {topic}.metrics}}
ingest: {{{ingest}}}
jobs: {{{jobs}}}
server: {{http: null, postgres: null, flight: null}}
""")
farol = subprocess.Popen([a.farol, "--config", str(work / "farol.yaml"), "run"], cwd=work, stdout=subprocess.DEVNULL, stderr=open(work / "farol.log", "wb"))
stop = threading.Event()
told: dict[str, float] = {}


def listen() -> None:
    c = Consumer({"bootstrap.servers": a.bootstrap, "group.id": f"{topic}-reader", "isolation.level": "read_committed", "auto.offset.reset": "earliest"})
    c.subscribe([f"{topic}.told"])
    while not stop.is_set():
        m = c.poll(0.02)
        if m is None or m.error():
            continue
        payload = json.loads(m.value())["payload"]
        if payload["type"] == "threshold" and payload["state"] == "crossed":
            told.setdefault(payload["scope"]["tags"]["team"], time.time())
    c.close()


reader = threading.Thread(target=listen)
reader.start()
p = Producer({"bootstrap.servers": a.bootstrap, "linger.ms": 5, "acks": "all", "queue.buffering.max.messages": 1_000_000})


def send(number: int, team: str, cost: int) -> float:
    now = time.time()
    event = {"event_id": f"{topic}-{number}", "event_time": int(now * 1e6), "trace_id": f"{number:032x}", "span_id": f"{number:016x}", "service": "assistant",
             "operation": "chat", "request_model": "m", "status": "ok", "latency_ms": 10, "cost": cost, "currency": "USD", "tags": {"team": team}}
    p.produce(topic, json.dumps(event).encode(), key=event["trace_id"])
    return now


# What each team has spent before: so that call number `due[k]` of team k is the one that reaches the limit. The first and the last
# tenth of the run are left out, while roles start and while nothing more arrives.
due = {k: int(per_team * (0.1 + 0.8 * k / a.crossings)) + 1 for k in range(a.crossings)}
for k in range(a.crossings):
    send(10**9 + k, f"t{k:04}", LIMIT - due[k])
p.flush()
time.sleep(15)
calls = [0] * a.crossings
sent_at: list[list[float]] = [[] for _ in range(a.crossings)]
crossed: dict[str, float] = {}
sent, began = 0, time.time()
while (elapsed := time.time() - began) < a.seconds:
    while sent < elapsed * a.rate:
        k = sent % a.crossings
        calls[k] += 1
        at = send(sent, f"t{k:04}", 1)
        if calls[k] == due[k]:
            crossed[f"t{k:04}"] = at
        if calls[k] >= due[k]:
            sent_at[k].append(at)
        sent += 1
    p.poll(0)
    time.sleep(0.002)
p.flush()
deadline = time.time() + 60
while time.time() < deadline and len(told) < len(crossed):
    time.sleep(0.1)
cpu_s = sum(map(int, pathlib.Path(f"/proc/{farol.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
minutes = (time.time() - began) / 60
stop.set()
reader.join()
farol.send_signal(signal.SIGTERM); farol.wait(60)
delays, over = [], []
for team, at in crossed.items():
    if team in told:
        delays.append(told[team] - at)
        over.append(sum(at < one <= told[team] for one in sent_at[int(team[1:])]))


def distribution(values, digits=3):
    values.sort()
    return {name: round(values[min(len(values) - 1, int(q * len(values)))], digits) for name, q in (("p50", 0.5), ("p99", 0.99), ("max", 1))} if values else None


versions = {table: len(list((work / "lake" / table / "_delta_log").glob("*.json"))) for table in ("traces", "partials/spend", "actions")}
print(json.dumps({"crossed": len(crossed), "told": len(delays), "delay_s": distribution(delays), "calls_after_the_limit": distribution(over),
                  "versions": versions, "cpu_s_per_minute": round(cpu_s / minutes, 1), "sent": sent, "rate": round(sent / a.seconds), "files": str(work)}))
