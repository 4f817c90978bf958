-- [Product] How long are conversations, and where do they end badly?
--
-- service: The application.
-- turn: The place in the conversation: 1 is the first.
-- turns: Turns at that place.
-- failed_percent [%]: Those that did not end well.
-- thumbs_down_percent [%]: Thumbs down of all thumbs at that place. NULL where nobody gave any.
--
-- Pitfalls: Later turns are of people who stayed, so they look better. The place is counted within the range that is read: read
-- whole conversations.
SELECT service, turn, count(*) AS turns, round(100.0 * count(*) FILTER (WHERE status <> 'ok') / count(*), 1) AS failed_percent,
    round(100.0 * count(*) FILTER (WHERE thumbs < 0) / nullif(count(thumbs), 0), 1) AS thumbs_down_percent
FROM (
    SELECT service, status, thumbs, row_number() OVER (PARTITION BY session_id ORDER BY event_time, trace_id) AS turn
    FROM conversations
) counted
WHERE turn <= 4
GROUP BY service, turn
ORDER BY service, turn;
