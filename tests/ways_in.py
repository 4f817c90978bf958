#!/usr/bin/env python3
"""Asks a running Farol through every way in, as other people's programs do.

    ways_in.py --http http://HOST:PORT --postgres HOST:PORT --flight grpc://HOST:PORT
               [--name N --secret S] [--certificate FILE] [STEP...]

Needs psql, and what tests/services/requirements.txt lists. The tables must hold traces. A line for each step; exit 1 where
one fails. Steps are the functions below that begin with `check_`; without names, all are taken.
"""
import argparse
import contextlib
import datetime
import decimal
import io
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager
import polars
import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

parser = argparse.ArgumentParser()
parser.add_argument("--http", required=True)
parser.add_argument("--postgres", required=True)
parser.add_argument("--flight", required=True)
parser.add_argument("--name")
parser.add_argument("--secret")
parser.add_argument("--certificate", help="what the server's own is checked with; then all ways are taken with TLS")
parser.add_argument("step", nargs="*")
o = parser.parse_args()
HOST, PORT = o.postgres.rsplit(":", 1)
TLS = ssl.create_default_context(cafile=o.certificate) if o.certificate else None

# Pairs of traces: no machine gets through them.
ENDLESS = "SELECT sum(a.latency_ms * b.latency_ms * c.latency_ms) FROM traces a, traces b, traces c"


def expect(condition, said):
    if not condition:
        raise AssertionError(said)


@contextlib.contextmanager
def refused(kind, *words):
    """What is within must fail so, and say these words."""
    try:
        yield
    except kind as error:
        for word in words:
            expect(word in str(error), f"{word!r} is not in: {error}")
        return
    raise AssertionError(f"it was not refused: {words}")


def within(seconds):
    began = time.monotonic()
    return lambda: expect(time.monotonic() - began < seconds, f"it took {time.monotonic() - began:.1f} s, not {seconds}")


def connect(**more):
    if o.certificate:
        more = {"sslmode": "verify-full", "sslrootcert": o.certificate} | more
    options = {"user": o.name or "anybody", "password": o.secret, "autocommit": True} | more
    return psycopg.connect(host=HOST, port=PORT, dbname="farol", **options)


def flight(**more):
    options = dict(more)
    if o.secret:
        options["adbc.flight.sql.authorization_header"] = f"Bearer {o.secret}"
    return flight_connect(options)


def flight_connect(options):
    if o.certificate:
        options = options | {"adbc.flight.sql.client_option.tls_root_certs": pathlib.Path(o.certificate).read_text()}
    return flightsql.connect(o.flight, db_kwargs=options, autocommit=True)


def http(sql, *, query="", headers=None, timeout=90):
    headers = dict(headers or {})
    if o.secret:
        headers.setdefault("Authorization", f"Bearer {o.secret}")
    body = sql if isinstance(sql, bytes) else sql.encode()
    headers.setdefault("Content-Type", "text/plain")
    request = urllib.request.Request(f"{o.http}/api/v1/sql{query}", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=timeout, context=TLS) as response:
        return response.headers["Content-Type"], response.read()


def psql_environment():
    environment = {"PATH": "/usr/bin:/bin", "PGPASSWORD": o.secret or "", "PAGER": "cat"}
    if o.certificate:
        environment |= {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": o.certificate}
    return environment


def psql(script, *arguments, check=True):
    command = ["psql", "-X", "-q", "-h", HOST, "-p", PORT, "-U", o.name or "anybody", "-d", "farol", "-v", "ON_ERROR_STOP=1",
               *arguments]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=90, env=psql_environment())
    if check:
        expect(done.returncode == 0, f"psql: {done.stdout}{done.stderr}")
    return done


# What people type.


def check_psql_describes():
    said = psql("\\dt\n\\d\n").stdout
    for name in ["traces", "feedback", "costs", "evaluations", "dead_letters", "performance", "spend"]:
        expect(f"| {name} " in said, f"\\d does not list {name}: {said}")
    said = psql("\\d traces\n").stdout
    for column, kind in [("event_time", "timestamp with time zone"), ("input_tokens", "bigint"), ("cost", "numeric"),
                         ("service", "text"), ("latency_ms", "double precision")]:
        line = next((line for line in said.splitlines() if line.split("|")[0].strip() == column), None)
        expect(line and line.split("|")[1].strip() == kind, f"{column} is not {kind}: {line!r} in {said}")
    expect(psql("\\d performance\n").stdout.count("|") > 20, "\\d of a view")
    expect("farol" in psql("\\l\n").stdout, "\\l")
    expect("public" in psql("\\dn\n").stdout, "\\dn")
    for command in ["\\dv", "\\conninfo", "\\dt traces", "\\di"]:
        psql(command + "\n")


