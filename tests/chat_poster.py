#!/usr/bin/env python3
"""Tests examples/chat_poster.py against a real Kafka and a real HTTP server that fails as chats do.

    chat_poster.py --brokers HOST:PORT

Makes topics of its own. Exit 1 where a test fails. Needs confluent-kafka.
"""
import argparse
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = pathlib.Path(__file__).resolve().parent.parent
POSTER = ROOT / "examples" / "chat_poster.py"
BROKERS = None
DEADLINE_SECONDS = 60

sys.path.insert(0, str(POSTER.parent))
import chat_poster  # noqa: E402


def alert(number, state="alert", previous="ok", **payload):
    """The example of the published schema, under another id."""
    action = json.loads((ROOT / "schemas" / "examples" / "alert.full.json").read_text())
    action["action_id"] = f"{number:032x}"
    action["payload"].update(state=state, previous_state=previous, **payload)
    return action


class Chat(http.server.ThreadingHTTPServer):
    """Notes what it is asked, and answers by the list of statuses; 200 when that is empty."""

    def __init__(self, statuses=(), delay=0):
        self.asked, self.statuses, self.delay, self.lock = [], list(statuses), delay, threading.Lock()
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def address(self):
        return f"http://127.0.0.1:{self.server_port}/hook"

    def taken(self):
        with self.lock:
            return [key for key, status, _ in self.asked if status == 200]


class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        time.sleep(self.server.delay)
        with self.server.lock:
            status = self.server.statuses.pop(0) if self.server.statuses else 200
            self.server.asked.append((self.headers["Idempotency-Key"], status, text))
        try:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
        except OSError:
            pass  # Who asked was killed.

    def log_message(self, *_):
        pass


class Topic:
    def __init__(self):
        self.name = f"alerts-{uuid.uuid4().hex[:8]}"
        admin = AdminClient({"bootstrap.servers": BROKERS})
        for made in admin.create_topics([NewTopic(self.name, 1, 1)]).values():
            made.result(DEADLINE_SECONDS)

    def send(self, *values):
        producer = Producer({"bootstrap.servers": BROKERS})
        for value in values:
            producer.produce(self.name, value if isinstance(value, bytes) else json.dumps(value).encode())
        assert producer.flush(30) == 0, "Kafka did not take the alerts"


