#!/usr/bin/env python3
"""How far the shipped rules can be trusted: how often they fire on quiet days, and how many incidents they find, how soon.

Simulated traffic on a simulated clock goes the whole way, through a Kafka that runs already (tests/services/kafka.sh), ingest and
jobs; `farol trigger test` then runs the rules over that history. Quiet days are one long simulation, a seed a day. Every run of an
incident is a simulation of its own seed, nine days after the one before, so that no rule's look back reaches another run: two
and a half hours to three hours and a half of calm, then the incident, at one service in turn, for 10, 20 or 30 minutes, then calm.
Delay is from the incident's begin to the end of the window that fired, so it holds the window and the rule's `for`; the
watermark and the way to Kafka come on top. Needs confluent-kafka.

    benches/rules.py --farol target/release/farol --bootstrap HOST:PORT [--days 30] [--runs 100] [--rate 10]
"""
import argparse, datetime, json, pathlib, random, statistics, subprocess, tempfile, uuid

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

KINDS = {"trace": "traces", "feedback": "feedback", "cost": "costs", "evaluation": "evaluations"}
SERVICES = ["support-assistant", "code-helper", "travel-agent", "doc-search", "invoice-extractor"]
# What each shipped rule is there to find. An outage is a provider's, and so of every service that calls it; a burst of errors hits
# calls of chat models, of which doc-search has none.
INCIDENTS = {"error_burst": "error-rate-high", "provider_outage": "error-rate-high", "latency_spike": "latency-p95-high"}
START = datetime.datetime(2022, 1, 1, tzinfo=datetime.timezone.utc)
APART = datetime.timedelta(days=9)


