#!/usr/bin/env python3
"""Peak memory of a drain: a backlog of many events, or of large records, over a real Kafka.

usage: memory.py --farol target/release/farol --bootstrap 127.0.0.1:9092 (--topic EXISTING | --records N --record-bytes B) [--memory 512MiB]
Needs confluent-kafka. Prints one JSON line with the process's own peak (VmHWM) and what it read.
"""
import argparse, json, pathlib, subprocess, tempfile, time, uuid

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

a = argparse.ArgumentParser()
a.add_argument("--farol", required=True); a.add_argument("--bootstrap", required=True); a.add_argument("--topic")
a.add_argument("--records", type=int, default=500); a.add_argument("--record-bytes", type=int, default=4 << 20)
a.add_argument("--memory", default="512MiB")
a = a.parse_args()

topic = a.topic
if topic is None:
    topic = f"memory-{uuid.uuid4().hex[:8]}"
    new = NewTopic(topic, 4, 1, config={"max.message.bytes": str(a.record_bytes + 65536)})
    admin = AdminClient({"bootstrap.servers": a.bootstrap})
    for f in admin.create_topics([new]).values():
        f.result()
    p = Producer({"bootstrap.servers": a.bootstrap, "message.max.bytes": a.record_bytes + 65536, "queue.buffering.max.kbytes": 262144})
    for i in range(a.records):
        head = json.dumps({"event_id": f"{topic}-{i}", "event_time": int(time.time() * 1000), "trace_id": f"{i:032x}", "output": ""})[:-2]
        # Prose that hardly compresses would be limited by the disk; this is repeated text with a number now and then.
        body = "".join(f"{i} {n} and so on, " for n in range(a.record_bytes // 24))[: a.record_bytes - len(head) - 2]
        while True:
            try:
                p.produce(topic, (head + body + '"}').encode(), key=f"{i:032x}")
                break
            except BufferError:
                p.poll(0.1)
        p.poll(0)
    p.flush(120)
work = pathlib.Path(tempfile.mkdtemp(prefix="farol-memory-"))
(work / "farol.yaml").write_text(f"""\
lake: {{uri: '{work}/lake'}}
kafka: {{brokers: '{a.bootstrap}', group: '{work.name}'}}
topics: [{{name: {topic}, kind: trace, format: json}}]
ingest: {{memory: {a.memory}}}
server: {{http: null, postgres: null, flight: null}}
""")
began = time.time()
farol = subprocess.Popen([a.farol, "--config", str(work / "farol.yaml"), "run", "--roles", "ingest", "--drain"],
                         cwd=work, stdout=subprocess.PIPE, stderr=open(work / "farol.log", "wb"), text=True)
peak_kib = 0
while farol.poll() is None:
    try:
        status = pathlib.Path(f"/proc/{farol.pid}/status").read_text()
        peak_kib = max([peak_kib] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")])
    except OSError:
        pass
    time.sleep(0.05)
print(json.dumps({"topic": topic, "exit": farol.returncode, "wall_s": round(time.time() - began, 1), "peak_rss_mib": peak_kib // 1024,
                  "memory_bound": a.memory, "said": farol.stdout.read().strip()}))
raise SystemExit(farol.returncode)
