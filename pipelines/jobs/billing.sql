-- One row for each line of cost: spend that is tied to no call, or the provider's own word on it. It is kept apart from
-- what calls say of themselves (spend), because both may speak of the same money.
SELECT
    event_time, service, environment, provider, model, source, unit, currency, tags,
    1 AS lines,
    amount,
    CASE WHEN source = 'usage' THEN amount END AS usage_amount,
    CASE WHEN source = 'invoice' THEN amount END AS invoice_amount,
    CASE WHEN source = 'adjustment' THEN amount END AS adjustment_amount,
    quantity
FROM costs
