#!/usr/bin/env python3
"""What jobs cost beside ingest: CPU seconds per million events of each, piece after piece over one lake that grows.

Drives a finished binary over a Kafka that runs already (tests/services/kafka.sh). Each piece is sent, read by
`run --roles ingest --drain`, and measured by `run --roles jobs --drain`; the CPU seconds are the operating system's.

    benches/jobs.py --farol target/release/farol --bootstrap HOST:PORT [--events N] [--pieces N]
"""
import argparse, json, os, pathlib, subprocess, tempfile, time, uuid


def cpu_seconds(command, directory):
    """Runs a command to its end; the CPU seconds it took, and what it printed."""
    with tempfile.TemporaryFile() as out:
        pid = subprocess.Popen(command, cwd=directory, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(pid.pid, 0)
        pid.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if pid.returncode != 0:
            raise SystemExit(f"{' '.join(command)} ended with {pid.returncode}")
        return usage.ru_utime + usage.ru_stime, out.read().decode()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--farol", required=True)
    a.add_argument("--bootstrap", required=True)
    a.add_argument("--events", type=int, default=200_000, help="events of a piece")
    a.add_argument("--pieces", type=int, default=5)
    o = a.parse_args()
    farol = str(pathlib.Path(o.farol).resolve())
    with tempfile.TemporaryDirectory(prefix="farol-jobs-") as directory:
        run = uuid.uuid4().hex[:8]
        topics = "\n".join(f"  - {{name: bench.{run}.{kind}, kind: {kind}, partitions: 4}}" for kind in ("trace", "feedback", "cost", "evaluation"))
        pathlib.Path(directory, "farol.yaml").write_text(
            f"kafka: {{brokers: '{o.bootstrap}', group: bench-{run}}}\ntopics:\n{topics}\nserver: {{http: null}}\ningest: {{flush_interval: 500ms}}\n")
        cpu_seconds([farol, "topics", "create"], directory)
        print(f"{'rows':>10} {'ingest s/M':>11} {'jobs s/M':>9} {'ratio':>6}")
        for piece in range(o.pieces):
            start = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(1_767_225_600 + piece * 7_200))
            file = f"events-{piece}.ndjson"
            cpu_seconds([farol, "simulate", "--seed", str(piece), "--events", str(o.events), "--rate", "50", "--start", start, "--to", "ndjson", file], directory)
            cpu_seconds([farol, "emit", file, "--format", "ndjson"], directory)
            os.unlink(pathlib.Path(directory, file))
            ingest, _ = cpu_seconds([farol, "run", "--roles", "ingest", "--drain"], directory)
            jobs, _ = cpu_seconds([farol, "run", "--roles", "jobs", "--drain"], directory)
            _, rows = cpu_seconds([farol, "sql", "SELECT sum(requests) AS n FROM performance", "--format", "json"], directory)
            million = o.events / 1e6
            print(f"{json.loads(rows)[0]['n']:>10} {ingest / million:>11.2f} {jobs / million:>9.2f} {jobs / ingest:>6.2f}", flush=True)


if __name__ == "__main__":
    main()
