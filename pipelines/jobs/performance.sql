-- One row for each call: when it ended, its segments, and what it adds to each partial.
-- Times are added up in whole microseconds, because sums of floating-point numbers depend on their order.
-- Tokens are those of calls of a model: a chain or an agent repeats what its steps have used.
WITH calls AS (
    SELECT *,
        calls_model(operation) AS is_model_call,
        latency_ms > coalesce(time_to_first_token_ms, 0) AND latency_ms < 1e12 AS is_timed
    FROM traces
)
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
    1 AS requests,
    CASE WHEN status = 'error' THEN 1 WHEN status IS NOT NULL THEN 0 END AS errors,
    CASE WHEN status = 'timeout' THEN 1 WHEN status IS NOT NULL THEN 0 END AS timeouts,
    CASE WHEN status = 'rate_limited' THEN 1 WHEN status IS NOT NULL THEN 0 END AS rate_limits,
    retries,
    latency_ms AS latency,
    CASE WHEN latency_ms >= 0 AND latency_ms < 1e12 THEN CAST(round(latency_ms * 1000) AS BIGINT) END AS latency_us,
    CASE WHEN latency_ms >= 0 AND latency_ms < 1e12 THEN 1 END AS timed_requests,
    latency_ms AS slowest,
    time_to_first_token_ms AS time_to_first_token,
    CASE WHEN is_model_call AND is_timed AND time_to_first_token_ms IS NOT NULL AND output_tokens > 1
         THEN (latency_ms - time_to_first_token_ms) / (output_tokens - 1) END AS time_per_output_token,
    -- Both or neither, so that tokens and time are of the same calls. Without a first token's time, all of it counts.
    CASE WHEN is_model_call AND is_timed THEN output_tokens END AS generated_tokens,
    CASE WHEN is_model_call AND is_timed AND output_tokens IS NOT NULL
         THEN CAST(round((latency_ms - coalesce(time_to_first_token_ms, 0)) * 1000) AS BIGINT) END AS generation_us,
    user_id AS users,
    session_id AS sessions
FROM calls
