-- One row for each answer that cites: how many of the documents that it cites were retrieved in its trace. Answer and
-- retrieval are often different spans, so the trace is looked at as a whole.
WITH found AS (
    SELECT DISTINCT trace_id, document['id'] AS document_id
    FROM (SELECT trace_id, unnest(retrieved) AS document FROM traces)
    WHERE trace_id IS NOT NULL
), cited AS (
    SELECT trace_id, span_id, kafka_topic, kafka_partition, kafka_offset, kafka_entry, event_time,
        service, environment, provider, model, prompt_id, prompt_version, task, tags, unnest(citations) AS document_id
    FROM traces
    WHERE trace_id IS NOT NULL
)
SELECT
    cited.event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
    1 AS citations,
    CASE WHEN found.document_id IS NOT NULL THEN 1 ELSE 0 END AS retrieved_citations
FROM cited LEFT JOIN found ON cited.trace_id = found.trace_id AND cited.document_id = found.document_id
