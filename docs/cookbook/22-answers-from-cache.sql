-- [Cost] How much of the work does our own cache of answers do?
--
-- service: The application.
-- cacheable: Calls that asked the cache first.
-- exact: Answered because the very same was asked before.
-- semantic: Answered because something close was asked before.
-- hit_percent [%]: Both, of all that asked.
-- saved_tokens [tokens]: Tokens that those calls would have taken.
--
-- Pitfalls: A call without the field `cache` did not ask one, and is not in the divisor. Hits report the tokens that were saved: sum
-- tokens of calls with cache = 'none' or NULL where it is about what a provider was paid for.
SELECT service, count(*) AS cacheable, count(*) FILTER (WHERE cache = 'exact') AS exact,
    count(*) FILTER (WHERE cache = 'semantic') AS semantic,
    round(100.0 * count(*) FILTER (WHERE cache IN ('exact', 'semantic')) / count(*), 2) AS hit_percent,
    sum(input_tokens + output_tokens) FILTER (WHERE cache IN ('exact', 'semantic')) AS saved_tokens
FROM traces
WHERE cache IS NOT NULL
GROUP BY service
ORDER BY service;