def check_psql_describes_more():
    """Roles, types, functions and comments."""
    for command in ["\\du", "\\dT", "\\df", "\\dn+"]:
        psql(command + "\n")
    said = psql("\\d+ traces\n").stdout
    line = next((line for line in said.splitlines() if line.strip().startswith("event_time ")), "")
    expect("When the operation ended" in line, f"no comment on event_time: {said}")
    expect("each exactly once" in psql("\\dt+ traces\n").stdout, "a comment on a table")
    expect("One row for each window" in psql("\\dv+ performance\n").stdout, "a comment on a view")
    expect("One row for each window" in psql("\\dv+ performance\n\\d+ performance\n").stdout, "a view")


def check_subqueries():
    """A subquery about the row beside it is computed, not left out."""
    sql = """SELECT t.trace_id, (SELECT count(*) FROM traces s WHERE s.trace_id = t.trace_id) AS spans,
             (SELECT max(s.latency_ms) FROM traces s WHERE s.trace_id = t.trace_id) AS longest_ms
             FROM (SELECT DISTINCT trace_id FROM traces WHERE trace_id IS NOT NULL ORDER BY trace_id LIMIT 20) t ORDER BY 1"""
    grouped = """SELECT trace_id, count(*), max(latency_ms) FROM traces WHERE trace_id IS NOT NULL
                 GROUP BY trace_id ORDER BY trace_id LIMIT 20"""
    with connect() as connection:
        rows = connection.execute(sql).fetchall()
        expect(rows and rows == connection.execute(grouped).fetchall(), rows)
        names = "SELECT array_to_string(ARRAY(SELECT DISTINCT s.service FROM traces s WHERE s.service IS NOT NULL ORDER BY 1), ',')"
        services = connection.execute("SELECT DISTINCT service FROM traces WHERE service IS NOT NULL ORDER BY 1").fetchall()
        expect(connection.execute(names).fetchone()[0] == ",".join(name for name, in services), "ARRAY of a subquery")


def check_psql_cursor():
    rows = psql("BEGIN;\nDECLARE c CURSOR FOR SELECT trace_id FROM traces ORDER BY trace_id LIMIT 10;\n"
                "FETCH 3 FROM c;\nFETCH NEXT FROM c;\nFETCH ALL FROM c;\nFETCH NEXT FROM c;\nCLOSE c;\nCOMMIT;\n", "-At").stdout.split()
    expect(len(rows) == 10 and rows == sorted(rows), rows)
    with_count = psql("SELECT trace_id FROM traces ORDER BY trace_id LIMIT 1000\n", "-At", "-v", "FETCH_COUNT=64").stdout.split()
    expect(len(with_count) == 1000, len(with_count))
    gone = psql("BEGIN;\nDECLARE c CURSOR FOR SELECT 1;\nCOMMIT;\nFETCH NEXT FROM c;\n", check=False)
    expect('cursor "c" does not exist' in gone.stderr, gone.stderr)
    back = psql("BEGIN;\nDECLARE c CURSOR FOR SELECT 1;\nFETCH BACKWARD 1 FROM c;\n", check=False)
    expect("cursor can only scan forward" in back.stderr, back.stderr)


def check_psql_prepared():
    said = psql("PREPARE calls(text) AS SELECT count(*) FROM traces WHERE service = $1;\n"
                "EXECUTE calls('support-assistant');\nEXECUTE calls('nobody');\nDEALLOCATE calls;\n", "-At").stdout.split()
    expect(int(said[0]) > 0 and said[1] == "0", said)
    again = psql("PREPARE a AS SELECT 1;\nDEALLOCATE a;\nEXECUTE a;\n", check=False)
    expect('prepared statement "a" does not exist' in again.stderr, again.stderr)


def check_psql_errors():
    for statement, sqlstate in [("SELECT nothing FROM traces", "42703"), ("SELECT * FROM nothing", "42P01"),
                                ("SELEC 1", "42601"), ("SELECT 1/0", "22000"), ("DROP TABLE traces", "25006"),
                                ("INSERT INTO traces (trace_id) VALUES ('x')", "25006"),
                                ("CREATE VIEW v AS SELECT 1", "25006"), ("SET datafusion.execution.batch_size = 1", "42501")]:
        said = psql(f"{statement};\n", "-v", "VERBOSITY=verbose", check=False)
        expect(said.returncode != 0 and f"{sqlstate}:" in said.stderr, f"{statement}: {said.stderr}")
    said = psql("SELECT 1,\n  FROM WHERE;\n", check=False).stderr
    expect("LINE 2:" in said and "^" in said, said)
    # After a mistake in a transaction nothing is answered before its end.
    said = psql("BEGIN;\nSELECT nothing;\nSELECT 1;\nROLLBACK;\nSELECT 2;\n", "-At", "-v", "ON_ERROR_STOP=0", check=False)
    expect(said.stdout.split() == ["2"] and "current transaction is aborted" in said.stderr, said)


def check_psql_cancels():
    command = ["psql", "-X", "-h", HOST, "-p", PORT, "-U", o.name or "anybody", "-d", "farol", "-c", ENDLESS]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=psql_environment())
    wait_for_query()
    limit = within(10)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    limit()
    expect("canceling statement due to user request" in said, said)
    wait_for_rest()


