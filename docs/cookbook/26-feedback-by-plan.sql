-- [Product] Are paying customers happier?
--
-- plan: The tag `plan`.
-- kind: What was said or done.
-- events: How many of that kind.
-- mean: The mean value: of thumbs from -1 to 1, of ratings from 1 to 5.
--
-- Pitfalls: Different kinds are different scales. Who gives feedback is not who uses it: compare plans within one kind.
SELECT tags['plan'] AS plan, kind, count(*) AS events, round(avg(value), 2) AS mean
FROM feedback
WHERE kind IN ('thumbs', 'rating')
GROUP BY tags['plan'], kind
ORDER BY kind, plan;
