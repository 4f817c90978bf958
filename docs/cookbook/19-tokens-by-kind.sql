-- [Cost] What kinds of tokens do we pay for?
--
-- model: The model.
-- input_tokens [tokens]: Read, cached ones included.
-- cached_percent [%]: Of those, served by the provider's cache, which is cheaper.
-- output_tokens [tokens]: Written.
-- reasoning_percent [%]: Of those, spent on reasoning that nobody reads.
-- out_per_in [ratio]: Tokens written for each that was read.
--
-- Pitfalls: A model that does not report cached or reasoning tokens has NULL there, which is not 0.
SELECT model, input_tokens, round(100.0 * cache_read_tokens / nullif(input_tokens, 0), 1) AS cached_percent, output_tokens,
    round(100.0 * reasoning_tokens / nullif(output_tokens, 0), 1) AS reasoning_percent,
    round(output_tokens / CAST(nullif(input_tokens, 0) AS DOUBLE), 3) AS out_per_in
FROM (
    SELECT model, sum(input_tokens) AS input_tokens, sum(cache_read_tokens) AS cache_read_tokens,
        sum(output_tokens) AS output_tokens, sum(reasoning_tokens) AS reasoning_tokens
    FROM traces
    WHERE calls_model(operation) AND model IS NOT NULL
    GROUP BY model
) tokens
ORDER BY input_tokens DESC NULLS LAST, model;
