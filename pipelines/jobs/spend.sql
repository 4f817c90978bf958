-- One row for each call. `cost` is what the application says it paid; amounts of different currencies are never added,
-- because the currency is a segment.
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags, currency,
    1 AS requests,
    cost,
    CASE WHEN cost IS NOT NULL THEN 1 ELSE 0 END AS requests_with_cost,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens
FROM traces
