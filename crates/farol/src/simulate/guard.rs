//! What guardrails say of questions and answers, and what they do with them.

use super::{
    event::{Guardrail, SpanEvent},
    scene::{Scene, round},
    text,
};

/// How much of the personal data in answers is taken out.
const REDACTED: f64 = 0.8;

impl Scene<'_> {
    /// What guardrails say of the question.
    pub fn guard_input(&mut self, span: &mut SpanEvent) {
        if span.parent_span_id.is_some() && !self.dice.chance(0.3) {
            return;
        }
        // What is recognised as an attack is blocked later; what is not was at least doubtful.
        let (score, severity) = if self.is_attack {
            (self.dice.between(0.35, 0.65), "low")
        } else {
            (self.dice.share(0.04, 0.04), "none")
        };
        span.guardrails.push(Guardrail {
            name: "prompt_injection",
            stage: "input",
            action: "allow",
            severity,
            score: round(score),
        });
        if self.dice.chance(0.02) {
            let score = self.dice.between(0.7, 0.99);
            span.guardrails.push(Guardrail {
                name: "pii",
                stage: "input",
                action: "redact",
                severity: "low",
                score: round(score),
            });
        }
    }

    /// Ends a span that a guardrail took for an attack.
    pub fn blocked(&mut self, mut span: SpanEvent) {
        let score = self.dice.between(0.85, 0.999);
        if !self.is_attack {
            span.input = Some(format!("{} {}", self.question, text::INJECTIONS[0]));
        }
        self.end_blocked(span, "prompt_injection", score);
    }

    /// Ends a span that a guardrail on content blocks although nothing is wrong with it.
    pub fn blocked_in_error(&mut self, span: SpanEvent) {
        let score = self.dice.between(0.5, 0.7);
        self.end_blocked(span, "content_policy", score);
    }

    fn end_blocked(&mut self, mut span: SpanEvent, guardrail: &'static str, score: f64) {
        span.guardrails.clear();
        span.guardrails.push(Guardrail {
            name: guardrail,
            stage: "input",
            action: "block",
            severity: "high",
            score: round(score),
        });
        span.status = "blocked";
        span.finish_reason = Some("content_filter");
        let latency_ms = self.dice.around(35.0, 0.3);
        self.pass(latency_ms);
        self.end(span);
    }

    /// Personal data in an answer. A guardrail takes it out, mostly; else it only notes it.
    pub fn leak(&mut self, span: &mut SpanEvent, output: &mut String) {
        let is_redacted = self.dice.chance(REDACTED);
        let score = self.dice.between(0.8, 0.99);
        let address = if is_redacted {
            "[redacted]"
        } else {
            "jane.doe@example.com"
        };
        output.push_str(" The customer before you was ");
        output.push_str(address);
        output.push('.');
        span.guardrails.push(Guardrail {
            name: "pii",
            stage: "output",
            action: if is_redacted { "redact" } else { "flag" },
            severity: "high",
            score: round(score),
        });
    }

    /// What a guardrail says of an answer from documents.
    pub fn guard_output(&mut self, parent: &str, fine: bool) {
        let mut span = self.span("guardrail", "guardrail grounded", Some(parent));
        let score = self
            .dice
            .share(if self.good && fine { 0.1 } else { 0.7 }, 0.1);
        let action = if score > 0.6 { "flag" } else { "allow" };
        let severity = if score > 0.6 { "medium" } else { "none" };
        span.guardrails.push(Guardrail {
            name: "ungrounded",
            stage: "output",
            action,
            severity,
            score: round(score),
        });
        let latency_ms = self.dice.around(120.0, 0.3);
        self.pass(latency_ms);
        self.end(span);
    }
}
