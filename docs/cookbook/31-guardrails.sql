-- [Safety] What do guardrails do, and how often?
--
-- service: The application.
-- guardrail: The guardrail.
-- action: What it did.
-- verdicts: How often.
-- percent [%]: Its part of all the guardrail's verdicts there.
-- mean_score: How sure it was.
--
-- Pitfalls: Only calls that report verdicts are here: an application without guardrails has no rows, which does not mean that nothing
-- happens there.
SELECT service, verdict['name'] AS guardrail, verdict['action'] AS action, count(*) AS verdicts,
    round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY service, verdict['name']), 2) AS percent,
    round(avg(verdict['score']), 3) AS mean_score
FROM (SELECT service, unnest(guardrails) AS verdict FROM traces) verdicts
GROUP BY service, verdict['name'], verdict['action']
ORDER BY service, guardrail, action;
