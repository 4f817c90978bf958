#!/usr/bin/env python3
"""What feedback should be joined with, worked out by DuckDB from the raw tables alone: every event once, with the call that
it is about; and how many calls and thumbs that makes in each minute of the calls. Prints one JSON object.

    tests/joined.py LAKE
"""
import json, sys

import duckdb
from deltalake import DeltaTable

connection = duckdb.connect()
for name in ["traces", "feedback"]:
    columns = "event_id trace_id span_id response_id event_time".split()
    columns += ["parent_span_id", "service"] if name == "traces" else ["kind", "value"]
    rows = DeltaTable(f"{sys.argv[1]}/{name}").to_pyarrow_table(columns=columns)
    connection.register(name, rows)
connection.execute("""
    CREATE TABLE said AS
        SELECT event_id, kind, min(trace_id) AS trace_id, min(span_id) AS span_id, min(response_id) AS response_id,
               min(value) AS value, count(*) AS times
        FROM feedback GROUP BY event_id, kind;
    CREATE TABLE joined AS
        SELECT said.event_id, said.value, said.times, call.event_id AS call, call.service, epoch_us(call.event_time) AS time_us
        FROM said JOIN traces call ON
            (said.span_id IS NOT NULL AND call.trace_id = said.trace_id AND call.span_id = said.span_id)
            OR (said.span_id IS NULL AND said.response_id IS NOT NULL AND call.response_id = said.response_id)
            OR (said.span_id IS NULL AND said.response_id IS NULL AND call.trace_id = said.trace_id AND call.parent_span_id IS NULL)
""")


def all_rows(sql):
    return [list(row) for row in connection.execute(sql).fetchall()]


print(json.dumps({
    "joined": all_rows("SELECT event_id, call, service, time_us, value FROM joined ORDER BY event_id"),
    "counts": all_rows("""
        SELECT (SELECT count(*) FROM feedback)::BIGINT, (SELECT count(*) FROM joined)::BIGINT,
               (SELECT coalesce(sum(times - 1), 0) FROM joined)::BIGINT,
               (SELECT coalesce(sum(times), 0) FROM said WHERE event_id NOT IN (SELECT event_id FROM joined))::BIGINT""")[0],
    "minutes": all_rows("""
        SELECT time_us // 60000000 * 60000000 AS minute, service, sum(calls)::BIGINT, sum(thumbs)::BIGINT, sum(liked)::BIGINT
        FROM (SELECT epoch_us(event_time) AS time_us, service, 1 AS calls, 0 AS thumbs, 0 AS liked FROM traces
              UNION ALL SELECT time_us, service, 0, 1, (value > 0)::INTEGER FROM joined)
        GROUP BY 1, 2 ORDER BY 1, 2"""),
}))
