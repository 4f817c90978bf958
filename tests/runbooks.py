#!/usr/bin/env python3
"""Runs every query of the runbooks, so that nobody who is woken up at night meets one that does not work.

    runbooks.py --farol 'target/release/farol --dir farol-data' [--runbooks docs/runbooks] [--show]

The lake should hold traffic of the last hours; queries that find nothing there are counted, not failed. Prints a line for each
runbook; exit 1 where a query fails, with the query and what was said.
"""
import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUERY = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--farol", required=True)
    arguments.add_argument("--runbooks", type=pathlib.Path, default=ROOT / "docs" / "runbooks")
    arguments.add_argument("--show", action="store_true", help="print what each query finds")
    o = arguments.parse_args()
    failed = 0
    for path in sorted(o.runbooks.glob("*.md")):
        queries = QUERY.findall(path.read_text())
        found = 0
        for query in queries:
            call = [*shlex.split(o.farol), "sql", query.strip().rstrip(";"), "--format", "ndjson"]
            done = subprocess.run(call, capture_output=True, text=True)
            if done.returncode:
                failed += 1
                print(f"{path}: a query fails:\n{query}{done.stderr.strip()}", file=sys.stderr)
                continue
            found += bool(done.stdout.strip())
            if o.show:
                print(query, done.stdout[:2_000], sep="\n")
        print(json.dumps({"runbook": path.stem, "queries": len(queries), "with_rows": found}), flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
