-- What each step of chains and agents takes of their traces on each day, in the configured time zone: its share of their
-- time, cost and failures. Shares are of all steps of an application's agent on that day.
--
-- day_start: When the day begins.
-- day_end: When it ends; that instant is not in it.
-- service: The application, as the trace's root says.
-- environment: Where it runs.
-- agent_name: The agent, as the root says.
-- operation: The kind of step.
-- step: The tool, or what the application calls the step.
-- currency: What its calls were paid in. NULL where they cost nothing that is known.
-- spans: How often it was taken.
-- own_time_ms [ms]: Time that no step below it took.
-- cost [currency]: What the application says it paid for it.
-- failures: How often it did not end with the status ok.
-- time_share [ratio]: Its part of the time of all steps.
-- cost_share [ratio]: Its part of what all steps cost in that currency.
-- failure_share [ratio]: Its part of the failures of all steps. NULL where none failed.
SELECT
    window_start AS day_start, window_end AS day_end, service, environment, agent_name, operation, step, currency,
    spans, own_us / 1000.0 AS own_time_ms, cost, failures,
    own_us / CAST(nullif(sum(own_us) OVER agent, 0) AS DOUBLE) AS time_share,
    CAST(cost AS DOUBLE) / CAST(nullif(sum(cost) OVER paid, 0) AS DOUBLE) AS cost_share,
    failures / CAST(nullif(sum(failures) OVER agent, 0) AS DOUBLE) AS failure_share
FROM measures('steps', '1 day', 'service', 'environment', 'agent_name', 'operation', 'step', 'currency')
WINDOW
    agent AS (PARTITION BY window_start, service, environment, agent_name),
    paid AS (PARTITION BY window_start, service, environment, agent_name, currency)
