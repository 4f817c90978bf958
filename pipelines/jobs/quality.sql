-- Answers, what people and their behaviour said of them, and what judges said. All three are counted in the window and in
-- the segment of the answer, however late they come.
-- An answer is a call that writes text: chat, text_completion, or an operation that does not say what it is.
WITH answers AS (
    SELECT event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
        -- The application's own scores: a hallucination where it says so, or where the answer is not grounded.
        CASE WHEN scores['hallucination'] IS NOT NULL THEN scores['hallucination'] > 0.5
             WHEN scores['groundedness'] IS NOT NULL THEN scores['groundedness'] < 0.5
             WHEN scores['faithfulness'] IS NOT NULL THEN scores['faithfulness'] < 0.5 END AS is_hallucination,
        scores['relevance'] AS relevance
    FROM traces
    WHERE coalesce(operation, 'chat') IN ('chat', 'text_completion')
), verdicts AS (
    SELECT event_time, service, environment, provider, model, prompt_id, prompt_version, task, trace_tags AS tags,
        CASE WHEN lower(name) = 'hallucination' THEN
                 CASE WHEN lower(label) IN ('pass', 'no', 'false', 'factual', 'grounded') THEN false
                      WHEN lower(label) IN ('fail', 'yes', 'true', 'hallucinated', 'hallucination') THEN true
                      ELSE score > 0.5 END
             WHEN lower(name) IN ('groundedness', 'faithfulness') THEN
                 CASE WHEN lower(label) IN ('pass', 'yes', 'true', 'grounded', 'faithful') THEN false
                      WHEN lower(label) IN ('fail', 'no', 'false', 'ungrounded', 'unfaithful') THEN true
                      ELSE score < 0.5 END END AS is_hallucination,
        CASE WHEN lower(name) IN ('relevance', 'answer_relevance') THEN score END AS relevance
    FROM evaluations_joined
)
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
    1 AS requests,
    CAST(NULL AS BIGINT) AS feedback,
    CAST(NULL AS BIGINT) AS ratings, CAST(NULL AS DECIMAL(38, 6)) AS rating_total,
    CAST(NULL AS BIGINT) AS thumbs_up, CAST(NULL AS BIGINT) AS thumbs_down,
    CAST(NULL AS BIGINT) AS comments, CAST(NULL AS BIGINT) AS corrections,
    CAST(NULL AS BIGINT) AS copies, CAST(NULL AS BIGINT) AS copy_reports,
    CAST(NULL AS BIGINT) AS follow_ups, CAST(NULL AS BIGINT) AS follow_up_reports,
    CAST(NULL AS BIGINT) AS abandonments, CAST(NULL AS BIGINT) AS abandonment_reports,
    CAST(NULL AS DOUBLE) AS dwell,
    CAST(NULL AS BIGINT) AS tasks_completed, CAST(NULL AS BIGINT) AS task_reports,
    CAST(NULL AS BIGINT) AS conversions, CAST(NULL AS BIGINT) AS conversion_reports,
    CAST(NULL AS BIGINT) AS evaluations,
    CASE WHEN is_hallucination IS NOT NULL THEN 1 END AS judged_for_hallucination,
    CASE WHEN is_hallucination THEN 1 WHEN is_hallucination IS NOT NULL THEN 0 END AS hallucinations,
    CASE WHEN abs(relevance) < 1e9 THEN 1 END AS judged_for_relevance,
    CASE WHEN abs(relevance) < 1e9 THEN CAST(relevance AS DECIMAL(38, 6)) END AS relevance_total
FROM answers
UNION ALL
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, trace_tags AS tags,
    NULL,
    1,
    CASE WHEN kind = 'rating' AND abs(value) < 1e9 THEN 1 END, CASE WHEN kind = 'rating' AND abs(value) < 1e9 THEN CAST(value AS DECIMAL(38, 6)) END,
    CASE WHEN kind = 'thumbs' THEN CASE WHEN value > 0 THEN 1 ELSE 0 END END, CASE WHEN kind = 'thumbs' THEN CASE WHEN value < 0 THEN 1 ELSE 0 END END,
    CASE WHEN kind = 'comment' THEN 1 END, CASE WHEN kind = 'correction' THEN 1 END,
    -- Behaviour is told by its event alone, or with a value that says whether it came to pass.
    CASE WHEN kind = 'copy' THEN CASE WHEN coalesce(value, 1) > 0 THEN 1 ELSE 0 END END, CASE WHEN kind = 'copy' THEN 1 END,
    CASE WHEN kind = 'follow_up' THEN CASE WHEN coalesce(value, 1) > 0 THEN 1 ELSE 0 END END, CASE WHEN kind = 'follow_up' THEN 1 END,
    CASE WHEN kind = 'abandonment' THEN CASE WHEN coalesce(value, 1) > 0 THEN 1 ELSE 0 END END, CASE WHEN kind = 'abandonment' THEN 1 END,
    CASE WHEN kind = 'dwell_ms' THEN value END,
    CASE WHEN kind = 'task_completed' THEN CASE WHEN coalesce(value, 1) > 0 THEN 1 ELSE 0 END END, CASE WHEN kind = 'task_completed' THEN 1 END,
    CASE WHEN kind = 'conversion' THEN CASE WHEN coalesce(value, 1) > 0 THEN 1 ELSE 0 END END, CASE WHEN kind = 'conversion' THEN 1 END,
    NULL, NULL, NULL, NULL, NULL
FROM feedback_joined
UNION ALL
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    1,
    CASE WHEN is_hallucination IS NOT NULL THEN 1 END,
    CASE WHEN is_hallucination THEN 1 WHEN is_hallucination IS NOT NULL THEN 0 END,
    CASE WHEN abs(relevance) < 1e9 THEN 1 END,
    CASE WHEN abs(relevance) < 1e9 THEN CAST(relevance AS DECIMAL(38, 6)) END
FROM verdicts
