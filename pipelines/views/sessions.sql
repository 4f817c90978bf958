-- One row a session: who, where, how long, and what it took. A filter on session_id reads that session alone; one on
-- anything else reads every session. Tokens and cost are of spans that called a model.
--
-- session_id: The conversation or visit.
-- user_id: The person or account: the first that a span of the session names.
-- service: The application of the session's first span.
-- environment: Where that runs.
-- first_time: When the first span began.
-- last_time: When the last span ended.
-- turns: Requests of the person: spans without a parent.
-- calls: Spans that called a model.
-- errors: Spans that ended with the status error.
-- failed_turns: Turns that did not end with the status ok.
-- input_tokens [tokens]: Tokens read.
-- output_tokens [tokens]: Tokens written.
-- cost_by_currency [currency]: What the application says it paid, by currency: cost_by_currency['USD']. NULL where no cost is known.
SELECT
    session_id,
    first_value(user_id ORDER BY user_id IS NULL, first_time, currency) AS user_id,
    first_value(service ORDER BY first_time, currency) AS service,
    first_value(environment ORDER BY first_time, currency) AS environment,
    min(first_time) AS first_time,
    max(last_time) AS last_time,
    CAST(sum(turns) AS BIGINT) AS turns,
    CAST(sum(calls) AS BIGINT) AS calls,
    CAST(sum(errors) AS BIGINT) AS errors,
    CAST(sum(failed_turns) AS BIGINT) AS failed_turns,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    CASE WHEN count(cost) > 0 THEN map(
        array_agg(arrow_cast(coalesce(currency, 'unknown'), 'Utf8') ORDER BY currency) FILTER (WHERE cost IS NOT NULL),
        array_agg(cost ORDER BY currency) FILTER (WHERE cost IS NOT NULL)) END AS cost_by_currency
FROM (
    SELECT
        session_id, currency,
        first_value(user_id ORDER BY user_id IS NULL, coalesce(start_time, event_time), span_id) AS user_id,
        first_value(service ORDER BY coalesce(start_time, event_time), span_id) AS service,
        first_value(environment ORDER BY coalesce(start_time, event_time), span_id) AS environment,
        min(coalesce(start_time, event_time)) AS first_time,
        max(event_time) AS last_time,
        count(*) FILTER (WHERE parent_span_id IS NULL) AS turns,
        count(*) FILTER (WHERE calls_model(operation)) AS calls,
        count(*) FILTER (WHERE status = 'error') AS errors,
        count(*) FILTER (WHERE parent_span_id IS NULL AND status <> 'ok') AS failed_turns,
        sum(input_tokens) FILTER (WHERE calls_model(operation)) AS input_tokens,
        sum(output_tokens) FILTER (WHERE calls_model(operation)) AS output_tokens,
        sum(cost) FILTER (WHERE calls_model(operation)) AS cost
    FROM traces
    WHERE session_id IS NOT NULL
    GROUP BY session_id, currency
) by_currency
GROUP BY session_id
