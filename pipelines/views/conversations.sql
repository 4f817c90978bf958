-- One row a turn of a conversation: what was asked and answered, and what was said about it. A turn is a span without a
-- parent that has a session_id. Read one in order with WHERE session_id = '…' ORDER BY event_time.
--
-- session_id: The conversation.
-- event_time: When the turn ended.
-- start_time: When it began.
-- trace_id: The turn's trace.
-- user_id: The person or account.
-- service: The application.
-- environment: Where it runs.
-- task: What the turn was for.
-- input: What was asked, as the span without a parent has it.
-- output: What was answered. NULL where it failed, or where that span does not hold it.
-- status: How it ended.
-- latency_ms [ms]: How long it took.
-- thumbs: The last thumbs on the trace: 1 up, -1 down.
-- rating: The last rating of the trace, 1 to 5.
-- comments: Comments on the trace, oldest first, a line each.
-- corrections: The answer as it should have been; several are a line each.
-- feedback: How many feedback events the trace has, of any kind. NULL where it has none, or none was joined with it yet.
SELECT
    turn.session_id, turn.event_time, turn.start_time, turn.trace_id, turn.user_id, turn.service, turn.environment,
    turn.task, turn.input, turn.output, turn.status, turn.latency_ms,
    said.thumbs, said.rating, said.comments, said.corrections, said.feedback
FROM traces turn
LEFT JOIN (
    SELECT
        trace_id,
        last_value(value ORDER BY feedback_time) FILTER (WHERE kind = 'thumbs') AS thumbs,
        last_value(value ORDER BY feedback_time) FILTER (WHERE kind = 'rating') AS rating,
        string_agg(text, chr(10) ORDER BY feedback_time) FILTER (WHERE kind = 'comment') AS comments,
        string_agg(text, chr(10) ORDER BY feedback_time) FILTER (WHERE kind = 'correction') AS corrections,
        count(*) AS feedback
    FROM feedback_joined
    GROUP BY trace_id
) said ON said.trace_id = turn.trace_id
WHERE turn.parent_span_id IS NULL AND turn.session_id IS NOT NULL
