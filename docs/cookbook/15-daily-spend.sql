-- [Cost] What did we spend each day, and how much since the beginning?
--
-- day: The day, UTC.
-- currency: What it was paid in.
-- cost [currency]: What applications say they paid.
-- to_date [currency]: The same with all days before.
--
-- Pitfalls: Amounts of different currencies are different rows, never a sum. NULL currency: the application said an amount and not
-- of what. Calls whose cost nobody said are not in it: see the query about coverage.
SELECT window_start AS day, currency, cost, sum(cost) OVER (PARTITION BY currency ORDER BY window_start) AS to_date
FROM measures('spend', '1 day', 'currency')
WHERE cost IS NOT NULL
ORDER BY currency, day;
