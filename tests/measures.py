#!/usr/bin/env python3
"""Holds Farol's measures against the raw events: every job, computed a second time by DuckDB and plain Python.

    pip install duckdb deltalake pyarrow
    measures.py --farol PROGRAM --directory DIR [--job NAME…] [--require NAME…]

`DIR` is where `PROGRAM` has its farol.yaml and its lake (DIR/farol-data/lake). The raw tables are read with another
implementation of Delta Lake; nothing of a job's SQL is used. Each job is compared at its base window by all segments, and
merged at an hour and a day by fewer. Counts and sums of whole numbers and money must be equal; quotients equal to the last
digits of a double; quantiles within 1 % of an observed value beside the rank; distinct counts within 5 % (three standard
errors of the sketch), and exact for the few. With `--require`, a job without rows is a failure.
Exit 0 when everything is equal; otherwise 1, with one line for each difference.
"""
import argparse
import collections
import decimal
import itertools
import math
import pathlib
import re
import subprocess
import sys
import tempfile

import duckdb
import pyarrow as pa
import pyarrow.parquet
from deltalake import DeltaTable

decimal.getcontext().prec = 60
BASE = ["service", "environment", "provider", "model", "prompt_id", "prompt_version", "task"]
MODEL_CALL = "(operation IS NULL OR NOT list_contains(['invoke_agent','chain','execute_tool','retrieval','guardrail','cache'], operation))"
ANSWER = "(operation IS NULL OR operation = 'chat' OR operation = 'text_completion')"
DIFFERENCES_SHOWN = 40


# What a column is computed by, and how it is compared.
def exact(sql):
    return ("exact", sql)


def number(sql):
    return ("close", sql)


def near(sql):
    """A total of fractions that were rounded to a fixed number of digits, one by one."""
    return ("near", sql)


def count(condition, known="true"):
    """How many rows fulfil a condition; NULL where of none is known whether it does."""
    return exact(f"CASE WHEN count(*) FILTER ({known}) > 0 THEN count(*) FILTER (({known}) AND ({condition})) END")


def total(value, where="true"):
    return exact(f"sum({value}) FILTER ({where})")


def ratio(part, of, factor=""):
    """A quotient in floating point, NULL where the divisor is none or nothing."""
    return number(f"CAST(({part[1]}) AS DOUBLE) / nullif(CAST(({of[1]}) AS DOUBLE), 0){factor}")


def quantile(value, q, where="true"):
    return ("quantile", f"{{'q': {q}, 'xs': list_sort(list({value}) FILTER (({value}) IS NOT NULL AND ({where})))}}")


def distinct(value):
    return ("distinct", f"count(DISTINCT {value})")


def performance():
    requests = count("true")
    latency = "latency_ms"
    timed = f"{latency} > coalesce(time_to_first_token_ms, 0) AND {latency} < 1e12"
    us = f"CAST(round({latency} * 1000) AS BIGINT)"
    generated = total("output_tokens", f"{MODEL_CALL} AND {timed}")
    generation = total("CAST(round((latency_ms - coalesce(time_to_first_token_ms, 0)) * 1000) AS BIGINT)", f"{MODEL_CALL} AND {timed} AND output_tokens IS NOT NULL")
    status = {name: count(f"status = '{value}'", "status IS NOT NULL") for name, value in [("errors", "error"), ("timeouts", "timeout"), ("rate_limits", "rate_limited")]}
    sane = f"{latency} >= 0 AND {latency} < 1e12"
    per_token = "(latency_ms - time_to_first_token_ms) / (output_tokens - 1)"
    streamed = f"{MODEL_CALL} AND {timed} AND time_to_first_token_ms IS NOT NULL AND output_tokens > 1"
    return "SELECT * FROM traces", BASE, {
        "requests": requests, **status, "retries": total("retries"),
        "error_rate": ratio(status["errors"], requests), "timeout_rate": ratio(status["timeouts"], requests),
        "rate_limit_rate": ratio(status["rate_limits"], requests), "retries_per_request": ratio(total("retries"), requests),
        "latency_mean_ms": ratio(total(us, sane), count("true", sane), " / 1000"), "latency_max_ms": exact("max(latency_ms)"),
        "latency_p50_ms": quantile(latency, 0.5), "latency_p95_ms": quantile(latency, 0.95), "latency_p99_ms": quantile(latency, 0.99),
        "time_to_first_token_p50_ms": quantile("time_to_first_token_ms", 0.5), "time_to_first_token_p95_ms": quantile("time_to_first_token_ms", 0.95),
        "time_to_first_token_p99_ms": quantile("time_to_first_token_ms", 0.99),
        "time_per_output_token_p50_ms": quantile(per_token, 0.5, streamed), "time_per_output_token_p95_ms": quantile(per_token, 0.95, streamed),
        "generated_tokens": generated, "generation_us": generation, "tokens_per_second": ratio(generated, generation, " * 1000000"),
        "distinct_users": distinct("user_id"), "distinct_sessions": distinct("session_id"),
    }


