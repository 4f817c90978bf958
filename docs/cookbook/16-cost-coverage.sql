-- [Cost] Of which applications do we not know what they spend?
--
-- service: The application.
-- operation: The kind of call.
-- calls: Calls of a model.
-- coverage_percent [%]: Those that say what they cost.
-- unpriced_tokens [tokens]: Tokens of those that do not.
--
-- Pitfalls: A cost of 0 is known (a cache answered); NULL is not. A sum over an application with low coverage is a lower bound.
SELECT service, operation, count(*) AS calls, round(100.0 * count(cost) / count(*), 1) AS coverage_percent,
    coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) FILTER (WHERE cost IS NULL), 0) AS unpriced_tokens
FROM traces
WHERE calls_model(operation)
GROUP BY service, operation
ORDER BY coverage_percent, service, operation;
