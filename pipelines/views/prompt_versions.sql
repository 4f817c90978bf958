-- One row a version of a prompt: its calls, and what people thought of them, over everything that is stored. For a range
-- of time ask measures('performance', '1 day', 'prompt_id', 'prompt_version').
--
-- prompt_id: The prompt template.
-- prompt_version: The version.
-- first_seen: When its first call ended.
-- last_seen: When its last call ended.
-- calls: Spans with this prompt that called a model.
-- error_rate [ratio]: Calls that ended with the status error. NULL where no status is known.
-- latency_p50_ms [ms]: Half of the calls took no longer, within 1 %.
-- latency_p95_ms [ms]: 95 of 100 calls took no longer, within 1 %.
-- input_tokens [tokens]: Tokens read.
-- output_tokens [tokens]: Tokens written.
-- cost_by_currency [currency]: What the application says it paid, by currency: cost_by_currency['USD']. NULL where no cost is known.
-- thumbs_up: Thumbs up for its answers.
-- thumbs_down: Thumbs down for its answers.
-- thumbs_up_ratio [ratio]: Thumbs up of all thumbs. NULL where nobody gave any.
SELECT
    calls.prompt_id, calls.prompt_version, calls.first_seen, calls.last_seen, calls.calls, calls.error_rate,
    quantile(calls.latency, 0.5) AS latency_p50_ms, quantile(calls.latency, 0.95) AS latency_p95_ms, calls.input_tokens, calls.output_tokens, calls.cost_by_currency,
    coalesce(said.thumbs_up, 0) AS thumbs_up,
    coalesce(said.thumbs_down, 0) AS thumbs_down,
    CAST(said.thumbs_up AS DOUBLE) / (said.thumbs_up + said.thumbs_down) AS thumbs_up_ratio
FROM (
    SELECT
        prompt_id, prompt_version,
        min(first_seen) AS first_seen,
        max(last_seen) AS last_seen,
        CAST(sum(calls) AS BIGINT) AS calls,
        CAST(sum(errors) AS DOUBLE) / sum(calls) AS error_rate,
        merge_quantiles(latency) AS latency,
        sum(input_tokens) AS input_tokens,
        sum(output_tokens) AS output_tokens,
        CASE WHEN count(cost) > 0 THEN map(
            array_agg(arrow_cast(coalesce(currency, 'unknown'), 'Utf8') ORDER BY currency) FILTER (WHERE cost IS NOT NULL),
            array_agg(cost ORDER BY currency) FILTER (WHERE cost IS NOT NULL)) END AS cost_by_currency
    FROM (
        SELECT
            prompt_id, prompt_version, currency,
            min(event_time) AS first_seen,
            max(event_time) AS last_seen,
            count(*) AS calls,
            sum(CASE WHEN status = 'error' THEN 1 WHEN status IS NOT NULL THEN 0 END) AS errors,
            quantiles(latency_ms) AS latency,
            sum(input_tokens) AS input_tokens,
            sum(output_tokens) AS output_tokens,
            sum(cost) AS cost
        FROM traces
        WHERE prompt_id IS NOT NULL AND calls_model(operation)
        GROUP BY prompt_id, prompt_version, currency
    ) by_currency
    GROUP BY prompt_id, prompt_version
) calls
LEFT JOIN (
    SELECT
        prompt_id, coalesce(prompt_version, '') AS version,
        count(*) FILTER (WHERE value > 0) AS thumbs_up,
        count(*) FILTER (WHERE value < 0) AS thumbs_down
    FROM feedback_joined
    WHERE kind = 'thumbs' AND value <> 0
    GROUP BY prompt_id, coalesce(prompt_version, '')
) said ON said.prompt_id = calls.prompt_id AND said.version = coalesce(calls.prompt_version, '')
