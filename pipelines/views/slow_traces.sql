-- Requests that took longer than 99 of 100 of their own service and task on the same day (UTC). A request is a span without
-- a parent. Where a service's task had fewer than 100 requests on a day, that day has no rows here: the 99th of
-- a few says nothing. Filter event_date as well as event_time, so that only those days' thresholds are computed.
--
-- event_time: When the request ended.
-- event_date: That day, UTC.
-- trace_id: Its trace; look at it in trace_tree. NULL where the span has none.
-- span_id: Its span.
-- service: The application.
-- environment: Where it runs.
-- task: What it was for.
-- name: What the application calls it.
-- session_id: The conversation or visit.
-- user_id: The person or account.
-- status: How it ended.
-- latency_ms [ms]: How long it took.
-- threshold_ms [ms]: What 99 of 100 requests of the service, task and day stayed within, to 1 %; who is here exceeded it by more.
-- times_threshold [ratio]: How many times the threshold it took.
SELECT
    slow.event_time, slow.event_date, slow.trace_id, slow.span_id, slow.service, slow.environment, slow.task, slow.name,
    slow.session_id, slow.user_id, slow.status, slow.latency_ms, usual.threshold_ms,
    slow.latency_ms / usual.threshold_ms AS times_threshold
FROM traces slow
JOIN (
    SELECT event_date, service, task, quantile(quantiles(latency_ms), 0.99) AS threshold_ms
    FROM traces
    WHERE parent_span_id IS NULL AND latency_ms IS NOT NULL
    GROUP BY event_date, service, task
    HAVING count(*) >= 100
) usual ON usual.event_date = slow.event_date
    AND (usual.service IS NOT DISTINCT FROM slow.service)
    AND (usual.task IS NOT DISTINCT FROM slow.task)
    AND slow.latency_ms * 0.99 > usual.threshold_ms
WHERE slow.parent_span_id IS NULL
