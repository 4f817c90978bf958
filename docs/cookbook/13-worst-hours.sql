-- [Reliability] When was it worst?
--
-- hour: When the hour begins, UTC.
-- service: The application.
-- requests: Operations.
-- error_percent [%]: Ended with an error.
--
-- Pitfalls: Hours with few requests have extreme rates: HAVING a least number keeps them out. What happened then is in failed_traces
-- with the same range of event_time.
SELECT window_start AS hour, service, requests, round(100 * error_rate, 1) AS error_percent
FROM measures('performance', '1 hour', 'service')
WHERE requests >= 50
ORDER BY error_rate DESC, hour, service
LIMIT 8;
