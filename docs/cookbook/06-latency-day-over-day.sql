-- [Performance] Did an application become slower than the day before?
--
-- day: The day, UTC.
-- service: The application.
-- p95_ms [ms]: 95 of 100 operations took no longer.
-- before_ms [ms]: The same of the day before. NULL on the first day.
-- change_percent [%]: How much more that is; negative where it is less.
--
-- Pitfalls: Sketches are within 1 %, so a change below 2 % says nothing. More retrievals or tools among the operations move the
-- quantile too: add the segment task where that may be it.
SELECT day, service, round(p95_ms) AS p95_ms, round(before_ms) AS before_ms,
    round(100 * (p95_ms / before_ms - 1), 1) AS change_percent
FROM (
    SELECT window_start AS day, service, latency_p95_ms AS p95_ms,
        lag(latency_p95_ms) OVER (PARTITION BY service ORDER BY window_start) AS before_ms
    FROM measures('performance', '1 day', 'service')
) days
ORDER BY day, service;
