-- [Traffic] Which were the busiest minutes of each application?
--
-- service: The application.
-- minute: When the minute begins, UTC.
-- requests: Operations that ended in it.
--
-- Pitfalls: This is when calls ended, not when they began: a minute in which slow calls pile up shows as the one after it.
SELECT service, minute, requests
FROM (
    SELECT service, window_start AS minute, requests,
        row_number() OVER (PARTITION BY service ORDER BY requests DESC, window_start) AS place
    FROM measures('performance', '1 minute', 'service')
) ranked
WHERE place <= 2
ORDER BY service, requests DESC, minute;
