-- One row for each answer that was chosen among candidates of several models.
WITH answers AS (
    SELECT event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
        array_length(candidates) AS candidates,
        candidate_agreement(candidates) AS agreement,
        candidate_consensus(candidates, output) AS consensus,
        -- The application says by a tag that a person is to look.
        CASE WHEN tags['review'] IS NOT NULL THEN lower(tags['review']) IN ('true', 'yes', '1') END AS is_reviewed
    FROM traces
    WHERE array_length(candidates) > 0
)
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
    1 AS answers,
    CAST(candidates AS BIGINT) AS candidates,
    agreement AS agreements,
    CASE WHEN agreement IS NOT NULL THEN 1 END AS compared_answers,
    CAST(agreement AS DECIMAL(38, 9)) AS agreement_total,
    CASE WHEN consensus IS NOT NULL THEN 1 END AS answers_with_consensus,
    CAST(consensus AS DECIMAL(38, 9)) AS consensus_total,
    CASE WHEN consensus < 0.5 THEN 1 WHEN consensus IS NOT NULL THEN 0 END AS low_consensus,
    CASE WHEN is_reviewed THEN 1 WHEN is_reviewed IS NOT NULL THEN 0 END AS reviews,
    CASE WHEN is_reviewed IS NOT NULL THEN 1 END AS answers_with_review
FROM answers
