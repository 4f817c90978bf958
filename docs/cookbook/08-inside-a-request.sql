-- [Performance] Where does the time of one slow request go?
--
-- depth: How many spans it is inside of.
-- path: The names from the top down to it.
-- start_time: When it began.
-- latency_ms [ms]: How long it took.
-- self_ms [ms]: Of that, time in which none of its parts was at work.
-- share_of_root [ratio]: latency_ms of the whole request's.
--
-- Pitfalls: Only self_ms may be added up; latency_ms of a span contains that of its parts.
SELECT depth, path, start_time, round(latency_ms, 1) AS latency_ms, round(self_ms, 1) AS self_ms,
    round(share_of_root, 3) AS share_of_root
FROM trace_tree
WHERE trace_id = (
    SELECT trace_id FROM slow_traces
    WHERE service = 'travel-agent' AND event_date = '2026-01-05'
    ORDER BY latency_ms DESC, trace_id LIMIT 1
)
ORDER BY start_time, depth, path;
