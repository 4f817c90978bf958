-- [Cost] Which team spends how much?
--
-- team: The tag `team` of the calls.
-- currency: What it was paid in.
-- calls: Calls whose cost is known.
-- cost [currency]: What they cost.
-- percent [%]: Their part of all that was paid in that currency.
--
-- Pitfalls: Calls without the tag are a row of their own (NULL). Only spans that call a model count: a chain or an agent often repeats
-- what its calls paid.
SELECT tags['team'] AS team, currency, count(*) AS calls, sum(cost) AS cost,
    round(100 * CAST(sum(cost) AS DOUBLE) / sum(CAST(sum(cost) AS DOUBLE)) OVER (PARTITION BY currency), 1) AS percent
FROM traces
WHERE cost IS NOT NULL AND calls_model(operation)
GROUP BY tags['team'], currency
ORDER BY currency, cost DESC, team;
