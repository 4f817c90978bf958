-- [Data] Which applications leave out what we need to know?
--
-- service: The application.
-- calls: Its calls of models.
-- without_user_percent [%]: Without a user_id.
-- without_session_percent [%]: Without a session_id.
-- without_prompt_percent [%]: Without a prompt_id: they are in no comparison of prompts.
-- without_tokens_percent [%]: Without input_tokens.
-- without_cost_percent [%]: Without a cost.
--
-- Pitfalls: Calls that failed have no output and often no tokens: that is not the application's fault. Embeddings have no prompt.
SELECT service, count(*) AS calls,
    round(100.0 * (count(*) - count(user_id)) / count(*), 1) AS without_user_percent,
    round(100.0 * (count(*) - count(session_id)) / count(*), 1) AS without_session_percent,
    round(100.0 * (count(*) - count(prompt_id)) / count(*), 1) AS without_prompt_percent,
    round(100.0 * (count(*) - count(input_tokens)) / count(*), 1) AS without_tokens_percent,
    round(100.0 * (count(*) - count(cost)) / count(*), 1) AS without_cost_percent
FROM traces
WHERE calls_model(operation)
GROUP BY service
ORDER BY service;
