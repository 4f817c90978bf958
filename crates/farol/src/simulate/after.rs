//! What follows an answer: feedback minutes later, and evaluations of a sample.

use super::{
    catalog::Scenario,
    dice::Dice,
    event::{Evaluation, Feedback, Time},
    scene::{Answered, round},
    text,
};

/// The feedback on an answer, if somebody gives any.
pub fn feedback(dice: &mut Dice, answered: &Answered) -> Option<Feedback> {
    // What disappoints is commented on more.
    let probability = answered.service.feedback * if answered.good { 1.0 } else { 1.6 };
    if !dice.chance(probability) {
        return None;
    }
    let good = answered.good != dice.chance(0.1);
    let (kind, value, words): (_, Option<f64>, Option<&str>) = match dice.whole(0, 100) {
        0..45 => ("thumbs", Some(if good { 1.0 } else { -1.0 }), None),
        45..57 => (
            "rating",
            Some(if good {
                dice.whole(4, 6)
            } else {
                dice.whole(1, 4)
            } as f64),
            None,
        ),
        57..65 => (
            "comment",
            None,
            Some(if good {
                *dice.pick(&text::PRAISE)
            } else {
                *dice.pick(&text::COMPLAINTS)
            }),
        ),
        65..68 => (
            "correction",
            None,
            Some("The deadline is 30 days from delivery, not from the order."),
        ),
        68..80 => (
            "dwell_ms",
            Some(
                dice.around(if good { 25_000.0 } else { 8_000.0 }, 0.6)
                    .round(),
            ),
            None,
        ),
        80..88 => ("copy", Some(if good { 1.0 } else { 0.0 }), None),
        88..93 => ("follow_up", Some(1.0), None),
        93..96 => ("abandonment", Some(if good { 0.0 } else { 1.0 }), None),
        96..99 => ("task_completed", Some(if good { 1.0 } else { 0.0 }), None),
        _ => ("conversion", Some(if good { 1.0 } else { 0.0 }), None),
    };
    // Minutes later: the median is four, hardly anything comes after an hour.
    let later_s = dice.around(240.0, 0.8).clamp(15.0, 3_600.0);
    Some(Feedback {
        event_id: dice.hex(32),
        event_time: Time(answered.end_us + (later_s * 1e6) as i64),
        trace_id: answered.trace_id.clone(),
        span_id: answered.span_id.clone(),
        response_id: answered.response_id.clone(),
        session_id: answered.session_id.clone(),
        user_id: answered.user_id.clone(),
        kind,
        value,
        text: words.map(str::to_owned),
        tags: answered.tags.clone(),
    })
}

/// The evaluations of an answer; most answers have none.
pub fn evaluations(dice: &mut Dice, answered: &Answered) -> Vec<Evaluation> {
    if !dice.chance(0.06) {
        return Vec::new();
    }
    let mut names = vec![("relevance", "llm"), ("toxicity", "llm")];
    if answered.from_documents {
        names.push(("groundedness", "llm"));
    }
    if answered.service.scenario == Scenario::Extract {
        names = vec![("valid_json", "code")];
    }
    if dice.chance(0.05) {
        names.push(("helpfulness", "human"));
    }
    let mut time_us = answered.end_us + (dice.between(5.0, 90.0) * 1e6) as i64;
    names
        .into_iter()
        .map(|(name, evaluator)| {
            time_us += (dice.between(0.4, 2.0) * 1e6) as i64;
            evaluation(dice, answered, name, evaluator, time_us)
        })
        .collect()
}

fn evaluation(
    dice: &mut Dice,
    answered: &Answered,
    name: &'static str,
    evaluator: &'static str,
    time_us: i64,
) -> Evaluation {
    let (score, label, explanation) = match (name, answered.good) {
        ("toxicity", _) => (dice.share(0.02, 0.02), "pass", None),
        ("valid_json", good) => (
            if good { 1.0 } else { 0.0 },
            if good { "pass" } else { "fail" },
            None,
        ),
        (_, true) => (
            dice.share(0.9, 0.07),
            "pass",
            Some("Every statement is covered."),
        ),
        (_, false) => (
            dice.share(0.4, 0.15),
            "fail",
            Some("One statement is about something else."),
        ),
    };
    Evaluation {
        event_id: dice.hex(32),
        event_time: Time(time_us),
        trace_id: answered.trace_id.clone(),
        span_id: answered.span_id.clone(),
        response_id: answered.response_id.clone(),
        name,
        score: round(score),
        label,
        explanation: explanation.map(str::to_owned),
        evaluator,
        tags: answered.tags.clone(),
    }
}
