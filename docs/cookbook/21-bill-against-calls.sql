-- [Cost] Does the provider's word agree with what applications say?
--
-- model: The model.
-- billed [USD]: What the provider says was spent.
-- said [USD]: What applications say they paid.
-- missing_percent [%]: The part of the bill that no call explains.
--
-- Pitfalls: Applications that do not report cost (see coverage) are on the bill all the same. Bills lag: leave out the last hours.
-- One currency at a time.
SELECT bill.model, bill.billed, coalesce(calls.said, 0) AS said,
    round(100 * (1 - CAST(coalesce(calls.said, 0) AS DOUBLE) / CAST(bill.billed AS DOUBLE)), 1) AS missing_percent
FROM (SELECT model, sum(amount) AS billed FROM costs WHERE currency = 'USD' AND source = 'usage' GROUP BY model) bill
LEFT JOIN (
    SELECT model, sum(cost) AS said FROM traces WHERE currency = 'USD' AND calls_model(operation) GROUP BY model
) calls ON calls.model = bill.model
ORDER BY bill.billed DESC, bill.model;
