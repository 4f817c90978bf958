-- One row a model of a provider, over everything that is stored. For a range of time ask
-- measures('performance', '1 day', 'provider', 'model') and measures('spend', '1 day', 'provider', 'model', 'currency').
--
-- provider: Who serves the model.
-- model: The model that answered, else the one that was asked for.
-- first_seen: When its first call ended.
-- last_seen: When its last call ended.
-- calls: Spans that called it.
-- services: About how many applications call it.
-- error_rate [ratio]: Calls that ended with the status error. NULL where no status is known.
-- latency_p50_ms [ms]: Half of the calls took no longer, within 1 %.
-- latency_p95_ms [ms]: 95 of 100 calls took no longer, within 1 %.
-- time_to_first_token_p50_ms [ms]: Half of the streamed calls began to answer no later, within 1 %.
-- input_tokens [tokens]: Tokens read, cached ones included.
-- cache_read_tokens [tokens]: Of those, tokens that the provider's cache served.
-- output_tokens [tokens]: Tokens written, reasoning included.
-- cost_by_currency [currency]: What the application says it paid, by currency: cost_by_currency['USD']. NULL where no cost is known.
SELECT
    provider, model, first_seen, last_seen, calls, distinct_count(services) AS services, error_rate,
    quantile(latency, 0.5) AS latency_p50_ms,
    quantile(latency, 0.95) AS latency_p95_ms,
    quantile(time_to_first_token, 0.5) AS time_to_first_token_p50_ms,
    input_tokens, cache_read_tokens, output_tokens, cost_by_currency
FROM (
    SELECT
        provider, model,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        CAST(sum(calls) AS BIGINT) AS calls,
        merge_distinct(services) AS services,
        CAST(sum(errors) AS DOUBLE) / sum(calls) AS error_rate,
        merge_quantiles(latency) AS latency,
        merge_quantiles(time_to_first_token) AS time_to_first_token,
        sum(input_tokens) AS input_tokens,
        sum(cache_read_tokens) AS cache_read_tokens,
        sum(output_tokens) AS output_tokens,
        CASE WHEN count(cost) > 0 THEN map(
            array_agg(arrow_cast(coalesce(currency, 'unknown'), 'Utf8') ORDER BY currency) FILTER (WHERE cost IS NOT NULL),
            array_agg(cost ORDER BY currency) FILTER (WHERE cost IS NOT NULL)) END AS cost_by_currency
    FROM (
        SELECT
            provider, model, currency,
            min(event_time) AS first_seen,
            max(event_time) AS last_seen,
            count(*) AS calls,
            distinct(service) AS services,
            sum(CASE WHEN status = 'error' THEN 1 WHEN status IS NOT NULL THEN 0 END) AS errors,
            quantiles(latency_ms) AS latency,
            quantiles(time_to_first_token_ms) AS time_to_first_token,
            sum(input_tokens) AS input_tokens,
            sum(cache_read_tokens) AS cache_read_tokens,
            sum(output_tokens) AS output_tokens,
            sum(cost) AS cost
        FROM traces
        WHERE calls_model(operation)
        GROUP BY provider, model, currency
    ) by_currency
    GROUP BY provider, model
) merged
