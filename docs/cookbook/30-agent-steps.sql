-- [Agents] How many steps do agents take, and do long runs end well?
--
-- tools: Tools that were executed in one run.
-- runs: Runs with so many.
-- failed_percent [%]: Those that failed as a whole.
-- mean_ms [ms]: How long they took.
-- depth: How deep their deepest span was.
--
-- Pitfalls: A run that was given up early has few steps: read failed_percent with it. Depth counts the agent itself as 0.
SELECT tools, count(*) AS runs, round(100.0 * count(*) FILTER (WHERE status <> 'ok') / count(*), 1) AS failed_percent,
    round(avg(latency_ms)) AS mean_ms, max(depth) AS depth
FROM (
    SELECT trace_id, count(*) FILTER (WHERE operation = 'execute_tool') AS tools, max(depth) AS depth,
        max(status) FILTER (WHERE depth = 0) AS status, max(latency_ms) FILTER (WHERE depth = 0) AS latency_ms
    FROM trace_tree
    WHERE service = 'travel-agent'
    GROUP BY trace_id
) runs
GROUP BY tools
ORDER BY tools;
