#!/usr/bin/env python3
"""Posts Farol's alerts to a chat: a consumer of the alert topic to copy and change. Needs confluent-kafka.

    llm.alerts (read_committed) --> text of an alert --> POST to the chat's webhook --> state.db: what was posted, and how far

    CHAT_WEBHOOK=https://chat.example.org/hooks/... chat_poster.py --brokers HOST:PORT --state state.db

Progress is its own: the state file holds the offset of each partition beside the ids of what was posted, and both move in one
transaction. Kafka is told as well, for those who look at its consumer groups, and is not asked. So:

* A message that Farol publishes once is posted once, and a message read twice (a file copied back, a topic replayed) is skipped by its
  `action_id`.
* Killed between a post and its note, it posts that one message again. Each post carries its `action_id` as `Idempotency-Key`; a webhook
  that heeds it shows the message once.
* A chat that is away, slow or limits is asked again, later and later, and nothing behind the message overtakes it. What the chat refuses
  for good (400, 404) is noted as refused and passed, for one message must not hold up all others.

An alert that is muted or acknowledged is posted when it ends, and not before. One process for one state file.
"""
import argparse
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

TIMEOUT_SECONDS = 10
PAUSE_MAX_SECONDS = 60
# What stays true when it is tried again: the request itself is wrong. Everything else passes.
REFUSED = {400, 401, 403, 404, 405, 410, 413, 422}
FIRING = ("alert", "warning", "no_data")
# Chats cut longer messages.
TEXT_CHARACTERS_MAX = 2_000


class State:
    """What was posted, and how far each partition was read."""

    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None)
        # One process for one file: a second would post everything a second time.
        self.db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("BEGIN EXCLUSIVE")
        self.db.execute("CREATE TABLE IF NOT EXISTS posted (action_id TEXT PRIMARY KEY, outcome TEXT NOT NULL)")
        self.db.execute("CREATE TABLE IF NOT EXISTS progress (topic TEXT, partition INTEGER, next_offset INTEGER NOT NULL,"
                        " PRIMARY KEY (topic, partition))")
        self.db.execute("COMMIT")

    def next_offset(self, topic, partition):
        found = self.db.execute("SELECT next_offset FROM progress WHERE topic = ? AND partition = ?", (topic, partition)).fetchone()
        return found[0] if found else None

    def has(self, action_id):
        return self.db.execute("SELECT 1 FROM posted WHERE action_id = ?", (action_id,)).fetchone() is not None

    def note(self, message, action_id=None, outcome=None):
        self.db.execute("BEGIN")
        if action_id is not None:
            self.db.execute("INSERT OR IGNORE INTO posted VALUES (?, ?)", (action_id, outcome))
        self.db.execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", (message.topic(), message.partition(), message.offset() + 1))
        self.db.execute("COMMIT")


def text_of(action):
    """What the chat shows; None where nobody needs to read it."""
    payload = action["payload"]
    state, previous, cause = payload["state"], payload["previous_state"], payload.get("cause")
    fires = state in FIRING
    if fires and (payload.get("muted") or payload.get("acknowledged")):
        return None
    if cause == "withdrawn":
        word = "WITHDRAWN (late data changed the window)"
    elif fires:
        word = f"{action['severity'].upper()}{' still' if cause == 'renotified' else ''}"
    elif previous in FIRING:
        word = "RESOLVED"
    else:
        return None
    segment = ", ".join(f"{name} {value}" for name, value in action["segment"].items() if value is not None)
    evidence = action["evidence"]
    lines = [f"{word}: {action['rule']} ({segment or 'everything'}), {action['window_start']} to {action['window_end']}"]
    if action["revision"]:
        lines[0] += f", correction {action['revision']}"
    if evidence.get("measure") and evidence.get("value") is not None:
        compared = f", compared with {evidence['threshold']:.4g}" if evidence.get("threshold") is not None else ""
        lines.append(f"{evidence['measure']} is {evidence['value']:.4g}{compared}")
    if payload.get("error"):
        lines.append(payload["error"])
    for other in payload.get("consequences") or []:
        lines.append(f"leads to {other['rule']} {json.dumps(other['segment'])}")
    if evidence.get("samples"):
        lines.append("traces: " + ", ".join(evidence["samples"][:3]))
    if action.get("runbook"):
        lines.append(f"runbook: {action['runbook']}")
    return "\n".join(lines)[:TEXT_CHARACTERS_MAX]


