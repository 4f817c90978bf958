#!/usr/bin/env python3
"""What joining feedback with its traces costs: CPU milliseconds of a step, by what the feedback is about and how many traces
there are.

Drives a finished binary over a Kafka that runs already (tests/services/kafka.sh). For every size of the lake: traces are sent,
read and compacted; then one process with the role `jobs` runs, and pieces of feedback are sent and read by
`run --roles ingest --drain`, each about other calls: of the last minutes, of any time, of none. Told is the CPU time of that one
process from before the piece until all of it is accounted for, and that of as long without a piece. Needs confluent-kafka.

    benches/joins.py --farol target/release/farol --bootstrap HOST:PORT [--traces N ...] [--piece N] [--rate N]
"""
import argparse, datetime, json, os, pathlib, subprocess, tempfile, time, uuid

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

START_MS = 1_767_225_600_000  # 2026-01-01
TRACE = ('{"event_id":"t-%09d","event_time":"%s","trace_id":"%032x","span_id":"%016x","response_id":"r-%09d","session_id":"s-%d",'
         '"user_id":"u-%d","service":"service-%d","environment":"prod","operation":"chat","provider":"openai","request_model":"gpt-4o",'
         '"prompt_id":"p-%d","prompt_version":"3","input_tokens":%d,"output_tokens":%d,"latency_ms":%d,"status":"ok",'
         '"input":"%s","output":"%s"}')  # about 800 bytes
TEXT = "please summarise the invoice of the customer and draft a reply about the refund policy "
TICKS = os.sysconf("SC_CLK_TCK")


def trace_id(n):
    """Of no order: what is near in time is not near in name."""
    return n * 0x9E3779B97F4A7C15F39CC0605CEDC835 & (1 << 128) - 1


def at(n, rate):
    now = datetime.datetime.fromtimestamp((START_MS + n * 1000 // rate) / 1000, datetime.timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def send(bootstrap, topic, events):
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": "lz4", "linger.ms": 50, "batch.num.messages": 100_000,
                         "queue.buffering.max.messages": 500_000, "queue.buffering.max.kbytes": 262_144})
    for n, event in enumerate(events):
        while True:
            try:
                producer.produce(topic, event, partition=n % 4)
                break
            except BufferError:
                producer.poll(0.05)
        if n % 10_000 == 0:
            producer.poll(0)
    if producer.flush(120):
        raise SystemExit("Kafka did not take everything")


def traces(first, count, rate):
    for n in range(first, first + count):
        draw = (n * 2_654_435_761) & 0xFFFFFFFF
        yield TRACE % (n, at(n, rate), trace_id(n), n, n, draw % 40_000, draw % 9_000, draw % 8, n % 300, draw % 8_000, draw % 1_500,
                       draw % 9_000, TEXT * 3, TEXT * 2)


def feedback(run, what, count, total, rate):
    """Feedback at the end of what there is."""
    for n in range(count):
        draw = (n * 2_654_435_761) & 0xFFFFFFFF
        about = {"recent": total - 1 - draw % (rate * 600), "any time": draw % total, "none": total + n}[what]
        yield json.dumps({"event_id": f"{run}-{what}-{n}", "event_time": at(total, rate), "trace_id": "%032x" % trace_id(about),
                          "span_id": "%016x" % about, "kind": "thumbs", "value": 1})


def cpu_ms(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


def measure(o, farol, directory, size):
    run = uuid.uuid4().hex[:8]
    topics = [f"bench.{run}.traces", f"bench.{run}.feedback"]
    admin = AdminClient({"bootstrap.servers": o.bootstrap})
    for made in admin.create_topics([NewTopic(topic, 4, 1) for topic in topics]).values():
        made.result()
    pathlib.Path(directory, "farol.yaml").write_text(
        f"kafka: {{brokers: '{o.bootstrap}', group: bench-{run}}}\nserver: {{http: null}}\npipelines: {{builtin: false}}\n"
        f"topics: [{{name: {topics[0]}, kind: trace, format: json}}, {{name: {topics[1]}, kind: feedback, format: json}}]\n")

    def call(*arguments):
        ended = subprocess.run([farol, *arguments], cwd=directory, capture_output=True, text=True)
        if ended.returncode != 0:
            raise SystemExit(f"farol {' '.join(arguments)} ended with {ended.returncode}:\n{ended.stderr[-2_000:]}")
        return ended.stdout

    def counts():
        joins = json.loads(call("status", "--json"))["joins"]
        return next((join for join in joins if join["table"] == "feedback_joined"), {"read": 0, "behind": 1})

    sent = 0
    try:
        while sent < size:
            count = min(1_000_000, size - sent)
            send(o.bootstrap, topics[0], traces(sent, count, o.rate))
            sent += count
            call("run", "--roles", "ingest", "--drain")
        call("lake", "compact", "traces")
        jobs = subprocess.Popen([farol, "run", "--roles", "jobs"], cwd=directory, stderr=subprocess.DEVNULL)
        try:
            read = 0
            while counts()["behind"]:
                time.sleep(0.5)
            for what in ["recent", "any time", "none"]:
                for piece in [o.piece // 100, o.piece]:
                    send(o.bootstrap, topics[1], feedback(f"{run}-{piece}", what, piece, size, o.rate))
                    before, began = cpu_ms(jobs.pid), time.monotonic()
                    call("run", "--roles", "ingest", "--drain")
                    read += piece
                    while True:
                        now = counts()
                        if now["read"] >= read and now["behind"] == 0:
                            break
                    # What was not found near is looked for everywhere when that is due.
                    time.sleep(10)
                    took, elapsed = cpu_ms(jobs.pid) - before, time.monotonic() - began
                    before = cpu_ms(jobs.pid)
                    time.sleep(elapsed)
                    idle = cpu_ms(jobs.pid) - before
                    now = counts()
                    print(f"{size:>10} {what:>9} {piece:>8} {took - idle:>9.0f} {(took - idle) * 1000 / piece:>10.0f} {idle:>8.0f} "
                          f"{now['joined']:>9} {now['unmatched']:>9}", flush=True)
        finally:
            jobs.terminate()
            jobs.wait()
    finally:
        for gone in admin.delete_topics(topics).values():
            gone.result()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--farol", required=True)
    a.add_argument("--bootstrap", required=True)
    a.add_argument("--traces", type=int, nargs="+", default=[1_000_000, 10_000_000])
    a.add_argument("--piece", type=int, default=10_000, help="feedback of a large piece; a small one is a hundredth")
    a.add_argument("--rate", type=int, default=100, help="traces in a second of their own time")
    o = a.parse_args()
    print(f"{'traces':>10} {'about':>9} {'feedback':>8} {'CPU ms':>9} {'CPU µs each':>10} {'idle ms':>8} {'joined':>9} {'unmatched':>9}")
    for size in o.traces:
        with tempfile.TemporaryDirectory(prefix="farol-joins-") as directory:
            measure(o, str(pathlib.Path(o.farol).resolve()), directory, size)


if __name__ == "__main__":
    main()
