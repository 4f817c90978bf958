-- [Product] Is the new version of a prompt better?
--
-- prompt_id: The prompt.
-- prompt_version: The version.
-- calls: Calls with it.
-- error_percent [%]: Ended with an error.
-- p95_ms [ms]: 95 of 100 took no longer.
-- thumbs: Thumbs that people gave.
-- thumbs_up_percent [%]: Those that were up.
-- usd_per_thousand [USD]: What a thousand calls cost. NULL where that is not known.
--
-- Pitfalls: With few thumbs the percentage moves a lot: at 100 thumbs by 10 points either way. Versions that ran at different times
-- met different questions.
SELECT prompt_id, prompt_version, calls, round(100 * error_rate, 2) AS error_percent, round(latency_p95_ms) AS p95_ms,
    thumbs_up + thumbs_down AS thumbs, round(100 * thumbs_up_ratio, 1) AS thumbs_up_percent,
    round(1000 * CAST(cost_by_currency['USD'] AS DOUBLE) / calls, 4) AS usd_per_thousand
FROM prompt_versions
ORDER BY prompt_id, prompt_version;
