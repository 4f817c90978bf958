-- One row for each trace of several spans: its steps, its depth and its loops. The trace is looked at as a whole, from its
-- root (the span without a parent); spans that no chain of parents ties to the root are not counted.
WITH RECURSIVE spans AS (
    SELECT trace_id, span_id, parent_span_id, tool_name, input, status
    FROM traces
    WHERE trace_id IS NOT NULL AND span_id IS NOT NULL
), tree AS (
    SELECT trace_id, span_id, tool_name, input, status, 0 AS depth
    FROM spans
    WHERE parent_span_id IS NULL
    UNION ALL
    SELECT spans.trace_id, spans.span_id, spans.tool_name, spans.input, spans.status, tree.depth + 1 AS depth
    FROM spans JOIN tree ON spans.trace_id = tree.trace_id AND spans.parent_span_id = tree.span_id
    -- A trace deeper than this is taken for one whose ids are wrong.
    WHERE tree.depth < 64
), repeated AS (
    -- The same tool with the same input, three times or more, is a loop.
    SELECT trace_id, sum(again) AS repeats
    FROM (SELECT trace_id, tool_name, input, count(*) - 1 AS again FROM tree
          WHERE tool_name IS NOT NULL AND depth > 0 GROUP BY trace_id, tool_name, input HAVING count(*) >= 3)
    GROUP BY trace_id
), shapes AS (
    SELECT trace_id, count(*) - 1 AS steps, max(depth) AS depth,
        sum(CASE WHEN depth > 0 AND status IS NOT NULL AND status <> 'ok' THEN 1 ELSE 0 END) AS failed_steps
    FROM tree GROUP BY trace_id HAVING count(*) > 1
)
SELECT
    root.event_time, root.service, root.environment, root.agent_name, root.task, root.tags,
    1 AS traces,
    shapes.steps AS steps,
    shapes.steps AS steps_of_trace,
    shapes.depth AS depth_of_trace,
    CASE WHEN repeated.trace_id IS NOT NULL THEN 1 ELSE 0 END AS looping_traces,
    coalesce(repeated.repeats, 0) AS repeated_steps,
    shapes.failed_steps AS failed_steps,
    CASE WHEN root.status = 'ok' THEN 1 WHEN root.status IS NOT NULL THEN 0 END AS successes,
    CASE WHEN root.status IS NOT NULL THEN 1 END AS traces_with_status,
    root.latency_ms AS latency
FROM traces root
JOIN shapes ON root.trace_id = shapes.trace_id
LEFT JOIN repeated ON root.trace_id = repeated.trace_id
WHERE root.parent_span_id IS NULL AND root.span_id IS NOT NULL
