#!/usr/bin/env python3
"""How far the shipped detectors can be believed: how many incidents they find, how soon, whether they name the cause, and how often
they are wrong.

A history for each seed, on a simulated clock, goes the whole way, through a Kafka that runs already (tests/services/kafka.sh), ingest and jobs:
days without anything to learn from, then an incident of one kind every few hours, at one service in turn (an outage: at a provider),
for 10, 20 or 30 minutes; and another history of quiet days alone. `farol detect run` then runs the detectors over them. A finding is
right if the change that it dates overlaps an incident (or the half hour after it: what was asked in an incident is rated later) and its
service is hit; it is a false one else. Delay is from the incident's begin to when the finding could be noticed, so it holds
windows and the detector's `settle`; the watermark comes on top. The cause is right if the finding's own segment or one of its best root
causes is what was hit; jobs that know no provider are left out of an outage's. An incident's cause is
named if half of its findings name it. Needs confluent-kafka.

    benches/detectors.py --farol target/release/farol --bootstrap HOST:PORT [--runs 25] [--seeds 1,2,3,4] [--every-hours 2] [--days 30] [--rate 5]
"""
import argparse, collections, datetime, json, random, statistics

from rules import SERVICES, START, Place, text

KINDS = ["latency_spike", "error_burst", "cost_surge", "quality_drop", "provider_outage", "traffic_loss", "injection_wave"]
LEARN = datetime.timedelta(days=3)
AFTER = datetime.timedelta(minutes=30)
# Kinds that hit what only chat models do; doc-search calls none.
CHAT = {"error_burst", "cost_surge", "quality_drop"}
# Jobs about traces as a whole, whose segments know no provider.
PROVIDERLESS = {"agents", "steps", "tools"}


