-- [Performance] Which steps do requests spend their time in?
--
-- service: The application.
-- operation: The kind of step.
-- steps: How many there were.
-- mean_ms [ms]: Time of its own that a step takes.
-- share [ratio]: Its part of all the application's time.
--
-- Pitfalls: The time is what a step spends itself, without its parts, so the shares add up to 1. Over a long range this reads many
-- rows: take an hour or a day.
SELECT service, operation, count(*) AS steps, round(avg(self_ms), 1) AS mean_ms,
    round(sum(self_ms) / sum(sum(self_ms)) OVER (PARTITION BY service), 3) AS share
FROM trace_tree
WHERE event_time >= '2026-01-05T12:00:00Z' AND event_time < '2026-01-05T18:00:00Z'
GROUP BY service, operation
ORDER BY service, share DESC, operation;
