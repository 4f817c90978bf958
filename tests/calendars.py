#!/usr/bin/env python3
"""Counts and sums of traces by calendar windows, from a lake's files and Python's own time zones.

    pip install deltalake
    calendars.py LAKE UNIT ZONE [UNIT ZONE...]

UNIT is hour, day, week or month. A line of JSON, a list of texts, for each window that has traces: unit, zone, start and end in
microseconds since 1970, requests, output_tokens. A trace is in the window of its local date; a window begins at the first local
midnight, or, where that is skipped, when the clock is put forward over it.
"""
import collections
import datetime as dt
import json
import pathlib
import sys
import zoneinfo

from deltalake import DeltaTable

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def micros(instant: dt.datetime) -> int:
    return (instant - EPOCH) // dt.timedelta(microseconds=1)


def first_day(unit: str, day: dt.date) -> dt.date:
    match unit:
        case "week":
            return day - dt.timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case _:
            return day


def day_after(unit: str, day: dt.date) -> dt.date:
    match unit:
        case "week":
            return day + dt.timedelta(days=7)
        case "month":
            return (day + dt.timedelta(days=31)).replace(day=1)
        case _:
            return day + dt.timedelta(days=1)


def beginning(day: dt.date, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    # A midnight that is skipped is read with the offset before, which is the moment of the change.
    return dt.datetime.combine(day, dt.time(), tzinfo=zone).astimezone(dt.timezone.utc)


def window(unit: str, zone: zoneinfo.ZoneInfo, instant: dt.datetime) -> tuple[int, int]:
    local = instant.astimezone(zone)
    if unit == "hour":
        start = instant - dt.timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return micros(start), micros(start + dt.timedelta(hours=1))
    first = first_day(unit, local.date())
    return micros(beginning(first, zone)), micros(beginning(day_after(unit, first), zone))


def main() -> None:
    lake, *wanted = sys.argv[1:]
    table = DeltaTable(str(pathlib.Path(lake) / "traces")).to_pyarrow_table(columns=["event_time", "output_tokens"])
    traces = list(zip(table["event_time"].to_pylist(), table["output_tokens"].to_pylist()))
    for unit, name in zip(wanted[::2], wanted[1::2]):
        zone = zoneinfo.ZoneInfo(name)
        found = collections.defaultdict(lambda: [0, 0])
        for instant, tokens in traces:
            sums = found[window(unit, zone, instant)]
            sums[0] += 1
            sums[1] += tokens
        for (start, end), (requests, tokens) in sorted(found.items()):
            print(json.dumps([unit, name, str(start), str(end), str(requests), str(tokens)]))


if __name__ == "__main__":
    main()
