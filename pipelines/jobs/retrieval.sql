-- Three kinds of rows: a query for documents, a document that it found, and an answer that may cite documents.
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
    1 AS queries,
    coalesce(CAST(array_length(retrieved) AS BIGINT), 0) AS documents,
    CASE WHEN coalesce(array_length(retrieved), 0) = 0 THEN 1 ELSE 0 END AS empty_queries,
    CAST(NULL AS DOUBLE) AS score,
    latency_ms AS latency,
    CAST(NULL AS BIGINT) AS answers, CAST(NULL AS BIGINT) AS answers_with_citations, CAST(NULL AS BIGINT) AS citations
FROM traces
WHERE operation = 'retrieval' OR array_length(retrieved) > 0
UNION ALL
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
    NULL, NULL, NULL, document['score'], NULL, NULL, NULL, NULL
FROM (SELECT *, unnest(retrieved) AS document FROM traces)
UNION ALL
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
    NULL, NULL, NULL, NULL, NULL,
    1,
    CASE WHEN array_length(citations) > 0 THEN 1 WHEN citations IS NOT NULL THEN 0 END,
    CAST(array_length(citations) AS BIGINT)
FROM traces
WHERE coalesce(operation, 'chat') IN ('chat', 'text_completion')
