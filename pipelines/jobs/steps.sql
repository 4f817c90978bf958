-- One row for each span of a trace of several: what of the trace's time, cost and failures is its own. Time is a span's own
-- where its children did not run: what they took is theirs. Children that run side by side can take more than their parent;
-- it has no time of its own then. Cost is counted where a model is called, as everywhere.
WITH spans AS (
    SELECT trace_id, span_id, parent_span_id, operation, coalesce(tool_name, name) AS step, status, currency,
        CASE WHEN latency_ms >= 0 AND latency_ms < 1e12 THEN CAST(round(latency_ms * 1000) AS BIGINT) END AS latency_us,
        CASE WHEN calls_model(operation) THEN cost END AS cost
    FROM traces
    WHERE trace_id IS NOT NULL AND span_id IS NOT NULL
), children AS (
    SELECT trace_id, parent_span_id, sum(latency_us) AS latency_us
    FROM spans WHERE parent_span_id IS NOT NULL GROUP BY trace_id, parent_span_id
), roots AS (
    -- The root whose window the trace is counted in; of several the first.
    SELECT trace_id, event_time, service, environment, agent_name, task, tags
    FROM (SELECT *, row_number() OVER (PARTITION BY trace_id ORDER BY event_time, span_id) AS place
          FROM traces WHERE parent_span_id IS NULL AND span_id IS NOT NULL AND trace_id IS NOT NULL)
    WHERE place = 1
), several AS (
    SELECT trace_id FROM spans GROUP BY trace_id HAVING count(*) > 1
)
SELECT
    roots.event_time, roots.service, roots.environment, roots.agent_name, roots.task, roots.tags,
    spans.operation, spans.step, spans.currency,
    1 AS spans,
    CASE WHEN spans.latency_us >= coalesce(children.latency_us, 0) THEN spans.latency_us - coalesce(children.latency_us, 0)
         WHEN spans.latency_us IS NOT NULL THEN 0 END AS own_us,
    spans.cost AS cost,
    CASE WHEN spans.status <> 'ok' THEN 1 WHEN spans.status IS NOT NULL THEN 0 END AS failures,
    spans.latency_us / 1000.0 AS latency
FROM spans
JOIN several ON spans.trace_id = several.trace_id
JOIN roots ON spans.trace_id = roots.trace_id
LEFT JOIN children ON spans.trace_id = children.trace_id AND spans.span_id = children.parent_span_id
