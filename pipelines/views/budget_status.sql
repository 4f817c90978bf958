-- What each budget has come to in its open period, as it was last told to gateways: one row for each budget and scope. Usage is as
-- of then, which is within one per cent of the limit of what it is; `farol budget list` reads it anew.
--
-- budget: Its name.
-- scope: What it is about, as a JSON object: columns and their values, tags below `tags`.
-- period: daily, weekly, monthly or rolling.
-- period_start: When the open period begins.
-- period_end: When it ends; that instant is not in it.
-- time_zone: Whose calendar.
-- currency: What limit and usage are in; amounts of other currencies are not counted.
-- limit [currency]: What may be spent in the period, with what rolled over.
-- used [currency]: What was spent.
-- used_percent [%]: Its part of the limit, rounded down.
-- status: ok, warning (a threshold is crossed), exhausted (the limit is spent), or removed (the budget is no more).
-- enforce: What gateways do: none, switch_to_cheaper_model or block_requests.
-- as_of: How far event time was when that was told.
SELECT
    rule AS budget, segment AS scope,
    regexp_match(body, '"period":"([a-z]+)","period_end":"')[1] AS period,
    window_start AS period_start, window_end AS period_end,
    said[2] AS time_zone,
    regexp_match(body, '"currency":"([A-Z]{3})","enforce":"')[1] AS currency,
    CAST(regexp_match(body, '"limit":"([-0-9.]+)","period":"')[1] AS DECIMAL(38, 12)) AS "limit",
    CAST(said[3] AS DECIMAL(38, 12)) AS used,
    CAST(said[4] AS DOUBLE) AS used_percent,
    said[1] AS status,
    regexp_match(body, '"enforce":"([a-z_]+)","limit":"')[1] AS enforce,
    arrow_cast(regexp_match(body, '"payload":\{"as_of":"([-0-9T:.Z]+)"')[1], 'Timestamp(Microsecond, Some("UTC"))') AS as_of
FROM (
    SELECT rule, segment, window_start, window_end, body,
        regexp_match(
            body,
            '"status":"([a-z]+)","thresholds":\[[^]]*\],"time_zone":"([^"]+)","type":"state","used":"([-0-9.]+)","used_percent":([-0-9.e]+)'
        ) AS said,
        row_number() OVER (PARTITION BY rule, segment ORDER BY sequence DESC) AS age
    FROM actions
    WHERE kind = 'budget' AND body LIKE '%"type":"state","used":"%'
)
WHERE age = 1
