-- [Performance] Which requests were unusually slow for what they are?
--
-- event_time: When the request ended.
-- service: The application.
-- task: What it was for.
-- latency_ms [ms]: How long it took.
-- times_threshold [ratio]: How many times what 99 of 100 of its own kind stay within.
-- trace_id: Look at it with the next query.
--
-- Pitfalls: Each kind is measured by its own day: on a day on which all were slow, none stands out. A filter on event_date keeps
-- the look at what is usual to those days.
SELECT event_time, service, task, round(latency_ms) AS latency_ms, round(times_threshold, 2) AS times_threshold, trace_id
FROM slow_traces
WHERE event_date = '2026-01-05'
ORDER BY times_threshold DESC, trace_id
LIMIT 10;
