-- [Product] What did we answer where people were unhappy?
--
-- event_time: When the turn ended.
-- service: The application.
-- input: What was asked.
-- output: What was answered.
-- comments: What people said about it.
-- trace_id: The trace.
--
-- Pitfalls: This shows what people wrote: mind who may read it. Most unhappy people say nothing.
SELECT event_time, service, input, left(output, 80) AS output, comments, trace_id
FROM conversations
WHERE (thumbs < 0 OR rating <= 2 OR comments IS NOT NULL) AND event_time >= '2026-01-05T12:00:00Z' AND event_time < '2026-01-05T14:00:00Z'
ORDER BY event_time, trace_id
LIMIT 10;
