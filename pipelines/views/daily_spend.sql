-- What calls cost each day, and since the month began, in the configured time zone: one row for each day, application,
-- model and currency. A day of which a series has no calls has no row.
--
-- day_start: When the day begins.
-- day_end: When it ends; that instant is not in it.
-- service: The application.
-- environment: Where it runs.
-- provider: Who serves the model.
-- model: The model.
-- currency: What it was paid in; amounts of different currencies are never added. NULL: an amount and not of what.
-- requests: Calls of models.
-- requests_with_cost: Those of which the application says what they cost.
-- cost [currency]: What the application says it paid. NULL where it says nothing.
-- month_to_date_cost [currency]: The same with the earlier days of the month.
SELECT
    window_start AS day_start, window_end AS day_end, service, environment, provider, model, currency,
    requests, requests_with_cost, cost,
    sum(cost) OVER (
        PARTITION BY service, environment, provider, model, currency, window_start(window_start, '1 month')
        ORDER BY window_start
    ) AS month_to_date_cost
FROM measures('spend', '1 day', 'service', 'environment', 'provider', 'model', 'currency')
