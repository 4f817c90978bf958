-- The spans of a trace with their place in it. Filter on trace_id: then that trace alone is read. With a range of event_time
-- alone, the spans of that range are read with their ancestors, but the parts that self_ms takes off are looked for in all of
-- the table. Each span is followed up to its eighth ancestor. A span whose parent is not in the lake stands at the top.
--
-- trace_id: The trace.
-- span_id: The span.
-- parent_span_id: The span that it is a part of.
-- depth: How many spans it is inside of; 0 at the top. NULL beyond 8.
-- path: The names from the top down to it, joined with ' > '. Beyond 8 it begins with an ellipsis.
-- start_time: When it began; where the event does not say, its end less its latency.
-- event_time: When it ended.
-- service: The application.
-- name: What the application calls it.
-- operation: Its kind.
-- tool_name: The tool that was executed.
-- model: The model.
-- status: How it ended.
-- error_type: The class of the error.
-- latency_ms [ms]: How long it took.
-- self_ms [ms]: Of that, the time in which none of its parts was at work. Parts that run at once count once.
-- root_latency_ms [ms]: How long the span at the top took. NULL beyond 8.
-- share_of_root [ratio]: latency_ms of root_latency_ms. Those of parallel parts add up to more than 1.
WITH parts AS (
    SELECT DISTINCT
        trace_id, parent_span_id, span_id,
        CAST(event_time AS BIGINT) - CAST(latency_ms * 1000 AS BIGINT) AS start_us,
        CAST(event_time AS BIGINT) AS end_us
    FROM traces
    WHERE trace_id IS NOT NULL AND parent_span_id IS NOT NULL AND latency_ms >= 0 AND latency_ms < 1e12
),
covered AS (
    SELECT trace_id, parent_span_id, sum(greatest(0, end_us - greatest(start_us, coalesce(before_us, start_us)))) AS covered_us
    FROM (
        SELECT
            trace_id, parent_span_id, start_us, end_us,
            max(end_us) OVER (
                PARTITION BY trace_id, parent_span_id ORDER BY start_us, end_us, span_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS before_us
        FROM parts
    ) ordered
    GROUP BY trace_id, parent_span_id
)
SELECT DISTINCT
    trace_id, span_id, parent_span_id, depth, path, start_time, event_time, service, name, operation, tool_name, model,
    status, error_type, latency_ms,
    CASE WHEN latency_ms >= 0 THEN greatest(0, latency_ms - coalesce(covered_us, 0) / 1000.0) END AS self_ms,
    root_latency_ms,
    latency_ms / nullif(root_latency_ms, 0) AS share_of_root
FROM (
    SELECT
        span.trace_id, span.span_id, span.parent_span_id,
        CASE
            WHEN p8.parent_span_id IS NOT NULL THEN NULL
            WHEN p8.span_id IS NOT NULL THEN 8
            WHEN p7.span_id IS NOT NULL THEN 7
            WHEN p6.span_id IS NOT NULL THEN 6
            WHEN p5.span_id IS NOT NULL THEN 5
            WHEN p4.span_id IS NOT NULL THEN 4
            WHEN p3.span_id IS NOT NULL THEN 3
            WHEN p2.span_id IS NOT NULL THEN 2
            WHEN p1.span_id IS NOT NULL THEN 1
            ELSE 0
        END AS depth,
        concat(
            CASE WHEN p8.parent_span_id IS NOT NULL THEN '… > ' ELSE '' END,
            coalesce(coalesce(p8.name, p8.operation, p8.span_id) || ' > ', ''),
            coalesce(coalesce(p7.name, p7.operation, p7.span_id) || ' > ', ''),
            coalesce(coalesce(p6.name, p6.operation, p6.span_id) || ' > ', ''),
            coalesce(coalesce(p5.name, p5.operation, p5.span_id) || ' > ', ''),
            coalesce(coalesce(p4.name, p4.operation, p4.span_id) || ' > ', ''),
            coalesce(coalesce(p3.name, p3.operation, p3.span_id) || ' > ', ''),
            coalesce(coalesce(p2.name, p2.operation, p2.span_id) || ' > ', ''),
            coalesce(coalesce(p1.name, p1.operation, p1.span_id) || ' > ', ''),
            coalesce(span.name, span.operation, span.span_id)
        ) AS path,
        CASE
            WHEN p8.parent_span_id IS NOT NULL THEN NULL
            WHEN p8.span_id IS NOT NULL THEN p8.latency_ms
            WHEN p7.span_id IS NOT NULL THEN p7.latency_ms
            WHEN p6.span_id IS NOT NULL THEN p6.latency_ms
            WHEN p5.span_id IS NOT NULL THEN p5.latency_ms
            WHEN p4.span_id IS NOT NULL THEN p4.latency_ms
            WHEN p3.span_id IS NOT NULL THEN p3.latency_ms
            WHEN p2.span_id IS NOT NULL THEN p2.latency_ms
            WHEN p1.span_id IS NOT NULL THEN p1.latency_ms
            ELSE span.latency_ms
        END AS root_latency_ms,
        coalesce(
            span.start_time,
            CASE WHEN span.latency_ms >= 0 AND span.latency_ms < 1e12
                THEN arrow_cast(
                    CAST(span.event_time AS BIGINT) - CAST(span.latency_ms * 1000 AS BIGINT),
                    'Timestamp(Microsecond, Some("UTC"))') END
        ) AS start_time,
        span.event_time, span.service, span.name, span.operation, span.tool_name, span.model, span.status,
        span.error_type, span.latency_ms, covered.covered_us
    FROM traces span
    LEFT JOIN traces p1 ON p1.trace_id = span.trace_id AND p1.span_id = span.parent_span_id
    LEFT JOIN traces p2 ON p2.trace_id = span.trace_id AND p2.span_id = p1.parent_span_id
    LEFT JOIN traces p3 ON p3.trace_id = span.trace_id AND p3.span_id = p2.parent_span_id
    LEFT JOIN traces p4 ON p4.trace_id = span.trace_id AND p4.span_id = p3.parent_span_id
    LEFT JOIN traces p5 ON p5.trace_id = span.trace_id AND p5.span_id = p4.parent_span_id
    LEFT JOIN traces p6 ON p6.trace_id = span.trace_id AND p6.span_id = p5.parent_span_id
    LEFT JOIN traces p7 ON p7.trace_id = span.trace_id AND p7.span_id = p6.parent_span_id
    LEFT JOIN traces p8 ON p8.trace_id = span.trace_id AND p8.span_id = p7.parent_span_id
    LEFT JOIN covered ON covered.trace_id = span.trace_id AND covered.parent_span_id = span.span_id
    WHERE span.trace_id IS NOT NULL
) placed