def metric(name):
    with urllib.request.urlopen(f"{o.http}/metrics", timeout=30, context=TLS) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < deadline, f"not within {seconds} s: {what}")
        time.sleep(0.05)


def wait_for_query(count=1):
    until(lambda: metric("farol_queries_running") >= count, 30, f"{count} queries run")


def wait_for_rest():
    until(lambda: metric("farol_queries_running") == 0, 30, "every query has ended")


def when_it_runs(act):
    """Does something as soon as a query runs, beside what follows."""
    def run():
        wait_for_query()
        act()
    thread = threading.Thread(target=run)
    thread.start()
    return thread


# What programs ask.


def check_every_column_of_every_table():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_schema, table_name FROM information_schema.tables")
        tables = cursor.fetchall()
        expect(len(tables) > 8, tables)
        for schema, name in tables:
            for binary in [False, True]:
                rows = connection.cursor(binary=binary).execute(f'SELECT * FROM {schema}."{name}" LIMIT 50').fetchall()
                if name in ["traces", "performance"]:
                    expect(len(rows) == 50, f"{name}: {len(rows)} rows")
        row = connection.cursor(row_factory=psycopg.rows.dict_row).execute(
            "SELECT event_time, cost, tags, retrieved, input_tokens FROM traces WHERE cost IS NOT NULL LIMIT 1").fetchone()
        expect(row["event_time"].utcoffset() == datetime.timedelta(0), row)
        expect(isinstance(row["cost"], decimal.Decimal) and isinstance(row["input_tokens"], int), row)
        expect(row["tags"] is None or isinstance(row["tags"], dict), row)