class Run:
    """The poster, as a process."""

    def __init__(self, topic, chat, state, *more):
        call = [sys.executable, POSTER, "--brokers", BROKERS, "--topic", topic.name, "--group", topic.name, "--state", state,
                "--start", "earliest", *more]
        self.process = subprocess.Popen(call, env={**os.environ, "CHAT_WEBHOOK": chat.address()}, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def end(self):
        said, failed = self.process.communicate(timeout=DEADLINE_SECONDS)
        assert self.process.returncode == 0, said + failed
        return said + failed

    def kill(self):
        self.process.kill()
        self.process.communicate()


class Tests(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.state = os.path.join(directory.name, "state.db")
        self.topic = Topic()

    def chat(self, *arguments):
        chat = Chat(*arguments)
        self.addCleanup(chat.server_close)
        self.addCleanup(chat.shutdown)
        return chat

    def until_end(self, chat):
        return Run(self.topic, chat, self.state, "--until-end").end()

    def wait(self, holds):
        end = time.monotonic() + DEADLINE_SECONDS
        while not holds():
            self.assertLess(time.monotonic(), end, "it did not come to pass")
            time.sleep(0.02)

    def test_each_alert_is_posted_once_over_several_runs_and_in_order(self):
        chat = self.chat()
        self.topic.send(alert(1), alert(2, "recovered", "alert"))
        self.until_end(chat)
        # The same records again, as after a replay of the topic, and one that is new.
        self.topic.send(alert(1), alert(2, "recovered", "alert"), alert(3))
        self.until_end(chat)
        self.until_end(chat)
        self.assertEqual(chat.taken(), [f"{number:032x}" for number in (1, 2, 3)])
        first, second = chat.asked[0][2], chat.asked[1][2]
        self.assertTrue(first.startswith("CRITICAL: error-rate-high (service checkout), "), first)
        self.assertIn("error_rate is 0.375, compared with 0.0625", first)
        self.assertIn("runbook: https://runbooks.example.org/error-rate-high", first)
        self.assertTrue(second.startswith("RESOLVED: error-rate-high"), second)

    def test_progress_is_its_own_whatever_kafka_knows(self):
        chat = self.chat()
        self.topic.send(alert(1))
        self.until_end(chat)
        admin = AdminClient({"bootstrap.servers": BROKERS})
        admin.delete_consumer_groups([self.topic.name])[self.topic.name].result(DEADLINE_SECONDS)
        self.topic.send(alert(2))
        self.until_end(chat)
        self.assertEqual(chat.taken(), [f"{number:032x}" for number in (1, 2)])

    def test_a_chat_that_fails_delays_and_loses_nothing(self):
        chat = self.chat([500, 429, 503])
        self.topic.send(alert(1), alert(2))
        said = self.until_end(chat)
        self.assertEqual(chat.taken(), [f"{number:032x}" for number in (1, 2)])
        self.assertEqual(len(chat.asked), 5)
        self.assertNotIn(chat.address(), said, "the address is a secret")

    def test_what_the_chat_refuses_is_passed_and_noted(self):
        chat = self.chat([400])
        self.topic.send(alert(1), alert(2))
        self.assertIn(f"{1:032x} refused: 400", self.until_end(chat))
        self.assertEqual(chat.taken(), [f"{2:032x}"])

    def test_killed_anywhere_every_alert_is_posted_and_only_the_last_again(self):
        chat = self.chat([], 0.02)
        numbers = range(1, 61)
        self.topic.send(*[alert(number) for number in numbers])
        for kills in range(1, 4):
            run = Run(self.topic, chat, self.state)
            self.wait(lambda: len(set(chat.taken())) >= 12 * kills)
            run.kill()
        self.until_end(chat)
        taken = chat.taken()
        self.assertEqual(list(dict.fromkeys(taken)), [f"{number:032x}" for number in numbers], "all, in order")
        self.assertLessEqual(len(taken) - len(set(taken)), 3, "one again for each kill at the most, with the same key")

    def test_what_is_no_alert_or_muted_is_passed(self):
        chat = self.chat()
        budget = {**alert(1), "kind": "budget"}
        muted = alert(2, muted={"by": "silence", "silence_id": "s", "comment": "moving"})
        self.topic.send(b"\xff", b"{}", b"[]", budget, muted, alert(3))
        self.assertIn("is no alert", self.until_end(chat))
        self.assertEqual(chat.taken(), [f"{3:032x}"])

    def test_a_second_process_on_the_same_state_is_refused(self):
        chat = self.chat([], 30)
        self.topic.send(alert(1))
        first = Run(self.topic, chat, self.state)
        self.addCleanup(first.kill)
        self.wait(lambda: os.path.exists(self.state) and self.topic_is_read(first))
        second = Run(self.topic, chat, self.state, "--until-end")
        _, failed = second.process.communicate(timeout=DEADLINE_SECONDS)
        self.assertNotEqual(second.process.returncode, 0)
        self.assertIn("locked", failed)

    def topic_is_read(self, run):
        """Whether the process has its state file: it is locked from then on."""
        import sqlite3

        try:
            other = sqlite3.connect(self.state, timeout=0)
            other.execute("SELECT count(*) FROM progress").fetchall()
            other.close()
            return False
        except sqlite3.OperationalError as error:
            self.assertIsNone(run.process.poll(), "it ended")
            return "locked" in str(error)

    def test_texts(self):
        text = chat_poster.text_of
        self.assertIsNone(text(alert(1, "ok", "no_data_yet")))
        self.assertTrue(text(alert(1, "warning", "warning", cause="renotified")).startswith("CRITICAL still: "))
        self.assertTrue(text(alert(1, cause="withdrawn")).startswith("WITHDRAWN"))
        told = text(alert(1, consequences=[{"rule": "latency-p95-high", "segment": {"service": "a"}, "alert_id": "b"}]))
        self.assertIn('leads to latency-p95-high {"service": "a"}', told)
        self.assertTrue(text({**alert(1), "revision": 2}).splitlines()[0].endswith(", correction 2"))
        self.assertLessEqual(len(text(alert(1, error="e" * 10_000))), chat_poster.TEXT_CHARACTERS_MAX)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--brokers", required=True)
    o, rest = arguments.parse_known_args()
    BROKERS = o.brokers
    unittest.main(argv=[sys.argv[0], *rest])
