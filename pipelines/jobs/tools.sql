-- One row for each execution of a tool.
SELECT
    event_time, service, environment, agent_name, tool_name, task, tags,
    1 AS executions,
    CASE WHEN status = 'ok' THEN 1 WHEN status IS NOT NULL THEN 0 END AS successes,
    CASE WHEN status IS NOT NULL THEN 1 END AS executions_with_status,
    CASE WHEN status = 'timeout' THEN 1 WHEN status IS NOT NULL THEN 0 END AS timeouts,
    latency_ms AS latency
FROM traces
WHERE operation = 'execute_tool'