def check_psycopg():
    with connect() as connection:
        total = connection.execute("SELECT count(*) FROM traces").fetchone()[0]
        expect(total > 1000, total)
        # Parameters, as text and binary, again and again so that the driver prepares the statement.
        since = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)
        sql = "SELECT count(*) FROM traces WHERE service <> %s AND event_time > %s AND input_tokens >= %s"
        for binary in [False, True]:
            for _ in range(8):
                cursor = connection.cursor(binary=binary)
                found = cursor.execute(sql, ("nobody", since, 0)).fetchone()[0]
                expect(0 < found <= total, found)
        number = connection.execute("SELECT CAST(%s AS numeric) + 1", (decimal.Decimal("1.25"),)).fetchone()[0]
        expect(number == decimal.Decimal("2.25"), number)
        expect(connection.execute("SELECT %s::text", (None,)).fetchone()[0] is None, "NULL")
        with refused(psycopg.errors.UndefinedColumn, "nothing"):
            connection.execute("SELECT nothing FROM traces")
        with refused(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM traces")
        connection.execute("SET statement_timeout = 500")
        limit = within(10)
        with refused(psycopg.errors.QueryCanceled, "statement timeout"):
            connection.execute(ENDLESS)
        limit()
        connection.execute("SET statement_timeout = 0")
        cancelling = when_it_runs(connection.cancel)
        with refused(psycopg.errors.QueryCanceled, "user request"):
            connection.execute(ENDLESS)
        cancelling.join()
        expect(connection.execute("SELECT 1").fetchone() == (1,), "the connection lives on")
        # Rows as they come, and a cursor on the server.
        expect(sum(1 for _ in connection.cursor().stream("SELECT trace_id FROM traces LIMIT 5000")) == 5000, "stream")
    with connect(autocommit=False) as connection:
        with connection.cursor("on_the_server") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT trace_id, latency_ms FROM traces LIMIT 1050")
            expect(sum(1 for _ in cursor) == 1050, "a named cursor")


def check_adbc_flightsql():
    with flight() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT service, count(*) AS calls, sum(cost) AS cost FROM traces GROUP BY service ORDER BY service")
        table = cursor.fetch_arrow_table()
        expect(table.num_rows > 1 and table.schema.field("cost").type == pa.decimal128(38, 12), table.schema)
        cursor.execute("SELECT * FROM traces LIMIT 3000")
        expect(cursor.fetch_arrow_table().num_rows == 3000, "every column")
        cursor.execute("SELECT count(*) FROM traces WHERE service = $1 AND input_tokens > $2", ("support-assistant", 1))
        expect(cursor.fetchone()[0] > 0, "parameters")
        cursor.execute("SELECT count(*) FROM traces WHERE service = $1 AND input_tokens > $2", ("nobody", 1))
        expect(cursor.fetchone()[0] == 0, "parameters")
        for _ in range(3):
            cursor.execute("SELECT $1 + 1 AS n", (41,))
            expect(cursor.fetchone()[0] == 42, "a parameter of its own type")
        objects = connection.adbc_get_objects(depth="columns", db_schema_filter="public").read_all().to_pylist()
        names = {table["table_name"]: table for schema in objects[0]["catalog_db_schemas"]
                 for table in schema["db_schema_tables"]}
        expect(names["traces"]["table_type"] == "TABLE" and names["performance"]["table_type"] == "VIEW", names.keys())
        expect(any(column["column_name"] == "latency_ms" for column in names["traces"]["table_columns"]), names["traces"])
        expect(connection.adbc_get_table_schema("traces").field("event_time").type == pa.timestamp("us", "UTC"), "a schema")
        expect({"TABLE", "VIEW"} <= set(connection.adbc_get_table_types()), "table types")
        expect(connection.adbc_get_info()["vendor_name"] == "Farol", connection.adbc_get_info())
        with refused(adbc_driver_manager.Error, "nothing"):
            cursor.execute("SELECT nothing FROM traces")
        with refused(adbc_driver_manager.Error, "25006"):
            cursor.execute("DROP TABLE traces")
    with flight() as connection, connection.cursor() as cursor:
        limit = within(15)
        cancelling = when_it_runs(cursor.adbc_cancel)
        with refused(adbc_driver_manager.Error):
            cursor.execute(ENDLESS)
            cursor.fetch_arrow_table()
        cancelling.join()
        limit()
    wait_for_rest()


def check_polars():
    sql = ("SELECT service, window_start, requests, latency_p95_ms FROM measures('performance', '1 minute', 'service') "
           "ORDER BY window_start, service LIMIT 100")
    with flight() as connection:
        frame = polars.read_database(sql, connection)
    expect(frame.height == 100 and frame.schema["window_start"] == polars.Datetime("us", "UTC"), frame.schema)
    with connect() as connection:
        other = polars.read_database(sql, connection)
    expect(other.height == 100, other)
    expect(frame["requests"].to_list() == other["requests"].to_list(), "both ways say the same")


# What dashboards ask before they show anything: the statements of their sources, with their parameters.

SEARCH_PATH = """quote_ident(table_schema) IN (
    SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
    FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1),
                         array_upper(string_to_array(current_setting('search_path'),','),1)) as i,
         string_to_array(current_setting('search_path'),',') s)"""
NOT_TIMESCALES = """'information_schema', 'pg_catalog', '_timescaledb_cache', '_timescaledb_catalog', '_timescaledb_internal',
    '_timescaledb_config', 'timescaledb_information', 'timescaledb_experimental'"""


def grafana_columns(table):
    return f"""SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns WHERE
        CASE WHEN array_length(parse_ident('{table}'),1) = 2
          THEN quote_ident(table_schema) = (parse_ident('{table}'))[1] AND quote_ident(table_name) = (parse_ident('{table}'))[2]
          ELSE quote_ident(table_name) = '{table}' AND {SEARCH_PATH} END"""


def check_grafana():
    with connect(cursor_factory=psycopg.ClientCursor) as connection:
        ask = lambda sql: connection.execute(sql).fetchall()
        expect(ask("SELECT current_setting('server_version_num')::int/100 as version") == [(1600,)], "the version")
        expect(ask("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'") == [], "no Timescale")
        names = ask(f"""SELECT schema_name AS "name" FROM information_schema.schemata
                        WHERE schema_name NOT IN ('pg_toast', {NOT_TIMESCALES}) ORDER BY schema_name""")
        expect(("public",) in names and ("pg_catalog",) not in names, names)
        tables = ask(f"""SELECT CASE WHEN {SEARCH_PATH} THEN quote_ident(table_name)
                         ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
                         FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ({NOT_TIMESCALES})
                         ORDER BY CASE WHEN {SEARCH_PATH} THEN 0 ELSE 1 END, 1""")
        of_schema = ask("""SELECT quote_ident(table_name) AS "table" FROM information_schema.tables
                           WHERE quote_ident(table_schema) = 'public' ORDER BY 1""")
        expect(("traces",) in of_schema and ("performance",) in of_schema, of_schema)
        # The name that the first gives is the name that the next is asked for.
        traces = next((name for (name,) in tables if name in ["traces", "public.traces"]), None)
        expect(traces, tables)
        columns = dict(ask(grafana_columns(traces)))
        expect(columns.get("event_time") == "timestamp with time zone", columns)
        expect(columns.get("input_tokens") == "bigint" and columns.get("service") == "text", columns)
        # What its macros become: a time series and a table.
        series = ask("""SELECT floor(extract(epoch from "event_time")/60)*60 AS "time", service AS metric, avg(latency_ms) AS value
                        FROM traces WHERE "event_time" BETWEEN '2000-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z'
                        GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 100""")
        expect(len(series) == 100, len(series))
        ask("""SELECT window_start AS "time", error_rate FROM performance
               WHERE window_start >= '2000-01-01T00:00:00Z' AND window_start <= '2100-01-01T00:00:00Z' ORDER BY 1 LIMIT 50""")


METABASE_TABLES = """
    SELECT n.nspname AS schema, c.relname AS name,
           CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW'
                          WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS type,
           d.description AS description, stat.n_live_tup AS estimated_row_count
    FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
    LEFT JOIN pg_catalog.pg_description AS d
      ON (c.oid = d.objoid) AND (d.objsubid = 0) AND (d.classoid = 'pg_class'::regclass)
    LEFT JOIN pg_stat_user_tables AS stat ON (n.nspname = stat.schemaname) AND (c.relname = stat.relname)
    WHERE (c.relnamespace = n.oid) AND (n.nspname !~ '^pg_') AND (n.nspname <> 'information_schema')
      AND c.relkind in ('r', 'p', 'v', 'f', 'm') AND (n.nspname IN (%s))
    ORDER BY type ASC, schema ASC, name ASC"""

METABASE_COLUMNS = """
    SELECT "c"."column_name" AS "name",
           CASE WHEN "c"."udt_schema" IN ('public', 'pg_catalog') THEN FORMAT('%%s', "c"."udt_name")
                ELSE FORMAT('"%%s"."%%s"', "c"."udt_schema", "c"."udt_name") END AS "database-type",
           "c"."ordinal_position" - 1 AS "database-position", "c"."table_schema" AS "table-schema",
           "c"."table_name" AS "table-name", "pk"."column_name" IS NOT NULL AS "pk?",
           COL_DESCRIPTION(CAST(CAST(FORMAT('%%I.%%I', CAST("c"."table_schema" AS TEXT), CAST("c"."table_name" AS TEXT))
                                     AS REGCLASS) AS OID), "c"."ordinal_position") AS "field-comment",
           (("column_default" IS NULL) OR (LOWER("column_default") = 'null')) AND ("is_nullable" = 'NO')
             AND NOT ((("column_default" IS NOT NULL) AND ("column_default" LIKE '%%nextval(%%')) OR ("is_identity" <> 'NO'))
             AS "database-required",
           (("column_default" IS NOT NULL) AND ("column_default" LIKE '%%nextval(%%')) OR ("is_identity" <> 'NO')
             AS "database-is-auto-increment"
    FROM "information_schema"."columns" AS "c"
    LEFT JOIN (SELECT "tc"."table_schema", "tc"."table_name", "kc"."column_name"
               FROM "information_schema"."table_constraints" AS "tc"
               INNER JOIN "information_schema"."key_column_usage" AS "kc"
                 ON ("tc"."constraint_name" = "kc"."constraint_name") AND ("tc"."table_schema" = "kc"."table_schema")
                    AND ("tc"."table_name" = "kc"."table_name")
               WHERE "tc"."constraint_type" = 'PRIMARY KEY') AS "pk"
      ON ("c"."table_schema" = "pk"."table_schema") AND ("c"."table_name" = "pk"."table_name")
         AND ("c"."column_name" = "pk"."column_name")
    WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND ("c"."table_schema" IN (%s))
    UNION ALL
    SELECT "pa"."attname" AS "name",
           CASE WHEN "ptn"."nspname" IN ('public', 'pg_catalog') THEN FORMAT('%%s', "pt"."typname")
                ELSE FORMAT('"%%s"."%%s"', "ptn"."nspname", "pt"."typname") END AS "database-type",
           "pa"."attnum" - 1 AS "database-position", "pn"."nspname" AS "table-schema", "pc"."relname" AS "table-name",
           FALSE AS "pk?", NULL AS "field-comment", FALSE AS "database-required", FALSE AS "database-is-auto-increment"
    FROM "pg_catalog"."pg_class" AS "pc"
    INNER JOIN "pg_catalog"."pg_namespace" AS "pn" ON "pn"."oid" = "pc"."relnamespace"
    INNER JOIN "pg_catalog"."pg_attribute" AS "pa" ON "pa"."attrelid" = "pc"."oid"
    INNER JOIN "pg_catalog"."pg_type" AS "pt" ON "pt"."oid" = "pa"."atttypid"
    INNER JOIN "pg_catalog"."pg_namespace" AS "ptn" ON "ptn"."oid" = "pt"."typnamespace"
    WHERE ("pc"."relkind" = 'm') AND ("pa"."attnum" >= 1) AND ("pn"."nspname" IN (%s))
    ORDER BY "table-schema" ASC, "table-name" ASC, "database-position" ASC"""

METABASE_FOREIGN_KEYS = """
    SELECT "fk_ns"."nspname" AS "fk-table-schema", "fk_table"."relname" AS "fk-table-name",
           "fk_column"."attname" AS "fk-column-name", "pk_ns"."nspname" AS "pk-table-schema",
           "pk_table"."relname" AS "pk-table-name", "pk_column"."attname" AS "pk-column-name"
    FROM "pg_constraint" AS "c"
    INNER JOIN "pg_class" AS "fk_table" ON "c"."conrelid" = "fk_table"."oid"
    INNER JOIN "pg_namespace" AS "fk_ns" ON "c"."connamespace" = "fk_ns"."oid"
    INNER JOIN "pg_attribute" AS "fk_column" ON "c"."conrelid" = "fk_column"."attrelid"
    INNER JOIN "pg_class" AS "pk_table" ON "c"."confrelid" = "pk_table"."oid"
    INNER JOIN "pg_namespace" AS "pk_ns" ON "pk_table"."relnamespace" = "pk_ns"."oid"
    INNER JOIN "pg_attribute" AS "pk_column" ON "c"."confrelid" = "pk_column"."attrelid"
    WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND ("c"."contype" = 'f'::char)
      AND ("fk_column"."attnum" = ANY(c.conkey)) AND ("pk_column"."attnum" = ANY(c.confkey))
      AND ("fk_ns"."nspname" IN (%s))
    ORDER BY "fk-table-schema" ASC, "fk-table-name" ASC"""


def metabase_privileges():
    name = """'"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"'"""
    return f"""
    with table_privileges as (
      select NULL as role, t.schemaname as schema, t.objectname as table,
        pg_catalog.has_any_column_privilege(current_user, {name}, 'update') as update,
        pg_catalog.has_any_column_privilege(current_user, {name}, 'select') as select,
        pg_catalog.has_any_column_privilege(current_user, {name}, 'insert') as insert,
        pg_catalog.has_table_privilege(current_user, {name}, 'delete') as delete
      from (select schemaname, tablename as objectname from pg_catalog.pg_tables
            union select schemaname, viewname as objectname from pg_catalog.pg_views
            union select schemaname, matviewname as objectname from pg_catalog.pg_matviews) t
      where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema'
        and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
    select t.* from table_privileges t"""


JDBC_SCHEMAS = """
    SELECT nspname AS "TABLE_SCHEM", current_database() AS "TABLE_CATALOG" FROM pg_catalog.pg_namespace
    WHERE nspname <> 'pg_toast' AND (nspname !~ '^pg_temp_' OR nspname = (pg_catalog.current_schemas(true))[1])
      AND (nspname !~ '^pg_toast_temp_' OR nspname = replace((pg_catalog.current_schemas(true))[1], 'pg_temp_', 'pg_toast_temp_'))
    ORDER BY "TABLE_SCHEM" """

JDBC_COLUMNS = """
    SELECT * FROM (
      SELECT current_database() AS current_database, n.nspname,c.relname,a.attname,a.atttypid,
             a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull,a.atttypmod,a.attlen,t.typtypmod,
             row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum,
             nullif(a.attidentity, '') as attidentity,nullif(a.attgenerated, '') as attgenerated,
             pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc,dsc.description,t.typbasetype,t.typtype
      FROM pg_catalog.pg_namespace n
      JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid)
      JOIN pg_catalog.pg_attribute a ON (a.attrelid=c.oid)
      JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)
      LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid=def.adrelid AND a.attnum = def.adnum)
      LEFT JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
      LEFT JOIN pg_catalog.pg_class dc ON (dc.oid=dsc.classoid AND dc.relname='pg_class')
      LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace=dn.oid AND dn.nspname='pg_catalog')
      WHERE c.relkind in ('r','p','v','f','m') and a.attnum > 0 AND NOT a.attisdropped
        AND n.nspname LIKE %s AND c.relname LIKE %s) c
    WHERE true ORDER BY nspname,c.relname,attnum """


def check_metabase():
    with connect() as connection:
        ask = lambda sql, *values: connection.execute(sql, values).fetchall()
        connection.execute("SET extra_float_digits = 3")
        connection.execute("SET SESSION TIMEZONE TO 'UTC'")
        expect(len(ask("show timezone")) == 1, "the time zone")
        expect(ask("SELECT nspname, typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace "
                   "WHERE t.oid IN (SELECT DISTINCT enumtypid FROM pg_enum e)") == [], "no enumerations")
        schemas = [name for name, _ in ask(JDBC_SCHEMAS)]
        expect("public" in schemas, schemas)
        tables = {name: kind for _, name, kind, *_ in ask(METABASE_TABLES, "public")}
        expect(tables.get("traces") == "TABLE" and tables.get("performance") == "VIEW", tables)
        privileges = {(row[1], row[2]): row[3:] for row in ask(metabase_privileges())}
        expect(privileges.get(("public", "traces")), privileges)
        columns = {(row[4], row[0]): row for row in ask(METABASE_COLUMNS, "public", "public")}
        expect(columns["traces", "event_time"][1] == "timestamptz" and columns["traces", "cost"][1] == "numeric", columns)
        expect(columns["performance", "requests"][1] == "int8", columns["performance", "requests"])
        expect(ask(METABASE_FOREIGN_KEYS, "public") == [], "no foreign keys")
        described = ask(JDBC_COLUMNS, "public", "traces")
        expect([row[3] for row in described][:2] and len(described) > 50, described[:3])
        # What a question on a table becomes.
        rows = ask("""SELECT DATE_TRUNC('hour', "public"."traces"."event_time") AS "event_time", COUNT(*) AS "count"
                      FROM "public"."traces" WHERE ("public"."traces"."event_time" >= %s) AND ("public"."traces"."service" = %s)
                      GROUP BY DATE_TRUNC('hour', "public"."traces"."event_time")
                      ORDER BY DATE_TRUNC('hour', "public"."traces"."event_time") ASC LIMIT 2000""",
                   datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc), "support-assistant")
        expect(rows and rows[0][1] > 0, rows)


