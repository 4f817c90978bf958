-- [Reliability] Of a hundred requests, how many failed as a whole, and how many recovered?
--
-- service: The application.
-- requests: Traces with a span that has no parent.
-- failed: Those of which that span did not end well.
-- recovered: Those that ended well although a span inside of them did not.
-- failed_percent [%]: Failed of all requests.
--
-- Pitfalls: A guardrail that blocks a request (status blocked) counts as failed: it did not answer. Filter status for errors alone.
SELECT whole.service, whole.requests, coalesce(bad.failed, 0) AS failed, coalesce(bad.recovered, 0) AS recovered,
    round(100.0 * coalesce(bad.failed, 0) / whole.requests, 2) AS failed_percent
FROM (
    SELECT service, count(DISTINCT trace_id) AS requests FROM traces WHERE parent_span_id IS NULL GROUP BY service
) whole
LEFT JOIN (
    SELECT service, count(*) FILTER (WHERE root_failed) AS failed, count(*) FILTER (WHERE NOT root_failed) AS recovered
    FROM failed_traces GROUP BY service
) bad ON bad.service = whole.service
ORDER BY whole.service;