def at(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def findings(place, start, end):
    return [json.loads(line) for line in place.call("detect", "run", "--from", text(start), "--to", text(end), "--json").splitlines()]


def history(place, days, seed, incidents, start):
    """Plays days one by one, so that what Kafka holds is all that waits. Incidents are (offset from the day, words)."""
    for day in range(days):
        begin = start + datetime.timedelta(days=day)
        own = [f"{kind}@{int((from_ - begin).total_seconds())}s+{minutes}m{more}"
               for kind, from_, minutes, more, _ in incidents if begin <= from_ < begin + datetime.timedelta(days=1)]
        place.simulate(seed + day, begin, datetime.timedelta(days=1), *own)
        place.drain()
        place.forget()


def plan(runs, every, seed):
    """Incidents of every kind in a shuffled order, `every` apart."""
    dice = random.Random(seed)
    kinds = [kind for kind in KINDS for _ in range(runs)]
    dice.shuffle(kinds)
    turn = collections.Counter()
    incidents, from_ = [], START + LEARN
    for kind in kinds:
        # None within an hour of midnight: each day is a simulation of its own.
        begin = from_ + datetime.timedelta(minutes=dice.randrange(0, 60))
        if begin.hour == 23:
            begin += datetime.timedelta(hours=1)
        if kind == "provider_outage":
            service = None
            more = ""
        else:
            hit = [service for service in SERVICES if not (kind in CHAT and service == "doc-search")]
            service = hit[turn[kind] % len(hit)]
            more = f":service={service}"
        turn[kind] += 1
        incidents.append((kind, begin, dice.choice([10, 20, 30]), more, service))
        from_ += every
    return incidents


def named(finding, kind, service):
    """Whether the finding's segment, or one of its best root causes, is what was hit. None: its job knows no such segment."""
    causes = finding["root_causes"]
    best = [cause["segment"] for cause in causes if cause["share"] >= causes[0]["share"] - 0.05]
    if kind == "provider_outage":
        return None if finding["job"] in PROVIDERLESS else any(segment.get("provider") == "openai" for segment in best)
    return service in [segment.get("service") for segment in [finding["segment"], *best]]


def slack(finding):
    """A change is dated by the start of a window, and within some minutes."""
    return datetime.timedelta(minutes=5) + at(finding["window_end"]) - at(finding["window_start"])


def judge(incidents, found, rows):
    """Counts what was found of the incidents of a history into the rows; gives the findings that are of none."""
    used = set()
    for kind, begin, minutes, _, service in incidents:
        row = rows[kind]
        row["runs"] += 1
        end = begin + datetime.timedelta(minutes=minutes)
        right = [place for place, one in enumerate(found)
                 if begin - slack(one) <= at(one["since"]) <= end + AFTER and service in (None, one["segment"].get("service"))]
        used |= set(right)
        row["findings"] += len(right)
        told = [one for one in (named(found[place], kind, service) for place in right) if one is not None]
        row["named"] += sum(told)
        row["nameable"] += len(told)
        row["incidents_named"] += bool(right) and 2 * sum(told) >= len(told)
        if right:
            row["delays"].append(min((at(found[place]["noticed_at"]) - begin).total_seconds() / 60 for place in right))
        else:
            row["missed"].append((service, minutes))
    return [one for place, one in enumerate(found) if place not in used]


def show(finding):
    return f"  {finding['since']} {finding['detector']} {finding['job']}.{finding['measure']} {finding['segment'].get('service')} {finding['observed']:.4g} for {finding['reference']:.4g}"


def incidents_of(o, seed, rows):
    """Plays the history of one seed and counts what was found of it; gives how many days it had and the false findings."""
    place = Place(o)
    try:
        planned = plan(o.runs, datetime.timedelta(hours=o.every_hours), seed)
        days = (planned[-1][1] - START).days + 2
        history(place, days, 5_000 + 100 * seed, planned, START)
        found = [one for one in findings(place, START, START + datetime.timedelta(days=days)) if one["revision"] == 0]
        return days, judge(planned, found, rows)
    finally:
        if o.keep:
            print("kept:", place.directory.name)
            place.directory._finalizer.detach()
        else:
            place.remove()


def incidents(o):
    rows = {kind: {"delays": [], "named": 0, "nameable": 0, "incidents_named": 0, "findings": 0, "runs": 0, "missed": []} for kind in KINDS}
    days, false = 0, []
    for seed in o.seeds:
        played, wrong = incidents_of(o, seed, rows)
        days, false = days + played, false + wrong
        found = {kind: len(row["delays"]) for kind, row in rows.items()}
        print(f"seed {seed}: {found} of {rows[KINDS[0]]['runs']} so far, {len(false)} false findings", flush=True)
    print(f"\n{len(KINDS) * o.runs * len(o.seeds)} incidents in {days} days\n\n| incident | found | median delay min | p90 min | cause named | findings | of them with the cause |\n|---|--:|--:|--:|--:|--:|--:|")
    for kind, row in rows.items():
        ordered = sorted(row["delays"])
        told = [f"{statistics.median(ordered):.1f}", f"{ordered[len(ordered) * 9 // 10]:.1f}"] if ordered else ["-", "-"]
        cause = f"{100 * row['named'] / row['nameable']:.0f} %" if row["nameable"] else "-"
        print(f"| {kind} | {len(ordered)} of {row['runs']} | {told[0]} | {told[1]} | {row['incidents_named']} of {len(ordered)} | {row['findings']} | {cause} |")
    right = sum(row["findings"] for row in rows.values())
    print(f"\nprecision {right / max(1, right + len(false)):.3f}: {right} right findings, {len(false)} false ones", flush=True)
    for one in false:
        print(show(one))
    for kind, row in rows.items():
        for missed in sorted(collections.Counter(row["missed"]).items(), key=str):
            print(f"  missed {kind}: {missed[1]} of {missed[0][1]} min at {missed[0][0]}")


def quiet(o):
    place = Place(o)
    try:
        history(place, o.days, 9_000 + o.seeds[0], [], START)
        found = [one for one in findings(place, START, START + datetime.timedelta(days=o.days)) if one["revision"] == 0]
        print(f"\n{o.days} quiet days: {len(found)} findings, {7 * len(found) / o.days:.2f} a week; the budget is the sum of the detectors' own", flush=True)
        for one in found:
            print(show(one))
    finally:
        if o.keep:
            print("kept:", place.directory.name)
            place.directory._finalizer.detach()
        else:
            place.remove()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--farol", required=True)
    a.add_argument("--bootstrap", required=True)
    a.add_argument("--runs", type=int, default=25, help="of each kind of incident, for each seed")
    a.add_argument("--every-hours", type=float, default=2)
    a.add_argument("--days", type=int, default=30, help="quiet ones")
    a.add_argument("--rate", type=float, default=5, help="events a second on the mean of a day")
    a.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[1, 2, 3, 4])
    a.add_argument("--keep", action="store_true", help="leave the lakes, to look at")
    o = a.parse_args()
    if o.runs:
        incidents(o)
    if o.days:
        quiet(o)


if __name__ == "__main__":
    main()
