-- [Cost] What does a call cost, by application, prompt and model?
--
-- service: The application.
-- prompt_id: The prompt. NULL: calls without one, such as embeddings.
-- model: The model.
-- currency: What it was paid in.
-- requests: Calls whose cost is known.
-- cost [currency]: All of them together.
-- cost_per_thousand [currency]: A thousand of them.
--
-- Pitfalls: The mean is of calls whose cost is known. Long conversations cost more for each turn: compare within one prompt.
SELECT service, prompt_id, model, currency, requests_with_cost AS requests, cost,
    round(1000 * cost_per_request, 4) AS cost_per_thousand
FROM measures('spend', '2 days', 'service', 'prompt_id', 'model', 'currency')
WHERE cost > 0
ORDER BY cost DESC, service, prompt_id, model
LIMIT 12;