def check_http():
    kind, body = http("SELECT 1 AS a, 'x' AS b, NULL AS c")
    expect(kind == "application/json" and json.loads(body) == [{"a": 1, "b": "x", "c": None}], (kind, body))
    sql = "SELECT trace_id, event_time, cost, tags FROM traces ORDER BY trace_id, span_id LIMIT 2500"
    rows = json.loads(http(sql)[1])
    expect(len(rows) == 2500, len(rows))
    lines = http(sql, query="?format=ndjson")[1].splitlines()
    expect([json.loads(line) for line in lines] == rows, "ndjson")
    kind, body = http(sql, headers={"Accept": "text/csv"})
    expect(kind.startswith("text/csv") and pyarrow.csv.read_csv(io.BytesIO(body)).num_rows == 2500, "csv")
    kind, body = http(sql, headers={"Accept": "application/vnd.apache.arrow.stream"})
    table = pa.ipc.open_stream(body).read_all()
    expect(table.num_rows == 2500 and table.column("trace_id").to_pylist() == [row["trace_id"] for row in rows], "arrow")
    request = json.dumps({"sql": sql, "format": "parquet"}).encode()
    _, body = http(request, headers={"Content-Type": "application/json"})
    expect(pyarrow.parquet.read_table(io.BytesIO(body)).num_rows == 2500, "parquet")
    for sql, status, word in [("SELEC 1", 400, "42601"), ("SELECT nothing FROM traces", 400, "42703"),
                              ("DROP TABLE traces", 403, "25006"), ("SELECT '" + "x" * (1 << 20) + "'", 413, "54000"),
                              ("SELECT 1; SELECT 2", 400, "sqlstate")]:
        try:
            http(sql)
        except urllib.error.HTTPError as error:
            body = error.read().decode()
            expect(error.code == status and word in body, f"{sql[:40]}: {error.code} {body[:200]}")
            expect(json.loads(body)["error"]["message"], body)
        else:
            raise AssertionError(f"{sql[:40]} was answered")
    try:
        http("SELECT 1 +\n  )")
    except urllib.error.HTTPError as error:
        expect(json.loads(error.read())["error"]["line"] == 2, "the place of a mistake")
    # What fails after the first rows does not end like an answer.
    failing = "SELECT 1 / (value - 100000) AS x FROM generate_series(1, 200000)"
    try:
        body = http(failing, query="?format=ndjson")[1]
    except (urllib.error.HTTPError, ConnectionError, OSError) as error:
        expect(error is not None, error)
    except Exception as error:
        expect("IncompleteRead" in type(error).__name__, error)
    else:
        raise AssertionError(f"a broken answer looks whole: {len(body)} bytes")


