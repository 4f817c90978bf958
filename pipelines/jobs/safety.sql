-- One row for each verdict of a guardrail, and for each evaluation that is about safety, by the guardrail's name.
-- What nothing reports is NULL: no verdict is not the same as nothing found.
WITH verdicts AS (
    SELECT event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags,
        verdict['name'] AS guardrail, verdict['action'] AS action, verdict['score'] AS score
    FROM (SELECT *, unnest(guardrails) AS verdict FROM traces)
), found AS (
    SELECT event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags, guardrail, action,
        -- A guardrail that does more than allow has found something; one that says no action is taken by its score.
        CASE WHEN action IS NOT NULL THEN action <> 'allow' ELSE score > 0.5 END AS is_flagged
    FROM verdicts
    UNION ALL
    SELECT event_time, service, environment, provider, model, prompt_id, prompt_version, task, trace_tags AS tags, name, NULL,
        CASE WHEN lower(label) IN ('pass', 'no', 'false', 'safe') THEN false
             WHEN lower(label) IN ('fail', 'yes', 'true', 'unsafe') THEN true
             ELSE score > 0.5 END
    FROM evaluations_joined
    WHERE lower(name) LIKE '%toxic%' OR lower(name) LIKE '%pii%' OR lower(name) LIKE '%jailbreak%' OR lower(name) LIKE '%injection%'
)
SELECT
    event_time, service, environment, provider, model, prompt_id, prompt_version, task, tags, guardrail,
    1 AS checks,
    CASE WHEN is_flagged THEN 1 WHEN is_flagged IS NOT NULL THEN 0 END AS flags,
    CASE WHEN is_flagged IS NOT NULL THEN 1 END AS checks_with_verdict,
    CASE WHEN action = 'block' THEN 1 WHEN action IS NOT NULL THEN 0 END AS blocks,
    CASE WHEN action IS NOT NULL THEN 1 END AS checks_with_action,
    CASE WHEN action = 'redact' THEN 1 WHEN action IS NOT NULL THEN 0 END AS redactions,
    CASE WHEN lower(guardrail) LIKE '%pii%' AND is_flagged IS NOT NULL THEN 1 END AS pii_checks,
    CASE WHEN lower(guardrail) LIKE '%pii%' THEN CASE WHEN is_flagged THEN 1 WHEN is_flagged IS NOT NULL THEN 0 END END AS pii_detected,
    CASE WHEN lower(guardrail) LIKE '%toxic%' AND is_flagged IS NOT NULL THEN 1 END AS toxicity_checks,
    CASE WHEN lower(guardrail) LIKE '%toxic%' THEN CASE WHEN is_flagged THEN 1 WHEN is_flagged IS NOT NULL THEN 0 END END AS toxicity_flagged,
    CASE WHEN (lower(guardrail) LIKE '%jailbreak%' OR lower(guardrail) LIKE '%injection%') AND is_flagged IS NOT NULL THEN 1 END AS jailbreak_checks,
    CASE WHEN lower(guardrail) LIKE '%jailbreak%' OR lower(guardrail) LIKE '%injection%'
         THEN CASE WHEN is_flagged THEN 1 WHEN is_flagged IS NOT NULL THEN 0 END END AS jailbreak_attempts
FROM found
