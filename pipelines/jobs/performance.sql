-- One row for each call: when it ended, its segments, and what it adds to each partial.
-- Times are added up in whole microseconds, because sums of floating-point numbers depend on their order.
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
    1 AS requests,
    CASE WHEN status = 'error' THEN 1 WHEN status IS NOT NULL THEN 0 END AS errors,
    CASE WHEN status = 'timeout' THEN 1 WHEN status IS NOT NULL THEN 0 END AS timeouts,
    CASE WHEN status = 'rate_limited' THEN 1 WHEN status IS NOT NULL THEN 0 END AS rate_limits,
    retries,
    latency_ms AS latency,
    time_to_first_token_ms AS time_to_first_token,
    -- Both or neither, so that tokens and time are of the same calls. Without a first token's time, all of it counts.
    CASE WHEN latency_ms > coalesce(time_to_first_token_ms, 0) AND latency_ms < 1e12 THEN output_tokens END AS generated_tokens,
    CASE WHEN latency_ms > coalesce(time_to_first_token_ms, 0) AND latency_ms < 1e12 AND output_tokens IS NOT NULL
         THEN CAST(round((latency_ms - coalesce(time_to_first_token_ms, 0)) * 1000) AS BIGINT) END AS generation_us,
    user_id AS users,
    session_id AS sessions
FROM traces
