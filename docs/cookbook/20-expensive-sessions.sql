-- [Cost] Which conversations were the most expensive?
--
-- session_id: The conversation.
-- service: The application.
-- user_id: The person.
-- turns: Requests of that person.
-- calls: Calls of a model that were made for them.
-- usd [USD]: What those cost.
-- minutes [min]: From the first span to the last.
--
-- Pitfalls: A conversation may have paid in several currencies: cost_by_currency holds each. A session without known cost is not in it.
SELECT session_id, service, user_id, turns, calls, cost_by_currency['USD'] AS usd,
    round((CAST(last_time AS BIGINT) - CAST(first_time AS BIGINT)) / 60e6, 1) AS minutes
FROM sessions
WHERE cost_by_currency['USD'] IS NOT NULL
ORDER BY usd DESC, session_id
LIMIT 10;
