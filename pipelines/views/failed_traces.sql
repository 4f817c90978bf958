-- Traces of which any span did not end with the status ok, with the span that failed first. A trace may have failed spans
-- and still have answered: root_failed tells. A span without a trace_id is a trace of its own.
--
-- trace_id: The trace; look at it in trace_tree. NULL where the span has none.
-- event_time: When the first failed span ended.
-- event_date: That day, UTC.
-- service: The application of that span.
-- environment: Where it runs.
-- session_id: The conversation or visit.
-- user_id: The person or account.
-- span_id: The span that failed first. Parts end before the whole, so this is mostly the cause.
-- name: What the application calls it.
-- operation: Its kind.
-- tool_name: The tool that was executed, if it was one.
-- provider: Who serves the model, if it called one.
-- model: The model.
-- status: How it ended: error, timeout, rate_limited, blocked.
-- error_type: The class of the error.
-- error_message: The error's message.
-- failed_spans: How many spans of the trace did not end with ok.
-- root_failed: Whether a span without a parent is among them: the request as a whole failed.
SELECT
    span.trace_id, span.event_time, span.event_date, span.service, span.environment, span.session_id, span.user_id,
    span.span_id, span.name, span.operation, span.tool_name, span.provider, span.model, span.status,
    span.error_type, span.error_message, failed.failed_spans, failed.root_failed
FROM traces span
JOIN (
    SELECT
        trace_id,
        first_value(kafka_topic ORDER BY event_time, kafka_topic, kafka_partition, kafka_offset, kafka_entry) AS kafka_topic,
        first_value(kafka_partition ORDER BY event_time, kafka_topic, kafka_partition, kafka_offset, kafka_entry) AS kafka_partition,
        first_value(kafka_offset ORDER BY event_time, kafka_topic, kafka_partition, kafka_offset, kafka_entry) AS kafka_offset,
        first_value(kafka_entry ORDER BY event_time, kafka_topic, kafka_partition, kafka_offset, kafka_entry) AS kafka_entry,
        count(*) AS failed_spans,
        bool_or(parent_span_id IS NULL) AS root_failed
    FROM traces
    WHERE status <> 'ok' AND trace_id IS NOT NULL
    GROUP BY trace_id
) failed ON failed.trace_id = span.trace_id
    AND failed.kafka_topic = span.kafka_topic
    AND failed.kafka_partition = span.kafka_partition
    AND failed.kafka_offset = span.kafka_offset
    AND failed.kafka_entry = span.kafka_entry
WHERE span.status <> 'ok'
UNION ALL
SELECT
    trace_id, event_time, event_date, service, environment, session_id, user_id,
    span_id, name, operation, tool_name, provider, model, status,
    error_type, error_message, 1 AS failed_spans, parent_span_id IS NULL AS root_failed
FROM traces
WHERE status <> 'ok' AND trace_id IS NULL
