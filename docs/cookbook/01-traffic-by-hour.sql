-- [Traffic] How many calls does each application make, hour by hour?
--
-- hour: When the hour begins, UTC.
-- service: The application.
-- requests: Operations that ended in the hour: model calls, and retrievals, tools and chains around them.
-- users: About how many people there were.
--
-- Pitfalls: Users of several hours must not be added up: one who comes in each hour counts in each. For a day ask for windows
-- of '1 day'. An hour without calls has no row.
SELECT window_start AS hour, service, requests, distinct_users AS users
FROM measures('performance', '1 hour', 'service')
WHERE window_start >= '2026-01-05T09:00:00Z' AND window_start < '2026-01-05T15:00:00Z'
ORDER BY hour, service;
