//! Requests that begin with finding documents: the search itself, and answers from what was found.

use super::{
    call::Call,
    catalog::{EMBEDDING_MODEL, EMBEDDING_PRICE, Scenario},
    event::{Money, Retrieved, SpanEvent},
    scene::{Scene, round},
    text::{self, Document},
};

impl Scene<'_> {
    /// Finds documents; an answering service then answers from them.
    pub fn documents(&mut self) {
        let searches = self.service.scenario == Scenario::Search;
        let mut root = self.span(
            "chain",
            if searches {
                "search"
            } else {
                "answer_question"
            },
            None,
        );
        root.task = Some(self.prompt.task);
        root.input = Some(self.question.clone());
        self.pass_short();
        let parent = root.span_id.clone();
        if !self.embed(&parent) {
            root.status = "error";
            root.error_type = Some("step_failed");
            self.end(root);
            return;
        }
        let mut documents = self.found(2, 4);
        if self.is_hit(self.effects.nothing_found) {
            documents.clear();
            self.good = false;
        }
        let retrieval = self.retrieve(&documents, &parent);
        let mut fine = true;
        if searches {
            self.pass_short();
            self.answer_is(&retrieval);
        } else {
            let output = text::answer(
                self.dice,
                self.subject,
                &documents[..documents.len().min(3)],
                self.good,
            );
            let mut call = Call::new(self.question.clone(), output.clone());
            let found_tokens: u64 = documents
                .iter()
                .map(|document| text::tokens(document.text))
                .sum();
            call.context_tokens = found_tokens
                + self
                    .dice
                    .around(350.0 + 250.0 * self.session.turns as f64, 0.5)
                    as u64;
            call.parent = Some(parent.clone());
            call.is_answer = true;
            call.streamed = true;
            call.cacheable = true;
            call.citations = documents
                .iter()
                .take(3)
                .map(|document| document.id)
                .collect();
            fine = self.call(call);
            if self.dice.chance(0.25) {
                self.guard_output(&parent, fine);
            }
            root.output = fine.then_some(output);
            self.pass_short();
        }
        if !fine {
            root.status = "error";
            root.error_type = Some("step_failed");
        }
        self.end(root);
    }

    /// Whether there is an embedding of the question.
    fn embed(&mut self, parent: &str) -> bool {
        let mut span = self.span(
            "embeddings",
            format!("embeddings {EMBEDDING_MODEL}"),
            Some(parent),
        );
        span.provider = Some("openai");
        span.request_model = Some(EMBEDDING_MODEL);
        span.response_model = Some(EMBEDDING_MODEL);
        span.input = Some(self.question.clone());
        if self.effects.outage == span.provider {
            self.unavailable(span);
            return false;
        }
        let tokens = (text::tokens(&self.question) as f64 * self.effects.context) as u64;
        span.input_tokens = Some(tokens);
        if self.service.reports_cost {
            span.cost = Some(Money(tokens * EMBEDDING_PRICE));
            span.currency = Some("USD");
        }
        let latency_ms = self.dice.around(45.0, 0.4) * self.effects.latency;
        self.pass(latency_ms);
        self.end(span);
        true
    }

    fn retrieve(&mut self, documents: &[&'static Document], parent: &str) -> SpanEvent {
        let mut span = self.span("retrieval", "retrieval knowledge-base", Some(parent));
        span.input = Some(self.question.clone());
        let mut score = self.dice.between(0.78, 0.95) - if self.good { 0.0 } else { 0.12 };
        for document in documents {
            span.retrieved.push(Retrieved {
                id: document.id,
                score: round(score),
                text: document.text,
            });
            score -= self.dice.between(0.01, 0.09);
        }
        let latency_ms = self.dice.around(30.0, 0.6);
        self.pass(latency_ms);
        self.end(span.clone());
        span
    }
}