# What must not hurt others.


def postgres_login():
    """A plain socket that has logged in, to behave badly with. Only without secrets."""
    stream = socket.create_connection((HOST, int(PORT)), timeout=60)
    body = b"\0\3\0\0user\0anybody\0database\0farol\0\0"
    stream.sendall((len(body) + 4).to_bytes(4, "big") + body)
    said = b""
    while not said.endswith(b"Z\0\0\0\5I"):
        said += stream.recv(65536)
    return stream


def postgres_query(stream, sql):
    body = sql.encode() + b"\0"
    stream.sendall(b"Q" + (len(body) + 4).to_bytes(4, "big") + body)


def check_endless_join():
    limit = within(30)
    with connect() as connection:
        connection.execute("SET statement_timeout = 3000")
        with refused(psycopg.errors.QueryCanceled, "timeout"):
            connection.execute(ENDLESS)
        with refused((psycopg.errors.QueryCanceled, psycopg.errors.OutOfMemory, psycopg.errors.DiskFull)):
            connection.execute("SELECT a.*, b.* FROM traces a, traces b ORDER BY a.input, b.output").fetchall()
    limit()
    wait_for_rest()


def check_sort_beyond_memory():
    """To be run where server.query.memory and server.query.spill are small."""
    wide = "SELECT trace_id, event_time, repeat(trace_id, 200) AS wide FROM traces, generate_series(1, {})"
    with connect() as connection:
        # What does not fit is spilled, and comes out sorted.
        rows = connection.execute(f"SELECT trace_id FROM ({wide.format(4)}) ORDER BY wide, trace_id").fetchall()
        expect(len(rows) > 1000 and rows == sorted(rows), len(rows))
        with refused((psycopg.errors.OutOfMemory, psycopg.errors.DiskFull), "server.query."):
            connection.execute(f"SELECT * FROM ({wide.format(200)}) ORDER BY wide, event_time").fetchall()
        expect(connection.execute("SELECT 1").fetchone() == (1,), "the connection lives on")
    wait_for_rest()


