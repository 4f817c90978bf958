-- One row for each call of a model. `cost` is what the application says it paid; amounts of different currencies are never
-- added, because the currency is a segment.
-- A chain or an agent repeats the tokens and the cost of its steps. They are not counted twice: what such spans say is kept
-- apart as `repeated_*`, so that it can be seen where it is all there is.
WITH calls AS (
    SELECT *,
        calls_model(operation) AS is_model_call,
        cache IN ('exact', 'semantic') AS is_hit
    FROM traces
)
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags, currency,
    CASE WHEN is_model_call THEN 1 END AS requests,
    CASE WHEN is_model_call THEN cost END AS cost,
    CASE WHEN is_model_call THEN CASE WHEN cost IS NOT NULL THEN 1 ELSE 0 END END AS requests_with_cost,
    CASE WHEN is_model_call THEN input_tokens END AS input_tokens,
    CASE WHEN is_model_call THEN output_tokens END AS output_tokens,
    CASE WHEN is_model_call THEN cache_read_tokens END AS cache_read_tokens,
    CASE WHEN is_model_call THEN cache_write_tokens END AS cache_write_tokens,
    CASE WHEN is_model_call THEN reasoning_tokens END AS reasoning_tokens,
    -- Tokens of the calls whose cost is known.
    CASE WHEN is_model_call AND cost IS NOT NULL AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
         THEN coalesce(input_tokens, 0) + coalesce(output_tokens, 0) END AS priced_tokens,
    CASE WHEN is_model_call AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL) THEN cost END AS cost_of_tokens,
    -- The application's own cache: NULL where nothing says whether it was asked.
    CASE WHEN is_model_call AND cache IS NOT NULL THEN 1 END AS cache_lookups,
    CASE WHEN is_model_call AND is_hit THEN 1 WHEN is_model_call AND cache IS NOT NULL THEN 0 END AS cache_hits,
    CASE WHEN is_model_call AND coalesce(is_hit, false) = false THEN cost END AS uncached_cost,
    CASE WHEN is_model_call AND coalesce(is_hit, false) = false AND cost IS NOT NULL THEN 1 END AS uncached_requests_with_cost,
    CASE WHEN NOT is_model_call THEN cost END AS repeated_cost,
    CASE WHEN NOT is_model_call AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
         THEN coalesce(input_tokens, 0) + coalesce(output_tokens, 0) END AS repeated_tokens
FROM calls
WHERE is_model_call OR cost IS NOT NULL OR input_tokens IS NOT NULL OR output_tokens IS NOT NULL