def text(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


class Place:
    """A lake with topics of its own, which are gone at the end."""

    def __init__(self, o):
        self.farol = str(pathlib.Path(o.farol).resolve())
        self.rate, self.admin = o.rate, AdminClient({"bootstrap.servers": o.bootstrap})
        self.directory = tempfile.TemporaryDirectory(prefix="farol-rules-")
        run = f"rules-{uuid.uuid4().hex[:8]}"
        self.topics = [f"{run}.{table}" for table in KINDS.values()]
        topics = "".join(f"  - {{name: {topic}, kind: {kind}}}\n" for kind, topic in zip(KINDS, self.topics))
        self.topics += [f"{run}.alerts", f"{run}.metrics"]
        pathlib.Path(self.directory.name, "farol.yaml").write_text(
            f"kafka: {{brokers: '{o.bootstrap}', group: {run}}}\ntopics:\n{topics}server: {{http: null, postgres: null, flight: null}}\n"
            f"outputs: {{alerts: {run}.alerts, metrics: {run}.metrics}}\n")
        self.call("topics", "create")

    def call(self, *arguments):
        done = subprocess.run([self.farol, *arguments], cwd=self.directory.name, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"farol {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2_000:]}")
        return done.stdout

    def simulate(self, seed, start, length, *incident):
        self.call("simulate", "--seed", str(seed), "--rate", str(self.rate), "--start", text(start), "--duration", f"{int(length.total_seconds())}s",
                  *[word for one in incident for word in ("--incident", one)])

    def drain(self):
        self.call("run", "--roles", "ingest,jobs", "--drain")

    def forget(self):
        """Has Kafka delete what was read, so that long histories fit on its disk."""
        known = self.admin.list_topics(timeout=30).topics
        inputs = self.topics[:len(KINDS)]
        partitions = [TopicPartition(topic, number) for topic in inputs if topic in known for number in known[topic].partitions]
        ends = self.admin.list_offsets({one: OffsetSpec.latest() for one in partitions})
        until = [TopicPartition(one.topic, one.partition, end.result().offset) for one, end in ends.items()]
        for done in self.admin.delete_records(until).values():
            done.result()

    def fired(self, rule, start, end):
        """When a rule would have begun to fire: the window's end, and the service."""
        lines = self.call("trigger", "test", rule, "--from", text(start), "--to", text(end), "--json").splitlines()
        found = []
        for message in map(json.loads, lines):
            payload = message["payload"]
            if payload["state"] in ("alert", "warning") and payload["previous_state"] not in ("alert", "warning"):
                end = datetime.datetime.fromisoformat(message["window_end"].replace("Z", "+00:00"))
                found.append((end, message["segment"]["service"]))
        return found

    def remove(self):
        for gone in self.admin.delete_topics(self.topics).values():
            gone.result()
        self.directory.cleanup()


def quiet(o):
    place = Place(o)
    try:
        for day in range(o.days):
            place.simulate(1_000 + day, START + datetime.timedelta(days=day), datetime.timedelta(days=1))
            # Day by day, so that what Kafka holds is all that waits.
            place.drain()
        end = START + datetime.timedelta(days=o.days)
        requests = place.call("sql", "SELECT CAST(sum(requests) AS BIGINT) AS n FROM performance", "--format", "json")
        print(f"\n{o.days} quiet days, {json.loads(requests)[0]['n']} calls of {len(SERVICES)} services\n\n| rule | fired |\n|---|--:|")
        for rule in sorted(set(INCIDENTS.values())):
            found = place.fired(rule, START, end)
            print(f"| {rule} | {len(found)} |", flush=True)
            for at, service in found:
                print(f"  {text(at)} {service}")
    finally:
        place.remove()


def incidents(o, kind, rule):
    place = Place(o)
    random_of = random.Random(kind)
    runs = []
    try:
        for run in range(o.runs):
            begin = START + run * APART + datetime.timedelta(hours=random_of.randrange(24))
            offset = datetime.timedelta(seconds=random_of.randrange(9_000, 12_600))
            minutes = random_of.choice([10, 20, 30])
            hit = [service for service in SERVICES if (kind, service) != ("error_burst", "doc-search")]
            service = None if kind == "provider_outage" else hit[run % len(hit)]
            incident = f"{kind}@{int(offset.total_seconds())}s+{minutes}m" + (f":service={service}" if service else "")
            length = offset + datetime.timedelta(minutes=minutes + 45)
            place.simulate(run, begin, length, incident)
            runs.append((begin, begin + offset, begin + offset + datetime.timedelta(minutes=minutes), begin + length, service, minutes))
            if run % 10 == 9 or run == o.runs - 1:
                place.drain()
        fired = place.fired(rule, START, runs[-1][3] + datetime.timedelta(days=1))
    finally:
        place.remove()
    delays, missed, false = [], [], 0
    for begin, from_, to, end, service, minutes in runs:
        own = [(at, who) for at, who in fired if begin <= at <= end]
        # What fires within two windows after its end was made of the incident too.
        late = to + datetime.timedelta(minutes=10)
        right = [at for at, who in own if from_ <= at <= late and service in (None, who)]
        false += len([at for at, who in own if not (from_ <= at <= late and service in (None, who))])
        if right:
            delays.append((min(right) - from_).total_seconds() / 60)
        else:
            missed.append((service, minutes))
    ordered = sorted(delays)
    told = [f"{statistics.median(ordered):.1f}", f"{ordered[len(ordered) * 9 // 10]:.1f}"] if ordered else ["-", "-"]
    print(f"| {kind} | {rule} | {len(delays)} of {len(runs)} | {told[0]} | {told[1]} | {false} |", flush=True)
    counted = {}
    for one in missed:
        counted[one] = counted.get(one, 0) + 1
    for (service, minutes), count in sorted(counted.items(), key=str):
        print(f"  missed: {count} of {minutes} min at {service or 'every service'}")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--farol", required=True)
    a.add_argument("--bootstrap", required=True)
    a.add_argument("--days", type=int, default=30)
    a.add_argument("--runs", type=int, default=100)
    a.add_argument("--rate", type=float, default=10, help="events a second on the mean of a day")
    o = a.parse_args()
    if o.runs:
        print("| incident | rule | found | median delay min | p90 min | false alerts |\n|---|---|--:|--:|--:|--:|")
        for kind, rule in INCIDENTS.items():
            incidents(o, kind, rule)
    if o.days:
        quiet(o)


if __name__ == "__main__":
    main()
