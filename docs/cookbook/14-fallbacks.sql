-- [Reliability] Which models are stood in for by others?
--
-- fallback_from: The model that failed first.
-- model: The model that answered in its place.
-- calls: How often.
-- answered_percent [%]: How many of those ended well.
-- waited_ms [ms]: The mean time such a call took in all.
--
-- Pitfalls: Only calls that say what they fell back from. An application that retries with another model in a span of its own shows
-- as a failed call and another.
SELECT fallback_from, model, count(*) AS calls, round(100.0 * count(*) FILTER (WHERE status = 'ok') / count(*), 1) AS answered_percent,
    round(avg(latency_ms)) AS waited_ms
FROM traces
WHERE fallback_from IS NOT NULL
GROUP BY fallback_from, model
ORDER BY calls DESC, fallback_from, model;
