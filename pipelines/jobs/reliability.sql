-- One row for each operation, of models and of tools alike. A status that nobody told is no success and no failure.
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags, operation,
    1 AS requests,
    CASE WHEN status IS NOT NULL THEN 1 END AS requests_with_status,
    -- A guardrail that blocks has done its work: the service was there.
    CASE WHEN status IN ('ok', 'blocked') THEN 1 WHEN status IS NOT NULL THEN 0 END AS available,
    CASE WHEN status = 'error' THEN 1 WHEN status IS NOT NULL THEN 0 END AS errors,
    CASE WHEN status = 'timeout' THEN 1 WHEN status IS NOT NULL THEN 0 END AS timeouts,
    CASE WHEN status = 'rate_limited' THEN 1 WHEN status IS NOT NULL THEN 0 END AS rate_limits,
    CASE WHEN status = 'blocked' THEN 1 WHEN status IS NOT NULL THEN 0 END AS blocks,
    CASE WHEN retries > 0 THEN 1 WHEN retries = 0 THEN 0 END AS retried,
    CASE WHEN retries > 0 AND status = 'ok' THEN 1 WHEN retries > 0 AND status IS NOT NULL THEN 0 END AS retried_ok,
    CASE WHEN retries > 0 AND status IS NOT NULL THEN 1 END AS retried_with_status,
    retries,
    CASE WHEN fallback_from IS NOT NULL THEN 1 ELSE 0 END AS fallbacks,
    CASE WHEN fallback_from IS NOT NULL AND status = 'ok' THEN 1 WHEN fallback_from IS NOT NULL AND status IS NOT NULL THEN 0 END AS fallbacks_ok
FROM traces