def check_two_hundred_clients():
    outcomes = []

    def ask(number):
        try:
            with connect(connect_timeout=60) as connection:
                sql = "SELECT service, count(*), avg(latency_ms) FROM traces GROUP BY service"
                outcomes.append(len(connection.execute(sql).fetchall()))
        except psycopg.errors.TooManyConnections as error:
            outcomes.append(str(error))
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    expect(len(outcomes) == 200, f"{len(outcomes)} of 200 came to an end")
    strange = [outcome for outcome in outcomes if not isinstance(outcome, (int, str))]
    expect(not strange, strange[:3])
    answered = sum(isinstance(outcome, int) for outcome in outcomes)
    expect(answered >= 8, f"{answered} were answered")
    print(f"   200 clients: {answered} answered, {200 - answered} refused")
    wait_for_rest()


def check_too_many_connections():
    """To be run where server.query.max_connections is small: as many as are let in, and one more."""
    held = []
    try:
        with refused(psycopg.OperationalError, "too many clients"):
            for _ in range(400):
                held.append(connect())
    finally:
        for connection in held:
            connection.close()
    until(lambda: subprocess.run(["true"]).returncode == 0 and can_connect(), 30, "there is room again")


def can_connect():
    try:
        connect().close()
        return True
    except psycopg.OperationalError:
        return False


