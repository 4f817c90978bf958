-- [Performance] Which models answer fastest?
--
-- provider: Who serves the model.
-- model: The model that answered.
-- requests: Calls.
-- p50_ms [ms]: Half of them took no longer.
-- p95_ms [ms]: 95 of 100 took no longer.
-- first_token_p50_ms [ms]: Half of the streamed calls began to answer no later. NULL where none is streamed.
-- tokens_per_second [tokens/s]: Tokens written per second of generation.
--
-- Pitfalls: Quantiles are within 1 %. They can be merged (as here, over days) but never averaged. Models that get longer prompts
-- are not slower for it: compare within one task.
SELECT provider, model, requests, round(latency_p50_ms) AS p50_ms, round(latency_p95_ms) AS p95_ms,
    round(time_to_first_token_p50_ms) AS first_token_p50_ms, round(tokens_per_second, 1) AS tokens_per_second
FROM measures('performance', '2 days', 'provider', 'model')
WHERE model IS NOT NULL AND tokens_per_second IS NOT NULL
ORDER BY p50_ms, model;
