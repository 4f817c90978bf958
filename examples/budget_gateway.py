#!/usr/bin/env python3
"""A gateway's side of budgets: reads the compacted topic of states, and says for each call what to do with it.

    llm.actions.budget ──read_committed, from the beginning──▶ Budgets (the last state of each) ──▶ decide(call) ──▶ allow, switch, block

usage: budget_gateway.py --bootstrap 127.0.0.1:9092 [--topic llm.actions.budget] [--fallback-model gpt-4o-mini]
Needs confluent-kafka. Reads calls as JSON lines from standard input ({"service": …, "model": …, "tags": {…}}) and prints the decision
on each. In a gateway, keep `Budgets` and `follow` as they are, and call `decide` where a request comes in.

What it takes care of:
* The state of a budget replaces the one before, whatever else is on the topic; thresholds and statements are for people.
* It decides nothing before it has read the topic to its end: a gateway that starts must not let through what is blocked.
* A state is for a period. Where event time has passed its end and Farol has not said so yet, the state still holds, for at most
  `grace`: a budget must not open because Farol is late, nor stay shut for ever because Farol is gone.
"""
import argparse, json, sys, threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

STRICTNESS = {"none": 0, "switch_to_cheaper_model": 1, "block_requests": 2}


@dataclass(frozen=True)
class Decision:
    action: str  # "allow", "switch_to_cheaper_model" or "block_requests"
    budget: str | None = None
    until: str | None = None


@dataclass
class Budgets:
    """The last state of each budget and scope, by the record's key."""

    grace: timedelta = timedelta(hours=1)
    states: dict[str, dict] = field(default_factory=dict)

    def take(self, key: str, value: bytes | None) -> None:
        """Takes a record of the topic. A null value is a tombstone: the budget is forgotten."""
        if value is None:
            self.states.pop(key, None)
            return
        body = json.loads(value)
        if body.get("kind") == "budget" and body["payload"]["type"] == "state":
            self.states[key] = body["payload"]

    def decide(self, call: dict, now: datetime) -> Decision:
        """What to do with a call: the strictest of all budgets that it belongs to."""
        strictest = Decision("allow")
        for state in self.states.values():
            action = state["enforce"]
            if action == "none" or not belongs(call, state["scope"]) or self.is_over(state, now):
                continue
            if STRICTNESS.get(action, 0) > STRICTNESS.get(strictest.action, 0):
                strictest = Decision(action, state["budget"], state["period_end"])
        return strictest

    def is_over(self, state: dict, now: datetime) -> bool:
        # A rolling period moves on all the time: its end says nothing about the state.
        end = datetime.fromisoformat(state["period_end"].replace("Z", "+00:00"))
        return state["period"] != "rolling" and now > end + self.grace


def belongs(call: dict, scope: dict) -> bool:
    """Whether a call is part of a scope: every column and tag has the scope's value, or none where that is null."""
    columns = all(call.get(name) == value for name, value in scope.items() if name != "tags")
    tags = call.get("tags") or {}
    return columns and all(tags.get(name) == value for name, value in scope.get("tags", {}).items())


def follow(budgets: Budgets, bootstrap: str, topic: str, ready: threading.Event, stop: threading.Event) -> None:
    """Reads the topic from its beginning and goes on. Sets `ready` once all that was there is read."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

    # No group: every gateway reads everything. Progress is not stored, the states are the progress.
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "budget-gateway", "isolation.level": "read_committed",
                         "enable.auto.commit": False, "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    unread = set(partitions)
    if not unread:
        raise SystemExit(f"there is no topic {topic}; make it with `farol topics create`")
    while not stop.is_set():
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            if message.error().code() != KafkaError._PARTITION_EOF:
                print(f"{topic}: {message.error()}", file=sys.stderr)
            else:
                unread.discard(message.partition())
                if not unread:
                    ready.set()
            continue
        budgets.take((message.key() or b"").decode(), message.value())
    consumer.close()


def main() -> None:
    a = argparse.ArgumentParser(description="Decide calls by the states of budgets")
    a.add_argument("--bootstrap", required=True)
    a.add_argument("--topic", default="llm.actions.budget")
    a.add_argument("--fallback-model", default="gpt-4o-mini", help="the model that calls are switched to")
    a.add_argument("--start-timeout", type=float, default=30.0, help="seconds to read what is on the topic")
    a = a.parse_args()
    budgets, ready, stop = Budgets(), threading.Event(), threading.Event()
    reader = threading.Thread(target=follow, args=(budgets, a.bootstrap, a.topic, ready, stop), daemon=True)
    reader.start()
    if not ready.wait(a.start_timeout):
        sys.exit(f"{a.topic} could not be read to its end within {a.start_timeout} s")
    for line in sys.stdin:
        call = json.loads(line)
        decision = budgets.decide(call, datetime.now(timezone.utc))
        said = {"action": decision.action, "budget": decision.budget, "until": decision.until}
        if decision.action == "switch_to_cheaper_model":
            said["model"] = a.fallback_model
        print(json.dumps(said), flush=True)
    stop.set()
    reader.join()


if __name__ == "__main__":
    main()
