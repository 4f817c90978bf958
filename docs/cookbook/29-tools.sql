-- [Agents] How reliable are the tools that agents use?
--
-- tool_name: The tool.
-- executions: How often it was executed.
-- failed_percent [%]: How many did not end well.
-- p95_ms [ms]: 95 of 100 took no longer.
-- traces: Requests that used it.
--
-- Pitfalls: An agent may try a failed tool again: executions count each time, traces once.
SELECT tool_name, count(*) AS executions, round(100.0 * count(*) FILTER (WHERE status <> 'ok') / count(*), 2) AS failed_percent,
    round(quantile(quantiles(latency_ms), 0.95)) AS p95_ms, count(DISTINCT trace_id) AS traces
FROM traces
WHERE operation = 'execute_tool'
GROUP BY tool_name
ORDER BY executions DESC, tool_name;
