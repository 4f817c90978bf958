-- [Traffic] How many of the people of one day come back on the next?
--
-- service: The application.
-- users: People who used it on the first day.
-- returned: Those of them who used it on the second.
-- return_rate [ratio]: The part that came back.
--
-- Pitfalls: Days are UTC. Without a user_id nobody can be told to have come back. The same person under two ids is two.
SELECT first.service, count(*) AS users, count(second.user_id) AS returned,
    round(count(second.user_id) / CAST(count(*) AS DOUBLE), 3) AS return_rate
FROM (SELECT DISTINCT service, user_id FROM traces WHERE event_date = '2026-01-05' AND user_id IS NOT NULL) first
LEFT JOIN (SELECT DISTINCT service, user_id FROM traces WHERE event_date = '2026-01-06' AND user_id IS NOT NULL) second
    ON second.service = first.service AND second.user_id = first.user_id
GROUP BY first.service
ORDER BY first.service;
