-- Each feedback with the span that it is about, once: the one place where views join feedback to traces.
-- By span_id where the feedback names one, else by response_id, else the last span of the trace that called a model.
-- Feedback whose span is not in the lake is not here; it is in the table feedback.
--
-- event_id: The feedback's own id.
-- event_time: When it was given or happened.
-- trace_id: The trace of the span.
-- span_id: The span.
-- session_id: The conversation or visit of the span.
-- user_id: Who gave it, as the application names them.
-- service: The application that answered.
-- environment: Where that runs.
-- task: What the call was for.
-- provider: Who served the model.
-- model: The model that answered.
-- prompt_id: The prompt template of the span.
-- prompt_version: Its version.
-- kind: What is said or was done, as in feedback.
-- value: How much, as in feedback.
-- text: The comment, or the answer as it should have been.
SELECT DISTINCT
    f.event_id, f.event_time, s.trace_id, s.span_id, s.session_id, f.user_id, s.service, s.environment, s.task,
    s.provider, s.model, s.prompt_id, s.prompt_version, f.kind, f.value, f.text
FROM feedback f
JOIN traces s ON s.trace_id = f.trace_id AND s.span_id = f.span_id
UNION ALL
SELECT DISTINCT
    f.event_id, f.event_time, s.trace_id, s.span_id, s.session_id, f.user_id, s.service, s.environment, s.task,
    s.provider, s.model, s.prompt_id, s.prompt_version, f.kind, f.value, f.text
FROM feedback f
JOIN traces s ON s.response_id = f.response_id
WHERE (f.span_id IS NULL OR f.trace_id IS NULL) AND (f.trace_id IS NULL OR f.trace_id = s.trace_id)
UNION ALL
SELECT DISTINCT
    f.event_id, f.event_time, s.trace_id, s.span_id, s.session_id, f.user_id, s.service, s.environment, s.task,
    s.provider, s.model, s.prompt_id, s.prompt_version, f.kind, f.value, f.text
FROM feedback f
JOIN (
    SELECT trace_id, last_value(span_id ORDER BY calls_model(operation), event_time, span_id) AS span_id
    FROM traces
    WHERE trace_id IN (SELECT trace_id FROM feedback WHERE span_id IS NULL AND response_id IS NULL)
    GROUP BY trace_id
) answer ON answer.trace_id = f.trace_id
JOIN traces s ON s.trace_id = answer.trace_id AND s.span_id = answer.span_id
WHERE f.span_id IS NULL AND f.response_id IS NULL