def post(webhook, action_id, text):
    """Posts once. Gives the outcome, or None and how many seconds the chat asks to wait, where it is to be tried again."""
    body = json.dumps({"text": text}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": action_id}
    try:
        with urllib.request.urlopen(urllib.request.Request(webhook, body, headers), timeout=TIMEOUT_SECONDS) as answer:
            answer.read(1_000)
            return "posted", 0
    except urllib.error.HTTPError as error:
        if error.code in REFUSED:
            return f"refused: {error.code}", 0
        asked = error.headers.get("Retry-After", "")
        return None, min(int(asked), PAUSE_MAX_SECONDS) if asked.isdigit() else 0
    except (OSError, ValueError):
        return None, 0


def deliver(webhook, action_id, text, wait):
    """Posts until the chat has taken it or refused it. The address is a secret, and is never printed."""
    pause = 0.5
    while True:
        outcome, asked = post(webhook, action_id, text)
        if outcome:
            return outcome
        pause = min(max(pause * 2, asked), PAUSE_MAX_SECONDS)
        print(f"the chat did not take {action_id}; again in {pause:.0f} s", file=sys.stderr, flush=True)
        wait(pause)


class Poster:
    def __init__(self, o, webhook):
        self.webhook, self.state, self.topic = webhook, State(o.state), o.topic
        self.ends = set() if o.until_end else None
        self.assigned = []
        self.consumer = Consumer({
            "bootstrap.servers": o.brokers, "group.id": o.group, "isolation.level": "read_committed", "enable.auto.commit": False,
            "auto.offset.reset": o.start, "enable.partition.eof": o.until_end,
            # After a kill the next process gets the partitions as soon as the group misses the one before.
            "session.timeout.ms": 10_000})
        self.consumer.subscribe([o.topic], on_assign=self.assign)

    def assign(self, consumer, partitions):
        """Goes on where the state file says, whatever Kafka knows of the group."""
        for partition in partitions:
            known = self.state.next_offset(partition.topic, partition.partition)
            if known is not None:
                partition.offset = known
        self.assigned = [TopicPartition(one.topic, one.partition) for one in partitions]
        consumer.assign(partitions)

    def wait(self, seconds):
        """Waits without being taken for dead by the group: polls, with every partition paused."""
        self.consumer.pause(self.assigned)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.consumer.poll(min(1, seconds))
        self.consumer.resume(self.assigned)

    def take(self, message):
        try:
            action = json.loads(message.value())
            action_id = action["action_id"]
            text = None if action["kind"] != "alert" or self.state.has(action_id) else text_of(action)
        except (ValueError, KeyError, TypeError) as error:
            print(f"{message.topic()}/{message.partition()}@{message.offset()} is no alert: {error!r}", file=sys.stderr, flush=True)
            self.state.note(message)
            return
        if text is None:
            self.state.note(message)
            return
        outcome = deliver(self.webhook, action_id, text, self.wait)
        self.state.note(message, action_id, outcome)
        print(f"{action_id} {outcome}", flush=True)

    def run(self):
        while True:
            message = self.consumer.poll(1)
            if message is None:
                continue
            if message.error():
                if message.error().code() == KafkaError._PARTITION_EOF and self.ends is not None:
                    self.ends.add(message.partition())
                    if self.ends >= {one.partition for one in self.assigned}:
                        return
                    continue
                if message.error().fatal():
                    raise KafkaException(message.error())
                print(f"Kafka: {message.error().str()}", file=sys.stderr, flush=True)
                continue
            self.take(message)
            try:
                self.consumer.commit(message, asynchronous=True)
            except KafkaException as error:
                # The state file knows; Kafka is told with the next message.
                print(f"Kafka was not told of the progress: {error}", file=sys.stderr, flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--brokers", required=True)
    arguments.add_argument("--topic", default="llm.alerts")
    arguments.add_argument("--group", default="chat-poster")
    arguments.add_argument("--state", required=True, help="a file for what was posted; it is made where there is none")
    arguments.add_argument("--start", choices=["earliest", "latest"], default="latest", help="where the first run begins")
    arguments.add_argument("--until-end", action="store_true", help="end where the topic ends")
    o = arguments.parse_args()
    webhook = os.environ.get("CHAT_WEBHOOK")
    if not webhook:
        sys.exit("the environment variable CHAT_WEBHOOK has to hold the chat's address")
    poster = Poster(o, webhook)
    try:
        poster.run()
    except KeyboardInterrupt:
        pass
    finally:
        poster.consumer.close()


if __name__ == "__main__":
    main()
