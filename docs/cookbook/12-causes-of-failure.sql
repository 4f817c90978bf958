-- [Reliability] Why do requests fail?
--
-- operation: The kind of the span that failed first.
-- what: The tool, or the model's provider.
-- status: How it ended.
-- error_type: The class of the error.
-- traces: Traces in which it was the first failure.
-- answered: Those that answered all the same.
--
-- Pitfalls: Parts end before the whole, so the first failure is mostly the cause; where parts run at once it is only the first to end.
SELECT operation, coalesce(tool_name, provider) AS what, status, error_type, count(*) AS traces,
    count(*) FILTER (WHERE NOT root_failed) AS answered
FROM failed_traces
GROUP BY operation, coalesce(tool_name, provider), status, error_type
ORDER BY traces DESC, operation, what, status, error_type
LIMIT 15;