def check_clients_that_do_not_read():
    """Where server.query.write_timeout is short: their queries end, and the others are served all the while."""
    large = "SELECT t.* FROM generate_series(1, 1000), traces t"
    limit = within(60)
    streams = []
    if not o.secret:
        stream = postgres_login()
        postgres_query(stream, large)
        streams.append(stream)
    # HTTP, as little of it as is needed.
    host, port = o.http.split("//")[1].split(":")
    stream = socket.create_connection((host, int(port)), timeout=60)
    token = f"Authorization: Bearer {o.secret}\r\n" if o.secret else ""
    stream.sendall((f"POST /api/v1/sql?format=csv HTTP/1.1\r\nHost: farol\r\n{token}Content-Length: {len(large)}\r\n\r\n"
                    f"{large}").encode())
    streams.append(stream)
    connection = flight()
    cursor = connection.cursor()
    cursor.execute(large)
    first = cursor.fetch_record_batch().read_next_batch()
    expect(first.num_rows > 0, "the first rows come")
    wait_for_query(2)
    with connect() as other:
        expect(other.execute("SELECT count(*) FROM traces").fetchone()[0] > 0, "others are served")
    wait_for_rest()
    limit()
    for stream in streams:
        stream.close()
    cursor.close()
    connection.close()


def check_gone_clients():
    """A client that goes away takes its query with it, whatever way it came."""
    limit = within(60)
    if not o.secret:
        stream = postgres_login()
        postgres_query(stream, ENDLESS)
        wait_for_query()
        stream.close()
        wait_for_rest()
    host, port = o.http.split("//")[1].split(":")
    stream = socket.create_connection((host, int(port)), timeout=60)
    token = f"Authorization: Bearer {o.secret}\r\n" if o.secret else ""
    stream.sendall((f"POST /api/v1/sql HTTP/1.1\r\nHost: farol\r\n{token}Content-Length: {len(ENDLESS)}\r\n\r\n{ENDLESS}").encode())
    wait_for_query()
    stream.close()
    wait_for_rest()
    limit()


def check_long_messages():
    """What is too long is refused before it is held."""
    if o.secret:
        return
    stream = postgres_login()
    stream.sendall(b"Q" + (1 << 29).to_bytes(4, "big"))
    said = b""
    try:
        for _ in range(64):
            stream.sendall(b"x" * (1 << 20))
    except (BrokenPipeError, ConnectionResetError):
        pass
    else:
        raise AssertionError("64 MiB of one message were taken")
    stream.close()
    with connect() as connection:
        with refused(psycopg.errors.ProgramLimitExceeded):
            psycopg.ClientCursor(connection).execute("SELECT '" + "x" * (1 << 20) + "'")


def check_secrets():
    """With tokens, nobody gets in without one; to be run with --name and --secret."""
    expect(o.secret, "needs --secret")
    for user, password in [(o.name, "wrong-secret-wrong"), ("nobody", o.secret), (o.name, "")]:
        with refused(psycopg.OperationalError):
            connect(user=user, password=password or None, connect_timeout=10)
    for headers in [{"Authorization": "Bearer wrong-secret-wrong"}, {"Authorization": ""}]:
        try:
            http("SELECT 1", headers=headers)
        except urllib.error.HTTPError as error:
            expect(error.code == 401, error.code)
        else:
            raise AssertionError("HTTP let somebody in")
    for options in [{}, {"adbc.flight.sql.authorization_header": "Bearer wrong-secret-wrong"},
                    {"username": o.name, "password": "wrong-secret-wrong"}]:
        with refused(adbc_driver_manager.Error):
            with flight_connect(options) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchall()
    with flight_connect({"username": o.name, "password": o.secret}) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            expect(cursor.fetchall() == [(1,)], "a user name and a password")


def main():
    steps = {name.removeprefix("check_"): step for name, step in globals().items() if name.startswith("check_")}
    names = o.step or [name for name in steps if name != "secrets" or o.secret]
    failed = 0
    for name in names:
        began = time.monotonic()
        try:
            steps[name]()
            print(f"ok {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
