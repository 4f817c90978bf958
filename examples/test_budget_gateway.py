#!/usr/bin/env python3
"""The gateway's subscriber obeys: on made-up records, and over a broker where one is given.

usage: test_budget_gateway.py [--bootstrap 127.0.0.1:9092]     (the broker's part needs confluent-kafka)
"""
import argparse, json, pathlib, subprocess, sys, unittest, uuid
from datetime import datetime, timedelta, timezone

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from budget_gateway import Budgets, Decision, belongs

NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
BOOTSTRAP: str | None = None


def record(budget: str, scope: dict, enforce: str, **more) -> tuple[str, bytes]:
    """A record as Farol writes it: key and value."""
    payload = {"type": "state", "budget": budget, "scope": scope, "enforce": enforce, "period": "monthly",
               "period_start": "2026-03-01T00:00:00Z", "period_end": "2026-04-01T00:00:00Z", **more}
    key = json.dumps({"budget": budget, "scope": scope}, separators=(",", ":"))
    return key, json.dumps({"kind": "budget", "payload": payload}).encode()


class Decides(unittest.TestCase):
    def budgets(self, *records) -> Budgets:
        budgets = Budgets()
        for key, value in records:
            budgets.take(key, value)
        return budgets

    def test_the_strictest_of_all_that_apply(self):
        budgets = self.budgets(record("all", {}, "switch_to_cheaper_model"), record("blue", {"tags": {"team": "blue"}}, "block_requests"))
        self.assertEqual(budgets.decide({"tags": {"team": "blue"}}, NOW), Decision("block_requests", "blue", "2026-04-01T00:00:00Z"))
        self.assertEqual(budgets.decide({"service": "search"}, NOW).action, "switch_to_cheaper_model")

    def test_the_last_state_counts(self):
        budgets = self.budgets(record("all", {}, "block_requests"), record("all", {}, "none"))
        self.assertEqual(budgets.decide({}, NOW), Decision("allow"))
        key, value = record("all", {}, "block_requests")
        budgets.take(key, value)
        self.assertEqual(budgets.decide({}, NOW).action, "block_requests")
        budgets.take(key, None)
        self.assertEqual(budgets.decide({}, NOW), Decision("allow"))

    def test_thresholds_and_statements_are_for_people(self):
        for kind in ("threshold", "statement"):
            budgets = self.budgets(record("all", {}, "block_requests", type=kind))
            self.assertEqual(budgets.decide({}, NOW), Decision("allow"))

    def test_a_period_that_is_long_over_blocks_no_more(self):
        budgets = self.budgets(record("all", {}, "block_requests"))
        end = datetime(2026, 4, 1, tzinfo=timezone.utc)
        self.assertEqual(budgets.decide({}, end + timedelta(minutes=59)).action, "block_requests")
        self.assertEqual(budgets.decide({}, end + timedelta(minutes=61)), Decision("allow"))
        rolling = self.budgets(record("all", {}, "block_requests", period="rolling"))
        self.assertEqual(rolling.decide({}, end + timedelta(days=9)).action, "block_requests")

    def test_a_scope_is_columns_and_tags(self):
        self.assertTrue(belongs({"service": "a", "model": "m"}, {"service": "a"}))
        self.assertFalse(belongs({"service": "b"}, {"service": "a"}))
        self.assertTrue(belongs({"service": "a"}, {"tags": {"team": None}}), "what has no team")
        self.assertFalse(belongs({"tags": {"team": "red"}}, {"tags": {"team": None}}))
        self.assertTrue(belongs({}, {}))


class Reads(unittest.TestCase):
    def test_what_is_on_the_topic_is_obeyed_from_the_first_call_on(self):
        if BOOTSTRAP is None:
            self.skipTest("no --bootstrap")
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient, NewTopic

        topic = f"budget-gateway-{uuid.uuid4().hex[:8]}"
        admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
        for created in admin.create_topics([NewTopic(topic, 1, 1, config={"cleanup.policy": "compact"})]).values():
            created.result(30)
        producer = Producer({"bootstrap.servers": BOOTSTRAP})
        for key, value in (record("all", {}, "none"), record("blue", {"tags": {"team": "blue"}}, "block_requests", period="rolling")):
            producer.produce(topic, value, key=key)
        self.assertEqual(producer.flush(30), 0)
        calls = [{"tags": {"team": "blue"}}, {"tags": {"team": "red"}}]
        gateway = pathlib.Path(__file__).parent / "budget_gateway.py"
        done = subprocess.run([sys.executable, str(gateway), "--bootstrap", BOOTSTRAP, "--topic", topic], text=True, timeout=60,
                              input="".join(json.dumps(call) + "\n" for call in calls), capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([json.loads(line)["action"] for line in done.stdout.splitlines()], ["block_requests", "allow"])


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("--bootstrap")
    known, rest = a.parse_known_args()
    BOOTSTRAP = known.bootstrap
    unittest.main(argv=[sys.argv[0], *rest])
