#!/usr/bin/env python3
"""Runs every question of the cookbook through each way in that is given, and compares the answers.

    cookbook.py [--farol COMMAND] [--postgres DSN] [--flight URI] [--http URL] [--kept DIR] [--cookbook DIR] [--only TEXT]

    --farol    'target/release/farol --dir farol-data': the command line              (needs nothing)
    --postgres 'host=127.0.0.1 port=5480 dbname=farol user=me': the PostgreSQL protocol      (needs psycopg)
    --psql     the same through the program psql                                      (needs psql)
    --flight   'grpc://127.0.0.1:5481': Flight SQL over ADBC                          (needs adbc-driver-flightsql, pyarrow)
    --http     'http://127.0.0.1:8480': POST /api/v1/sql, asked for JSON               (needs nothing)
    --kept     tests/pipeline/cookbook: the answers that the tests keep; over the traffic of the tests only
    --token    a token, for ways in that ask for one

Every answer is a list of rows in the query's order. Values are compared as what they are: numbers to twelve digits, times as
instants. Prints a line of JSON for each question and way; exit 1 where answers differ or a query fails, 2 where a driver is
missing or nothing is to be compared.
"""
import argparse
import csv
import datetime
import decimal
import io
import json
import pathlib
import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Missing(Exception):
    """A driver that is not installed."""


def queries(folder: pathlib.Path, only: str):
    for path in sorted(folder.glob("*.sql")):
        if only in path.stem:
            lines = path.read_text().splitlines()
            text = "\n".join(line for line in lines if not line.startswith("--"))
            yield path.stem, text.strip().rstrip(";")


def plain(value):
    """A value in terms that every way in shares."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        return number(decimal.Decimal(repr(value) if isinstance(value, float) else value))
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return time(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return text(str(value))


def number(value: decimal.Decimal) -> str:
    if not value.is_finite():
        return str(value)
    rounded = decimal.Context(prec=12).create_decimal(value).normalize()
    return f"{rounded:f}" if rounded else "0"


def time(value: datetime.datetime) -> str:
    return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)?$")


def text(value: str):
    """A text; what JSON and text protocols write as text is read as what it is."""
    if TIME.match(value):
        value = value.replace(" ", "T").replace("Z", "+00:00")
        value = re.sub(r"([+-]\d\d)$", r"\1:00", value)
        value = re.sub(r"\.(\d+)", lambda digits: "." + digits[1][:6].ljust(6, "0"), value)
        instant = datetime.datetime.fromisoformat(value)
        return time(instant if instant.tzinfo else instant.replace(tzinfo=datetime.timezone.utc))
    if re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", value):
        return number(decimal.Decimal(value))
    return {"t": True, "f": False, "true": True, "false": False}.get(value, value)


def with_farol(command: str, _token):
    def ask(sql):
        call = [*shlex.split(command), "sql", sql, "--format", "ndjson"]
        done = subprocess.run(call, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return [list(json.loads(line, parse_float=decimal.Decimal).values()) for line in done.stdout.splitlines()]

    return ask


def with_postgres(dsn: str, token):
    try:
        import psycopg
    except ImportError as error:
        raise Missing("--postgres needs the package psycopg: pip install 'psycopg[binary]'") from error
    connection = psycopg.connect(dsn, autocommit=True, **({"password": token} if token else {}))

    def ask(sql):
        with connection.cursor() as cursor:
            # psycopg reads a percent sign as a parameter only where parameters are given.
            return [list(row) for row in cursor.execute(sql).fetchall()]

    return ask


def with_psql(dsn: str, token):
    import os

    environment = dict(os.environ, **({"PGPASSWORD": token} if token else {}))

    def ask(sql):
        call = ["psql", "--no-psqlrc", "--quiet", "--csv", "--pset", "null=\\N", "--dbname", dsn, "--command", sql]
        try:
            done = subprocess.run(call, capture_output=True, text=True, env=environment)
        except FileNotFoundError as error:
            raise Missing("--psql needs the program psql: the package postgresql-client") from error
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        rows = list(csv.reader(io.StringIO(done.stdout)))[1:]
        return [[None if cell == "\\N" else cell for cell in row] for row in rows]

    return ask


def with_flight(uri: str, token):
    try:
        import adbc_driver_flightsql.dbapi as flight
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise Missing("--flight needs adbc-driver-flightsql, adbc-driver-manager and pyarrow") from error
    options = {"adbc.flight.sql.authorization_header": f"Bearer {token}"} if token else {}
    connection = flight.connect(uri, db_kwargs=options)

    def ask(sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return [list(row.values()) for row in cursor.fetch_arrow_table().to_pylist()]

    return ask


def with_http(url: str, token):
    def ask(sql):
        headers = {"content-type": "application/json", "accept": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        body = json.dumps({"sql": sql, "format": "json"}).encode()
        request = urllib.request.Request(f"{url.rstrip('/')}/api/v1/sql", body, headers)
        try:
            with urllib.request.urlopen(request) as answer:
                rows = json.loads(answer.read(), parse_float=decimal.Decimal)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{error.code}: {error.read().decode(errors='replace')}") from error
        rows = rows["rows"] if isinstance(rows, dict) else rows
        return [list(row.values()) if isinstance(row, dict) else row for row in rows]

    return ask


WAYS = {"farol": with_farol, "postgres": with_postgres, "psql": with_psql, "flight": with_flight, "http": with_http}


def kept(folder: pathlib.Path, name: str):
    lines = (folder / f"{name}.ndjson").read_text().splitlines()
    return [list(json.loads(line, parse_float=decimal.Decimal).values()) for line in lines]


def difference(expected, found):
    if len(expected) != len(found):
        return f"{len(expected)} rows are expected, {len(found)} came"
    for place, (old, new) in enumerate(zip(expected, found)):
        if old != new:
            return f"row {place + 1}: {old} is expected, {new} came"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for way in WAYS:
        parser.add_argument(f"--{way}")
    parser.add_argument("--kept", type=pathlib.Path)
    parser.add_argument("--cookbook", type=pathlib.Path, default=ROOT / "docs/cookbook")
    parser.add_argument("--only", default="")
    parser.add_argument("--token")
    arguments = parser.parse_args()
    given = {way: getattr(arguments, way) for way in WAYS if getattr(arguments, way)}
    if not given or len(given) + bool(arguments.kept) < 2:
        parser.error("give two ways in, or one and --kept, so that there is something to compare")
    asked = list(queries(arguments.cookbook, arguments.only))
    if not asked:
        parser.error(f"there are no questions in {arguments.cookbook}")
    try:
        ways = {way: WAYS[way](place, arguments.token) for way, place in given.items()}
        failed = False
        for name, sql in asked:
            expected, source = None, None
            if arguments.kept:
                expected, source = plain(kept(arguments.kept, name)), "kept"
            for way, ask in ways.items():
                told = {"question": name, "way": way}
                try:
                    rows = plain(ask(sql))
                    told["rows"] = len(rows)
                    if expected is None:
                        expected, source = rows, way
                    elif wrong := difference(expected, rows):
                        told["differs"] = f"from {source}: {wrong}"
                except Missing:
                    raise
                except Exception as error:  # Whatever a driver raises is the way in's answer.
                    told["error"] = f"{type(error).__name__}: {error}"
                failed |= "differs" in told or "error" in told
                print(json.dumps(told), flush=True)
        return int(failed)
    except Missing as missing:
        print(f"cookbook.py: {missing}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
