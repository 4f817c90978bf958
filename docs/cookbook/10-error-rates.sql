-- [Reliability] How often does each application fail, and how?
--
-- day: The day, UTC.
-- service: The application.
-- requests: Operations.
-- error_percent [%]: Ended with an error.
-- timeout_percent [%]: Timed out.
-- rate_limit_percent [%]: Were turned away by the provider.
--
-- Pitfalls: The divisor is all operations, so that an application with many small steps looks better than it feels: the next
-- query counts whole requests.
SELECT window_start AS day, service, requests, round(100 * error_rate, 2) AS error_percent,
    round(100 * timeout_rate, 2) AS timeout_percent, round(100 * rate_limit_rate, 2) AS rate_limit_percent
FROM measures('performance', '1 day', 'service')
ORDER BY day, service;
