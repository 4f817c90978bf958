#!/usr/bin/env python3
"""What other readers find in a lake: a line of JSON for each table and reader.

    pip install deltalake polars duckdb pyarrow
    readers.py LAKE [TABLE...]

The table's log is read by PyPI `deltalake`; its files by pyarrow (through `deltalake`), Polars and DuckDB, each with a
Parquet reader of its own. For every column: values that are not null, and what sums them up: sum, least and greatest of
numbers, times and money; least, greatest and bytes of text; elements of lists and maps. Nothing printed depends on how
rows lie in files, so the lines are the same before and after compaction and vacuum.
Exit 1 where readers differ.
"""
import json
import pathlib
import sys

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable


def with_pyarrow(table: DeltaTable) -> pa.Table:
    return table.to_pyarrow_table()


def with_polars(table: DeltaTable) -> pa.Table:
    return polars.scan_delta(table).collect().to_arrow()


def with_duckdb(table: DeltaTable) -> pa.Table:
    files = table.file_uris()
    if not files:
        return pa.schema(table.schema().to_arrow()).empty_table()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    query = "SELECT * FROM read_parquet(?, hive_partitioning = true, union_by_name = true)"
    return connection.sql(query, params=[files]).to_arrow_table()


READERS = {"pyarrow": with_pyarrow, "polars": with_polars, "duckdb": with_duckdb}


def text_of(value) -> str | None:
    return None if value is None else str(value)


def summary(column: pa.ChunkedArray) -> dict:
    """What a column holds, in terms that every reader's types share."""
    kind = column.type
    found = {"values": len(column) - column.null_count}
    if pa.types.is_null(kind) or found["values"] == 0:
        return found
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        bounds = pc.min_max(column.cast(pa.timestamp("us"))).as_py()
        return found | {side: value.isoformat() for side, value in bounds.items()}
    if pa.types.is_floating(kind):
        bounds = pc.min_max(column).as_py()
        # The sum of doubles depends on their order in the last digits.
        return found | bounds | {"sum": f"{pc.sum(column).as_py():.9e}"}
    if pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        bounds = pc.min_max(column).as_py()
        total = pc.sum(column.cast(pa.decimal128(38, 0)) if pa.types.is_integer(kind) else column).as_py()
        return found | {side: text_of(value) for side, value in bounds.items()} | {"sum": text_of(total)}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        # A map is a list of pairs; Polars knows it as one.
        lengths = [len(value) for value in column.to_pylist() if value is not None]
        return found | {"elements": sum(lengths)}
    binary = [value.encode() if isinstance(value, str) else bytes(value) for value in column.to_pylist() if value is not None]
    least, greatest = min(binary), max(binary)
    return found | {"bytes": sum(map(len, binary)), "min": least[:80].hex(), "max": greatest[:80].hex()}


def tables_of(lake: pathlib.Path, wanted: list[str]) -> list[str]:
    logs = lake.glob("*/_delta_log"), lake.glob("*/*/_delta_log")
    names = {str(log.parent.relative_to(lake)) for found in logs for log in found}
    return sorted(names & set(wanted) if wanted else names)


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    lake = pathlib.Path(sys.argv[1].removeprefix("file://"))
    names = tables_of(lake, sys.argv[2:])
    if not names:
        print(f"no tables in {lake}", file=sys.stderr)
        return 1
    differences = 0
    for name in names:
        table = DeltaTable(str(lake / name))
        columns = [field.name for field in table.schema().fields]
        seen = {}
        for reader, read in READERS.items():
            rows = read(table)
            seen[reader] = {"rows": rows.num_rows, "columns": {column: summary(rows[column]) for column in columns}}
            print(json.dumps({"table": name, "reader": reader} | seen[reader], sort_keys=True, default=text_of))
        first = next(iter(seen))
        for reader, found in seen.items():
            for column in columns:
                if found["rows"] != seen[first]["rows"] or found["columns"][column] != seen[first]["columns"][column]:
                    differences += 1
                    print(f"{name}.{column}: {first} found {seen[first]['columns'][column]}, "
                          f"{reader} found {found['columns'][column]}", file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
