#!/usr/bin/env python3
"""How far the shipped rules can be trusted: how often they fire on quiet days, and how many incidents they find, how soon.

Simulated traffic on a simulated clock goes the whole way, through a Kafka that runs already (tests/services/kafka.sh), ingest and
jobs; `farol trigger test` then runs the rules over that history. Quiet days are one long simulation, a seed a day. Every run of an
incident is a simulation of its own seed, nine days after the one before, so that no rule's look back reaches another run: two
and a half hours to three hours and a half of calm, then the incident, at one service or provider in turn, then calm.
Delay is from the incident's begin to the end of the window that fired, so it holds the window and the rule's `for`; the
watermark and the way to Kafka come on top, and for rules on feedback that it is given minutes later. An alert is right where it
begins in the incident, or up to two windows and no less than ten minutes after it, and is about what was hit. Precision is the share
of right alerts among all of the rule's in these runs. Needs confluent-kafka.

    benches/rules.py --farol target/release/farol --bootstrap HOST:PORT [--days 30] [--runs 100] [--rate 10] [--quiet-rate 6]
                     [--only RULE] [--pipelines DIR] [--write docs/rules.md]
"""
import argparse, datetime, json, pathlib, random, statistics, subprocess, tempfile, typing, uuid

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

KINDS = {"trace": "traces", "feedback": "feedback", "cost": "costs", "evaluation": "evaluations"}
SERVICES = ["support-assistant", "code-helper", "travel-agent", "doc-search", "invoice-extractor"]
# doc-search calls no chat model; nobody judges or rates what invoice-extractor does; two services search documents.
CHATS = [service for service in SERVICES if service != "doc-search"]
RATED = [service for service in SERVICES if service != "invoice-extractor"]
SEARCHES = ["support-assistant", "doc-search"]
PROVIDERS = ["openai", "anthropic", "google", "mistral"]
SHORT, LONG, SLOW = [10, 20, 30], [20, 30, 60], [60, 120]


class Incident(typing.NamedTuple):
    """A kind of incident, what it hits in turn, for how many minutes, and the shipped rules that are there to find it."""
    kind: str
    hits: str
    targets: list
    minutes: list
    rules: list


INCIDENTS = [
    Incident("error_burst", "service", CHATS, SHORT, ["error-rate-high"]),
    Incident("latency_spike", "service", SERVICES, SHORT, ["latency-p95-high"]),
    Incident("timeout_burst", "service", CHATS, SHORT, ["timeout-rate-high"]),
    Incident("fallback_surge", "service", CHATS, SHORT, ["fallback-rate-high"]),
    Incident("provider_outage", "provider", PROVIDERS, SHORT, ["provider-outage", "fallback-rate-high"]),
    Incident("traffic_loss", "service", SERVICES, SHORT, ["traffic-loss"]),
    Incident("cost_surge", "service", SERVICES, LONG, ["cost-surge"]),
    Incident("cache_collapse", "service", CHATS, [30, 60], ["cache-collapse"]),
    Incident("quality_drop", "service", RATED, SLOW, ["quality-decline", "negative-feedback-high"]),
    Incident("quality_drop", "service", SEARCHES, SLOW, ["hallucination-rate-high"]),
    Incident("guardrail_surge", "service", CHATS, SHORT, ["guardrail-blocks-high"]),
    Incident("pii_leak", "service", CHATS, LONG, ["pii-detected-high"]),
    Incident("injection_wave", "service", CHATS, SHORT, ["jailbreak-wave"]),
    Incident("retrieval_failure", "service", SEARCHES, SHORT, ["retrieval-failure"]),
]
START = datetime.datetime(2022, 1, 1, tzinfo=datetime.timezone.utc)
APART = datetime.timedelta(days=9)
BEGIN, END = "<!-- measured by benches/rules.py: begin -->\n", "<!-- measured by benches/rules.py: end -->\n"