def spend():
    call = MODEL_CALL
    requests = count("true", call)
    tokens = "coalesce(input_tokens, 0) + coalesce(output_tokens, 0)"
    told = "(input_tokens IS NOT NULL OR output_tokens IS NOT NULL)"
    with_cost = count("cost IS NOT NULL", call)
    cost, hits = total("cost", call), count("cache IN ('exact', 'semantic')", f"{call} AND cache IS NOT NULL")
    lookups = count("true", f"{call} AND cache IS NOT NULL")
    missed = f"{call} AND (cache IS NULL OR cache NOT IN ('exact', 'semantic'))"
    missed_cost, missed_count = total("cost", missed), count("true", f"{missed} AND cost IS NOT NULL")
    sums = {name: total(name, call) for name in ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"]}
    return f"SELECT * FROM traces WHERE {call} OR cost IS NOT NULL OR {told}", [*BASE, "currency"], {
        "requests": requests, "cost": cost, "requests_with_cost": with_cost, **sums,
        "cost_per_request": ratio(cost, with_cost), "cost_coverage": ratio(with_cost, requests),
        "cost_per_1000_tokens": ratio(total("cost", f"{call} AND {told}"), total(tokens, f"{call} AND cost IS NOT NULL AND {told}"), " * 1000"),
        "tokens_per_request": number(f"(coalesce({sums['input_tokens'][1]}, 0) + coalesce({sums['output_tokens'][1]}, 0)) / nullif(CAST({requests[1]} AS DOUBLE), 0)"),
        "cache_read_rate": ratio(sums["cache_read_tokens"], sums["input_tokens"]), "cache_lookups": lookups, "cache_hits": hits,
        "cache_hit_rate": ratio(hits, lookups),
        "cost_avoided_estimate": number(f"({hits[1]}) * ({ratio(missed_cost, missed_count)[1]})"),
        "repeated_cost": total("cost", f"NOT {call}"), "repeated_tokens": total(tokens, f"NOT {call} AND {told}"),
    }


def billing():
    amount = {f"{name}_amount": total("amount", f"source = '{name}'") for name in ["usage", "invoice", "adjustment"]}
    return "SELECT * FROM costs", ["service", "environment", "provider", "model", "source", "unit", "currency"], {
        "lines": count("true"), "amount": total("amount"), **amount, "quantity": total("quantity"),
        "amount_per_unit": ratio(total("amount"), total("quantity")),
    }


def reliability():
    requests, told = count("true"), count("true", "status IS NOT NULL")
    rate = {name: count(condition, "status IS NOT NULL") for name, condition in
            [("availability", "status = 'ok' OR status = 'blocked'"), ("error_rate", "status = 'error'"), ("timeout_rate", "status = 'timeout'"),
             ("rate_limit_rate", "status = 'rate_limited'"), ("blocked_rate", "status = 'blocked'")]}
    retried = count("retries > 0", "retries IS NOT NULL AND retries >= 0")
    fallbacks = count("fallback_from IS NOT NULL")
    return "SELECT * FROM traces", [*BASE, "operation"], {
        "requests": requests, **{name: ratio(part, told) for name, part in rate.items()},
        "retry_rate": ratio(retried, requests),
        "retry_success_rate": ratio(count("status = 'ok'", "retries > 0 AND status IS NOT NULL"), count("true", "retries > 0 AND status IS NOT NULL")),
        "fallback_rate": ratio(fallbacks, requests),
        "fallback_success_rate": ratio(count("status = 'ok'", "fallback_from IS NOT NULL AND status IS NOT NULL"), fallbacks),
    }


def quality():
    # What has joined the answer it is about: see `joined`.
    judged = """CASE
        WHEN name_ = 'hallucination' AND label_ IN ('pass','no','false','factual','grounded') THEN 0
        WHEN name_ = 'hallucination' AND label_ IN ('fail','yes','true','hallucinated','hallucination') THEN 1
        WHEN name_ = 'hallucination' THEN CAST(score > 0.5 AS INT)
        WHEN name_ IN ('groundedness','faithfulness') AND label_ IN ('pass','yes','true','grounded','faithful') THEN 0
        WHEN name_ IN ('groundedness','faithfulness') AND label_ IN ('fail','no','false','ungrounded','unfaithful') THEN 1
        WHEN name_ IN ('groundedness','faithfulness') THEN CAST(score < 0.5 AS INT) END"""
    rows = f"""SELECT 'answer' AS what, event_time, {', '.join(BASE)}, NULL AS kind, NULL::DOUBLE AS value,
                 CASE WHEN scores['hallucination'] IS NOT NULL THEN CAST(scores['hallucination'] > 0.5 AS INT)
                      WHEN scores['groundedness'] IS NOT NULL THEN CAST(scores['groundedness'] < 0.5 AS INT)
                      WHEN scores['faithfulness'] IS NOT NULL THEN CAST(scores['faithfulness'] < 0.5 AS INT) END AS hallucinated,
                 scores['relevance'] AS relevance FROM traces WHERE {ANSWER}
        UNION ALL BY NAME SELECT 'feedback' AS what, t.event_time, {', '.join('t.' + name for name in BASE)}, kind, value
               FROM joined_feedback f JOIN traces_numbered t ON f.trace_row = t.row
        UNION ALL BY NAME SELECT 'evaluation' AS what, event_time, {', '.join(BASE)}, {judged} AS hallucinated,
                 CASE WHEN name_ IN ('relevance', 'answer_relevance') THEN score END AS relevance
               FROM (SELECT t.*, lower(e.name) AS name_, lower(e.label) AS label_, score
                     FROM joined_evaluations e JOIN traces_numbered t ON e.trace_row = t.row)"""
    requests = count("true", "what = 'answer'")
    of = {kind: count("true", f"kind = '{kind}'") for kind in ["rating", "comment", "correction", "task_completed"]}
    done = {kind: count("coalesce(value, 1) > 0", f"kind = '{kind}'") for kind in ["copy", "follow_up", "abandonment", "task_completed", "conversion"]}
    up, down = count("value > 0", "kind = 'thumbs'"), count("value < 0", "kind = 'thumbs'")
    judged_for, relevant = count("true", "hallucinated IS NOT NULL"), count("true", "relevance IS NOT NULL")
    rating = near("sum(CAST(value AS DECIMAL(38, 6))) FILTER (kind = 'rating')")
    return rows, BASE, {
        "requests": requests, "feedback": count("true", "what = 'feedback'"), "evaluations": count("true", "what = 'evaluation'"),
        "ratings": of["rating"], "comments": of["comment"], "corrections": of["correction"], "thumbs_up": up, "thumbs_down": down,
        "satisfaction": ratio(rating, of["rating"]),
        "thumbs_up_ratio": number(f"({up[1]}) / nullif(CAST(({up[1]}) + ({down[1]}) AS DOUBLE), 0)"),
        "feedback_rate": ratio(count("true", "what = 'feedback'"), requests), "correction_rate": ratio(of["correction"], requests),
        "copy_rate": ratio(done["copy"], requests), "follow_up_rate": ratio(done["follow_up"], requests),
        "abandonment_rate": ratio(done["abandonment"], requests), "dwell_p50_ms": quantile("value", 0.5, "kind = 'dwell_ms'"),
        "task_completion_rate": ratio(done["task_completed"], of["task_completed"]), "conversion_rate": ratio(done["conversion"], requests),
        "judged_for_hallucination": judged_for, "hallucinations": count("hallucinated = 1", "hallucinated IS NOT NULL"),
        "hallucination_rate": ratio(count("hallucinated = 1", "hallucinated IS NOT NULL"), judged_for),
        "judged_for_relevance": relevant, "relevance": ("near", f"sum(relevance) / nullif(CAST({relevant[1]} AS DOUBLE), 0)"),
    }


def safety():
    rows = f"""SELECT event_time, {', '.join(BASE)}, g.name AS guardrail, g.action AS action,
               CASE WHEN g.action IS NULL THEN g.score > 0.5 ELSE g.action != 'allow' END AS flagged
             FROM (SELECT *, unnest(guardrails) AS g FROM traces)
             UNION ALL SELECT event_time, {', '.join(BASE)}, eval_name, NULL,
               CASE WHEN label_ IN ('pass','no','false','safe') THEN false WHEN label_ IN ('fail','yes','true','unsafe') THEN true ELSE score > 0.5 END
             FROM (SELECT t.*, e.name AS eval_name, lower(e.label) AS label_, score FROM joined_evaluations e JOIN traces_numbered t ON e.trace_row = t.row)
             WHERE regexp_matches(lower(eval_name), 'toxic|pii|jailbreak|injection')"""
    of = lambda pattern: (count("true", f"regexp_matches(lower(guardrail), '{pattern}') AND flagged IS NOT NULL"),
                          count("flagged", f"regexp_matches(lower(guardrail), '{pattern}') AND flagged IS NOT NULL"))
    verdicts, acted = count("true", "flagged IS NOT NULL"), count("true", "action IS NOT NULL")
    kinds = {"pii": ("pii", "pii_checks", "pii_detected"), "toxicity": ("toxic", "toxicity_checks", "toxicity_flagged"),
             "jailbreak": ("jailbreak|injection", "jailbreak_checks", "jailbreak_attempts")}
    columns = {}
    for kind, (pattern, checks, found) in kinds.items():
        columns |= {checks: of(pattern)[0], found: of(pattern)[1], f"{kind}_rate": ratio(of(pattern)[1], of(pattern)[0])}
    return rows, [*BASE, "guardrail"], {
        "checks": count("true"), "flags": count("flagged", "flagged IS NOT NULL"), "blocks": count("action = 'block'", "action IS NOT NULL"),
        "guardrail_flag_rate": ratio(count("flagged", "flagged IS NOT NULL"), verdicts),
        "guardrail_block_rate": ratio(count("action = 'block'", "action IS NOT NULL"), acted),
        "redaction_rate": ratio(count("action = 'redact'", "action IS NOT NULL"), acted), **columns,
    }


def retrieval():
    rows = f"""SELECT *, (operation = 'retrieval' OR len(retrieved) > 0) IS TRUE AS is_query, {ANSWER} AS is_answer,
                 coalesce(len(retrieved), 0) AS found FROM traces
               WHERE (operation = 'retrieval' OR len(retrieved) > 0) IS TRUE OR {ANSWER}"""
    queries, documents = count("true", "is_query"), total("CAST(found AS BIGINT)", "is_query")
    answers, citing = count("true", "is_answer"), count("len(citations) > 0", "is_answer AND citations IS NOT NULL")
    scores = "list_sort([x for x in flatten(list([d.score for d in retrieved]) FILTER (retrieved IS NOT NULL)) if x IS NOT NULL])"
    score = lambda q: ("quantile", f"{{'q': {q}, 'xs': {scores}}}")
    return rows, BASE, {
        "queries": queries, "documents": documents, "answers": answers, "answers_with_citations": citing,
        "documents_per_query": ratio(documents, queries), "empty_retrieval_rate": ratio(count("found = 0", "is_query"), queries),
        "retrieval_score_p10": score(0.1), "retrieval_score_p50": score(0.5), "retrieval_score_p90": score(0.9),
        "retrieval_latency_p95_ms": quantile("latency_ms", 0.95, "is_query"),
        "citation_share": ratio(citing, answers),
        "citations_per_answer": ratio(total("CAST(len(citations) AS BIGINT)", "is_answer"), citing),
    }


def tools():
    told, ok = count("true", "status IS NOT NULL"), count("status = 'ok'", "status IS NOT NULL")
    return "SELECT * FROM traces WHERE operation = 'execute_tool'", ["service", "environment", "agent_name", "tool_name", "task"], {
        "executions": count("true"), "tool_success_rate": ratio(ok, told), "tool_timeout_rate": ratio(count("status = 'timeout'", "status IS NOT NULL"), told),
        "tool_latency_p50_ms": quantile("latency_ms", 0.5), "tool_latency_p95_ms": quantile("latency_ms", 0.95),
    }


def ensembles():
    return "SELECT * FROM ensemble_rows", BASE, {
        "answers": count("true"), "candidates": total("candidates"), "candidates_per_answer": ratio(total("candidates"), count("true")),
        "agreement": ("near", "avg(agreement)"), "agreement_p10": quantile("agreement", 0.1), "consensus_score": ("near", "avg(consensus)"),
        "low_consensus_rate": ratio(count("consensus < 0.5", "consensus IS NOT NULL"), count("true", "consensus IS NOT NULL")),
        "review_rate": ratio(count("review", "review IS NOT NULL"), count("true", "review IS NOT NULL")),
    }


def agents():
    traces, steps = count("true"), total("steps")
    told = count("true", "status IS NOT NULL")
    return "SELECT * FROM agent_rows", ["service", "environment", "agent_name", "task"], {
        "traces": traces, "steps": steps, "steps_per_trace": ratio(steps, traces), "steps_p95": quantile("steps", 0.95),
        "depth_p50": quantile("depth", 0.5), "depth_p95": quantile("depth", 0.95),
        "loop_rate": ratio(count("repeats > 0"), traces), "repeated_step_share": ratio(total("repeats"), steps),
        "failed_step_share": ratio(total("failed"), steps), "trace_success_rate": ratio(count("status = 'ok'", "status IS NOT NULL"), told),
        "trace_latency_p95_ms": quantile("latency_ms", 0.95),
    }


def steps():
    return "SELECT * FROM step_rows", ["service", "environment", "agent_name", "task", "operation", "step", "currency"], {
        "spans": count("true"), "own_us": total("own_us"), "cost": total("cost"), "failures": count("status != 'ok'", "status IS NOT NULL"),
        "own_time_mean_ms": ratio(total("own_us"), count("true"), " / 1000"),
        "step_failure_rate": ratio(count("status != 'ok'", "status IS NOT NULL"), count("true")),
        "step_latency_p95_ms": quantile("latency_ms", 0.95),
    }


def citations():
    return "SELECT * FROM citation_rows", BASE, {
        "citations": count("true"), "retrieved_citations": count("retrieved"),
        "retrieved_citation_share": ratio(count("retrieved"), count("true")),
    }


JOBS = {job.__name__: job for job in [performance, spend, billing, reliability, quality, safety, retrieval, citations, tools, agents, steps, ensembles]}


# What SQL alone does not say: joins, and traces looked at as a whole, row by row in Python.
def joined(connection, table, name):
    """Which trace each row is about: its span; else the answer of that id; else the trace's root; the earliest of several."""
    connection.execute(f"""CREATE TABLE {name} AS
        WITH f AS (SELECT *, row_number() OVER () AS number FROM {table}),
        pairs AS (
            SELECT number, t.row, t.event_time, t.kafka_partition, t.kafka_offset FROM f JOIN traces_numbered t ON f.trace_id = t.trace_id AND f.span_id = t.span_id
            UNION ALL SELECT number, t.row, t.event_time, t.kafka_partition, t.kafka_offset FROM f JOIN traces_numbered t ON f.response_id = t.response_id
                WHERE f.span_id IS NULL AND (f.trace_id IS NULL OR f.trace_id = t.trace_id)
            UNION ALL SELECT number, t.row, t.event_time, t.kafka_partition, t.kafka_offset FROM f JOIN traces_numbered t ON f.trace_id = t.trace_id
                WHERE f.span_id IS NULL AND f.response_id IS NULL AND t.parent_span_id IS NULL),
        first AS (SELECT number, arg_min(row, (event_time, kafka_partition, kafka_offset)) AS trace_row FROM pairs GROUP BY number)
        SELECT f.*, first.trace_row FROM f JOIN first USING (number)
        QUALIFY row_number() OVER (PARTITION BY coalesce(f.event_id, CAST(number AS VARCHAR)) ORDER BY number) = 1""")


def words(text):
    return set(re.findall(r"\w+", text.lower()))


def overlap(a, b):
    return len(a & b) / len(a | b) if a | b else None


def mean(values):
    values = list(values)
    return None if not values or None in values else sum(values) / len(values)


def ensemble_rows(rows):
    for row in rows:
        if row["candidates"]:
            texts = [words(candidate["output"]) for candidate in row["candidates"] if candidate["output"] is not None]
            review = dict(row["tags"] or []).get("review")
            yield {"event_time": row["event_time"], **{name: row[name] for name in BASE}, "candidates": len(row["candidates"]),
                   "agreement": mean(overlap(a, b) for a, b in itertools.combinations(texts, 2)),
                   "consensus": None if row["output"] is None else mean(overlap(words(row["output"]), text) for text in texts),
                   "review": None if review is None else review.lower() in ("true", "yes", "1")}


def by_trace(rows):
    traces = collections.defaultdict(list)
    for row in rows:
        if row["trace_id"] is not None:
            traces[row["trace_id"]].append(row)
    return traces


def agent_rows(rows):
    for spans in by_trace(rows).values():
        spans = [span for span in spans if span["span_id"] is not None]
        below = collections.defaultdict(list)
        for span in spans:
            below[span["parent_span_id"]].append(span)
        level, depth, seen = below[None], 0, []
        while level and depth <= 64:
            seen += [(span, depth) for span in level]
            level, depth = [child for span in level for child in below[span["span_id"]]], depth + 1
        if len(seen) < 2:
            continue
        used = collections.Counter((span["tool_name"], span["input"]) for span, at in seen if at and span["tool_name"] is not None)
        for root in below[None]:
            yield {"event_time": root["event_time"], **{name: root[name] for name in ["service", "environment", "agent_name", "task", "status", "latency_ms"]},
                   "steps": len(seen) - 1, "depth": max(at for _, at in seen), "repeats": sum(n - 1 for n in used.values() if n >= 3),
                   "failed": sum(1 for span, at in seen if at and span["status"] not in (None, "ok"))}


def microseconds(span):
    latency = span["latency_ms"]
    return None if latency is None or not 0 <= latency < 1e12 else int(math.floor(latency * 1000 + 0.5))


def step_rows(rows):
    helpers = ("invoke_agent", "chain", "execute_tool", "retrieval", "guardrail", "cache")
    for spans in by_trace(rows).values():
        spans = [span for span in spans if span["span_id"] is not None]
        roots = sorted((span for span in spans if span["parent_span_id"] is None), key=lambda span: (span["event_time"], span["span_id"]))
        if len(spans) < 2 or not roots:
            continue
        children = collections.Counter()
        for span in spans:
            children[span["parent_span_id"]] += microseconds(span) or 0
        for span in spans:
            us = microseconds(span)
            yield {"event_time": roots[0]["event_time"], **{name: roots[0][name] for name in ["service", "environment", "agent_name", "task"]},
                   "operation": span["operation"], "step": span["tool_name"] if span["tool_name"] is not None else span["name"], "currency": span["currency"],
                   "own_us": None if us is None else max(0, us - children[span["span_id"]]), "status": span["status"],
                   "cost": None if span["operation"] in helpers else span["cost"], "latency_ms": None if us is None else us / 1000}


def citation_rows(rows):
    for spans in by_trace(rows).values():
        found = {document["id"] for span in spans for document in span["retrieved"] or []}
        for span in spans:
            for cited in span["citations"] or []:
                yield {"event_time": span["event_time"], **{name: span[name] for name in BASE}, "retrieved": cited in found}


ROW_MAKERS = {"ensembles": (ensemble_rows, pa.schema([("event_time", pa.timestamp("us", "UTC")), *[(n, pa.string()) for n in BASE], ("candidates", pa.int64()),
                            ("agreement", pa.float64()), ("consensus", pa.float64()), ("review", pa.bool_())])),
              "agents": (agent_rows, pa.schema([("event_time", pa.timestamp("us", "UTC")), *[(n, pa.string()) for n in ["service", "environment", "agent_name", "task", "status"]],
                         ("latency_ms", pa.float64()), ("steps", pa.int64()), ("depth", pa.int64()), ("repeats", pa.int64()), ("failed", pa.int64())])),
              "steps": (step_rows, pa.schema([("event_time", pa.timestamp("us", "UTC")), *[(n, pa.string()) for n in ["service", "environment", "agent_name", "task", "operation", "step", "currency"]],
                        ("own_us", pa.int64()), ("status", pa.string()), ("cost", pa.decimal128(38, 12)), ("latency_ms", pa.float64())])),
              "citations": (citation_rows, pa.schema([("event_time", pa.timestamp("us", "UTC")), *[(n, pa.string()) for n in BASE], ("retrieved", pa.bool_())]))}


class Lake:
    """The raw tables in DuckDB."""

    def __init__(self, place):
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        for table in ["traces", "feedback", "costs", "evaluations"]:
            # A topic that is not read has no table; asking for a job that needs it fails below.
            if (place / table / "_delta_log").is_dir():
                self.connection.register(f"{table}_arrow", DeltaTable(str(place / table)).to_pyarrow_table())
                self.connection.execute(f"CREATE TABLE {table} AS SELECT * FROM {table}_arrow")
        self.connection.execute("CREATE TABLE traces_numbered AS SELECT *, row_number() OVER () AS row FROM traces")
        for table in ["feedback", "evaluations"]:
            if (place / table / "_delta_log").is_dir():
                joined(self.connection, table, f"joined_{table}")
        self.rows = None

    def prepare(self, job):
        maker, schema = ROW_MAKERS.get(job, (None, None))
        if maker is None:
            return
        if self.rows is None:
            columns = [*BASE, "event_time", "trace_id", "span_id", "parent_span_id", "operation", "name", "tool_name", "agent_name", "input", "output", "status",
                       "latency_ms", "cost", "currency", "tags", "retrieved", "citations", "candidates"]
            self.rows = self.connection.sql(f"SELECT {', '.join(columns)} FROM traces_arrow").to_arrow_table().to_pylist(maps_as_pydicts="lossy")
        table = pa.Table.from_pylist(list(maker(self.rows)), schema=schema)
        self.connection.register(f"{job.removesuffix('s')}_rows", table)

    def expected(self, job, seconds, segments):
        rows, _, columns = JOBS[job]()
        window = f"CAST(floor(epoch_us(event_time) / {seconds * 1_000_000}.0) AS BIGINT) * {seconds}"
        keys = ", ".join(f'"{name}"' for name in segments)
        values = ", ".join(f'{sql} AS "{name}"' for name, (_, sql) in columns.items())
        query = f"SELECT {window} AS window_s, {keys}, {values} FROM ({rows}) GROUP BY ALL"
        found = self.connection.sql(query).to_arrow_table().to_pylist()
        return {(row["window_s"], *(row[name] for name in segments)): row for row in found}


def told(farol, directory, job, window, segments):
    """What Farol says, by window and segments."""
    arguments = ", ".join(f"'{value}'" for value in [job, window, *segments])
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        query = f"SELECT * FROM measures({arguments})"
        subprocess.run([farol, "--quiet", "sql", query, "--format", "parquet", "-o", file.name], cwd=directory, check=True, stdout=subprocess.DEVNULL)
        rows = pyarrow.parquet.read_table(file.name).to_pylist()
    found = {}
    for row in rows:
        key = (int(row["window_start"].timestamp()), *(row[name] for name in segments))
        if key in found:
            sys.exit(f"{job}: two rows for {key}")
        found[key] = row
    return found


def same(kind, expected, found):
    if kind == "quantile":
        xs = expected["xs"] if expected else None
        if not xs:
            return found is None
        if found is None:
            return False
        rank = expected["q"] * (len(xs) - 1)
        low, high = xs[math.floor(rank)], xs[math.ceil(rank)]
        return low - abs(low) * 0.0101 - 1e-9 <= found <= high + abs(high) * 0.0101 + 1e-9
    if kind == "distinct":
        return found in (None, 0) if not expected else found is not None and abs(found - expected) <= (0.05 * expected if expected > 200 else 0)
    if expected is None or found is None:
        return expected is None and found is None
    if kind == "exact":
        return expected == found
    return math.isclose(expected, found, rel_tol=1e-6 if kind == "near" else 1e-14, abs_tol=1e-8 if kind == "near" else 0.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--farol", required=True)
    parser.add_argument("--directory", required=True, type=pathlib.Path)
    parser.add_argument("--job", action="append", choices=list(JOBS))
    parser.add_argument("--require", action="append", default=[], choices=list(JOBS))
    arguments = parser.parse_args()
    lake = Lake(arguments.directory / "farol-data" / "lake")
    differences = compared = 0
    for job in arguments.job or JOBS:
        lake.prepare(job)
        segments, columns = JOBS[job]()[1:]
        rows_of_job = values = 0
        for window, seconds, by in [("1m", 60, segments), ("1 hour", 3_600, segments[:1]), ("1 day", 86_400, segments[1:4])]:
            expected = lake.expected(job, seconds, by)
            found = told(arguments.farol, arguments.directory, job, window, by)
            for key in expected.keys() | found.keys():
                rows_of_job += 1
                if key not in expected or key not in found:
                    differences += 1
                    if differences <= DIFFERENCES_SHOWN:
                        print(f"{job} {window} {key}: only {'Farol' if key in found else 'the raw events'} has it")
                    continue
                for name, (kind, _) in columns.items():
                    values += 1
                    if not same(kind, expected[key][name], found[key][name]):
                        differences += 1
                        if differences <= DIFFERENCES_SHOWN:
                            print(f"{job} {window} {key}: {name} is {found[key][name]}, expected {str(expected[key][name])[:200]}")
        if job in arguments.require and rows_of_job == 0:
            differences += 1
            print(f"{job}: there are no rows")
        compared += values
        print(f"{job}: {rows_of_job} windows and segments, {values} values compared")
    print(f"{compared} values compared, {differences} differ")
    sys.exit(1 if differences else 0)


main()
