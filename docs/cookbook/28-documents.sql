-- [Quality] Which documents are found, and which of them help?
--
-- document: The document's id.
-- found: How often a search gave it.
-- mean_score: How well it matched.
-- first: How often it was the best match.
-- cited: How often an answer cited it.
--
-- Pitfalls: A citation need not be of the same trace's search. A document that is found and never cited may be noise, or merely
-- short of what the answer needed.
SELECT f.document, f.found, f.mean_score, f.first, coalesce(c.cited, 0) AS cited
FROM (
    SELECT document['id'] AS document, count(*) AS found, round(avg(document['score']), 3) AS mean_score,
        count(*) FILTER (WHERE document['id'] = best) AS first
    FROM (SELECT unnest(retrieved) AS document, retrieved[1]['id'] AS best FROM traces WHERE operation = 'retrieval') searches
    GROUP BY document['id']
) f
LEFT JOIN (
    SELECT document, count(*) AS cited
    FROM (SELECT unnest(citations) AS document FROM traces WHERE operation = 'chat') answers
    GROUP BY document
) c ON c.document = f.document
ORDER BY f.found DESC, f.document;