def text(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def minutes(count):
    return datetime.timedelta(minutes=count)


class Place:
    """A lake with topics of its own, which are gone at the end."""

    def __init__(self, o, rate):
        self.farol = str(pathlib.Path(o.farol).resolve())
        self.rate, self.admin = rate, AdminClient({"bootstrap.servers": o.bootstrap})
        self.directory = tempfile.TemporaryDirectory(prefix="farol-rules-")
        run = f"rules-{uuid.uuid4().hex[:8]}"
        self.topics = [f"{run}.{table}" for table in KINDS.values()]
        topics = "".join(f"  - {{name: {topic}, kind: {kind}}}\n" for kind, topic in zip(KINDS, self.topics))
        self.topics += [f"{run}.alerts", f"{run}.metrics"]
        pathlib.Path(self.directory.name, "farol.yaml").write_text(
            f"kafka: {{brokers: '{o.bootstrap}', group: {run}}}\ntopics:\n{topics}server: {{http: null, postgres: null, flight: null}}\n"
            f"outputs: {{alerts: {run}.alerts, metrics: {run}.metrics}}\n"
            + (f"pipelines: {{dir: '{o.pipelines.resolve()}'}}\n" if o.pipelines else ""))
        self.call("topics", "create")

    def call(self, *arguments):
        done = subprocess.run([self.farol, *arguments], cwd=self.directory.name, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"farol {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2_000:]}")
        return done.stdout

    def rules(self):
        """The shipped rules on measures, with the width of their windows."""
        rules = [json.loads(line) for line in self.call("trigger", "list", "--json").splitlines()]
        return {rule["name"]: datetime.timedelta(seconds=rule["window_seconds"]) for rule in rules if rule["on"] != "findings"}

    def simulate(self, seed, start, length, *incident):
        self.call("simulate", "--seed", str(seed), "--rate", str(self.rate), "--start", text(start), "--duration", f"{int(length.total_seconds())}s",
                  *[word for one in incident for word in ("--incident", one)])

    def drain(self):
        self.call("run", "--roles", "ingest,jobs", "--drain")
        self.forget()

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
        """When a rule would have begun to fire: the window's end, and the segment."""
        lines = self.call("trigger", "test", rule, "--from", text(start), "--to", text(end), "--json").splitlines()
        found = []
        for message in map(json.loads, lines):
            payload = message["payload"]
            firing = ("alert", "warning", "no_data")
            if payload["state"] in firing and payload["previous_state"] not in firing:
                end = datetime.datetime.fromisoformat(message["window_end"].replace("Z", "+00:00"))
                found.append((end, message["segment"]))
        return found

    def remove(self):
        for gone in self.admin.delete_topics(self.topics).values():
            gone.result()
        self.directory.cleanup()


def quiet(o):
    place = Place(o, o.quiet_rate)
    try:
        for day in range(o.days):
            place.simulate(1_000 + day, START + datetime.timedelta(days=day), datetime.timedelta(days=1))
            # Day by day, so that what Kafka holds is all that waits.
            place.drain()
        end = START + datetime.timedelta(days=o.days)
        answer = place.call("sql", "SELECT CAST(sum(requests) AS BIGINT) AS n FROM performance", "--format", "json")
        alerts = {rule: place.fired(rule, START, end) for rule in place.rules() if o.only in (None, rule)}
    finally:
        place.remove()
    for rule, found in alerts.items():
        for at, segment in found:
            print(f"  {rule} fired at {text(at)}: {segment}", flush=True)
    total = sum(map(len, alerts.values()))
    calls = json.loads(answer)[0]["n"]
    lines = [f"{o.days} quiet days at {o.quiet_rate:g} events/s, {calls:,} calls of {len(SERVICES)} services, {len(alerts)} rules: "
             f"**{total} alerts**, {total * 7 / o.days:.2f} a week.", ""]
    if total:
        lines += ["| rule | alerts |", "|---|--:|"] + [f"| {rule} | {len(found)} |" for rule, found in sorted(alerts.items()) if found] + [""]
    return lines


class Run(typing.NamedTuple):
    """One incident: when the traffic begins, when the incident does, when each ends, what it hits."""
    begin: datetime.datetime
    from_: datetime.datetime
    to: datetime.datetime
    end: datetime.datetime
    target: str
    minutes: int


def incidents(o, incident, rules):
    """Rows of the table: one for each rule that is there to find this kind."""
    place = Place(o, o.rate)
    random_of = random.Random(incident.kind)
    runs = []
    try:
        windows = place.rules()
        for number in range(o.runs):
            begin = START + number * APART + datetime.timedelta(hours=random_of.randrange(24))
            offset = datetime.timedelta(seconds=random_of.randrange(9_000, 12_600))
            lasts = random_of.choice(incident.minutes)
            target = incident.targets[number % len(incident.targets)]
            after = max(minutes(45), *[3 * windows[rule] for rule in rules])
            length = offset + minutes(lasts) + after
            told = f"{incident.kind}@{int(offset.total_seconds())}s+{lasts}m:{incident.hits}={target}"
            place.simulate(number, begin, length, told)
            runs.append(Run(begin, begin + offset, begin + offset + minutes(lasts), begin + length, target, lasts))
            if number % 10 == 9 or number == o.runs - 1:
                place.drain()
        last = runs[-1].end + datetime.timedelta(days=1)
        return [row(incident, rule, windows[rule], runs, place.fired(rule, START, last)) for rule in rules]
    finally:
        place.remove()


def row(incident, rule, window, runs, fired):
    delays, missed, right, wrong = [], {}, 0, []
    for run in runs:
        # What fires within two windows after its end was made of the incident too.
        late = run.to + max(minutes(10), 2 * window)
        own = [(at, segment) for at, segment in fired if run.begin <= at <= run.end]
        good = [(at, segment) for at, segment in own if run.from_ <= at <= late and segment.get(incident.hits, run.target) == run.target]
        right += len(good)
        for at, segment in own:
            if (at, segment) not in good:
                wrong.append(f"  false: {(at - run.from_).total_seconds() / 60:.0f} min after the begin of {run.minutes} min at {run.target}: {segment}")
        if good:
            delays.append((min(at for at, _ in good) - run.from_).total_seconds() / 60)
        else:
            missed[run.target, run.minutes] = missed.get((run.target, run.minutes), 0) + 1
    delays.sort()
    told = [f"{statistics.median(delays):.1f}", f"{delays[len(delays) * 9 // 10]:.1f}"] if delays else ["-", "-"]
    precision = f"{right / (right + len(wrong)):.3f}" if right or wrong else "-"
    line = f"| {rule} | {incident.kind} | {len(delays)} of {len(runs)} | {told[0]} | {told[1]} | {precision} | {len(wrong)} |"
    print(line, flush=True)
    for told in wrong:
        print(told, flush=True)
    for (target, lasts), count in sorted(missed.items()):
        print(f"  missed: {count} of {lasts} min at {target}", flush=True)
    return line


def measured(o):
    lines = []
    if o.runs:
        header = ["| rule | incident | found | median delay min | p90 min | precision | false alerts |", "|---|---|--:|--:|--:|--:|--:|"]
        print("\n".join(header))
        lines += [f"{o.runs} seeded incidents of each kind at {o.rate:g} events/s:", "", *header]
        for incident in INCIDENTS:
            rules = [rule for rule in incident.rules if o.only in (None, rule)]
            lines += incidents(o, incident, rules) if rules else []
        lines.append("")
    if o.days:
        found = quiet(o)
        print("\n".join(found))
        lines += found
    return lines


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--farol", required=True)
    a.add_argument("--bootstrap", required=True)
    a.add_argument("--days", type=int, default=30)
    a.add_argument("--runs", type=int, default=100)
    a.add_argument("--rate", type=float, default=10, help="events a second on the mean of a day, where incidents are")
    a.add_argument("--quiet-rate", type=float, default=6, help="events a second on the mean of a quiet day")
    a.add_argument("--only", metavar="RULE", help="this rule alone")
    a.add_argument("--pipelines", type=pathlib.Path, metavar="DIR", help="rules below DIR/triggers in place of the shipped ones of the same name")
    a.add_argument("--write", type=pathlib.Path, metavar="FILE", help="put the tables between this file's marks")
    o = a.parse_args()
    page = o.write.read_text() if o.write else None
    if page is not None and not (BEGIN in page and END in page):
        raise SystemExit(f"{o.write} has no marks to write between: {BEGIN.strip()} and {END.strip()}")
    lines = measured(o)
    if page is not None:
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        o.write.write_text(before + BEGIN + "\n".join(lines) + END + after)


if __name__ == "__main__":
    main()
