-- [Traffic] How many people use each application a day, and how much?
--
-- day: The day, UTC.
-- service: The application.
-- users: About how many people (within 2 %).
-- sessions: About how many conversations or visits.
-- requests_per_user: Operations for each person.
--
-- Pitfalls: Calls without a user_id are in requests but are no users. A sketch counts users; count(DISTINCT user_id) over
-- traces is exact and reads every row.
SELECT window_start AS day, service, distinct_users AS users, distinct_sessions AS sessions,
    round(requests / CAST(distinct_users AS DOUBLE), 1) AS requests_per_user
FROM measures('performance', '1 day', 'service')
ORDER BY day, service;
