-- [Quality] What do judges say of each prompt version?
--
-- prompt_id: The prompt of the answer that was judged.
-- prompt_version: Its version.
-- name: What was judged.
-- evaluator: Who judged.
-- scores: How many scores.
-- mean: Their mean.
-- passed_percent [%]: Those with the label pass.
--
-- Pitfalls: Judges see a sample. A toxicity of 0 is good, a relevance of 0 is not: never average over names.
SELECT t.prompt_id, t.prompt_version, e.name, e.evaluator, count(*) AS scores, round(avg(e.score), 3) AS mean,
    round(100.0 * count(*) FILTER (WHERE e.label = 'pass') / count(e.label), 1) AS passed_percent
FROM evaluations e
JOIN traces t ON t.trace_id = e.trace_id AND t.span_id = e.span_id
WHERE t.prompt_id IS NOT NULL AND e.name IN ('relevance', 'groundedness')
GROUP BY t.prompt_id, t.prompt_version, e.name, e.evaluator
ORDER BY t.prompt_id, t.prompt_version, e.name, e.evaluator;
