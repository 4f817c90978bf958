//! One call of a language model: its tokens, time and cost, and what can go wrong.

use super::{
    catalog::{MODELS, Model},
    event::{Candidate, Money, SpanEvent, Time},
    scene::{Scene, round},
    text,
};

/// What is asked of a model.
#[derive(Debug)]
pub struct Call {
    pub input: String,
    pub output: String,
    /// Tokens of the prompt beside instructions and input: documents, code, what was said before.
    pub context_tokens: u64,
    pub finish: &'static str,
    pub parent: Option<String>,
    /// Whether this is the answer that people see.
    pub is_answer: bool,
    pub streamed: bool,
    /// Whether a cache of answers is asked first.
    pub cacheable: bool,
    /// Whether two answers are made to choose from.
    pub choices: bool,
    pub citations: Vec<&'static str>,
    pub service_tier: Option<&'static str>,
}

impl Call {
    /// A plain call.
    pub fn new(input: String, output: String) -> Self {
        Self {
            input,
            output,
            context_tokens: 0,
            finish: "stop",
            parent: None,
            is_answer: false,
            streamed: false,
            cacheable: false,
            choices: false,
            citations: Vec::new(),
            service_tier: None,
        }
    }
}

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Fine,
    Retried,
    FellBack,
    Blocked,
    /// Blocked although nothing is wrong with it.
    BlockedInError,
    Cut,
    Failed,
    TimedOut,
    RateLimited,
    Unavailable,
}

/// What an error burst consists of.
static BURST: [(Fate, f64); 2] = [(Fate::Failed, 0.7), (Fate::RateLimited, 0.3)];

/// How often an attack is recognised.
const ATTACKS_BLOCKED: f64 = 0.8;

/// How often a call whose provider is away is made again with another provider's model.
const OUTAGES_BRIDGED: f64 = 0.6;

static FATES: [(Fate, f64); 8] = [
    (Fate::Fine, 0.938),
    (Fate::Retried, 0.018),
    (Fate::FellBack, 0.008),
    (Fate::Blocked, 0.006),
    (Fate::Cut, 0.008),
    (Fate::Failed, 0.011),
    (Fate::TimedOut, 0.005),
    (Fate::RateLimited, 0.006),
];

/// A call is given up after so long.
const TIMEOUT_MS: f64 = 30_000.0;

impl Scene<'_> {
    /// Makes a call and leaves its span. Whether it brought an answer.
    pub fn call(&mut self, mut call: Call) -> bool {
        call.context_tokens = (call.context_tokens as f64 * self.effects.context) as u64;
        let mut model = &MODELS[*self.dice.weighted(self.service.models)];
        let mut span = self.span(
            "chat",
            format!("chat {}", model.request),
            call.parent.as_deref(),
        );
        self.prompted(&mut span);
        span.provider = Some(model.provider);
        span.request_model = Some(model.request);
        span.service_tier = call.service_tier;
        span.temperature = (!model.reasons).then_some(self.service.temperature);
        span.input = Some(call.input.clone());
        self.guard_input(&mut span);
        let asks_cache = call.cacheable && !self.is_attack && !self.effects.uncached;
        if asks_cache && self.cached(&mut span, &call, model) {
            return true;
        }
        let fate = self.fate(model);
        match fate {
            Fate::Blocked => self.blocked(span),
            Fate::BlockedInError => self.blocked_in_error(span),
            Fate::Unavailable => self.unavailable(span),
            Fate::Failed | Fate::TimedOut | Fate::RateLimited => self.failed(span, fate, model),
            Fate::Fine | Fate::Cut | Fate::Retried | Fate::FellBack => {
                if fate == Fate::Retried {
                    let retries = self.dice.whole(1, 3);
                    span.retries = Some(retries);
                    let waited_ms = self.dice.around(1_200.0 * retries as f64, 0.3);
                    self.pass(waited_ms);
                }
                if fate == Fate::FellBack {
                    let Some(fallback) = self.fallback(model) else {
                        self.unavailable(span);
                        return false;
                    };
                    span.fallback_from = Some(model.request);
                    let waited_ms = self.dice.around(2_500.0, 0.3);
                    self.pass(waited_ms);
                    model = fallback;
                    span.provider = Some(model.provider);
                }
                return self.answered(span, call, model, fate == Fate::Cut);
            }
        }
        false
    }

    fn is_away(&self, model: &Model) -> bool {
        self.effects.outage == Some(model.provider)
    }

    /// The model that takes over when a call fails: the one set as fallback, or where that is no
    /// other model or its provider is away, another that the service uses.
    fn fallback(&self, failed: &Model) -> Option<&'static Model> {
        let others = self.service.models.iter().map(|(model, _)| *model);
        std::iter::once(self.service.fallback)
            .chain(others)
            .map(|model| &MODELS[model])
            .find(|model| !self.is_away(model) && model.request != failed.request)
    }

    /// How a call of a model goes, incidents and all.
    fn fate(&mut self, model: &Model) -> Fate {
        if self.is_attack {
            return if self.dice.chance(ATTACKS_BLOCKED) {
                Fate::Blocked
            } else {
                Fate::Fine
            };
        }
        if self.is_away(model) {
            return if self.dice.chance(OUTAGES_BRIDGED) {
                Fate::FellBack
            } else {
                Fate::Unavailable
            };
        }
        if self.dice.chance(self.effects.errors) {
            return *self.dice.weighted(&BURST);
        }
        for (share, fate) in [
            (self.effects.timeouts, Fate::TimedOut),
            (self.effects.fallbacks, Fate::FellBack),
            (self.effects.blocks, Fate::BlockedInError),
        ] {
            if self.is_hit(share) {
                return fate;
            }
        }
        *self.dice.weighted(&FATES)
    }

    fn answered(
        &mut self,
        mut span: SpanEvent,
        call: Call,
        model: &'static Model,
        cut: bool,
    ) -> bool {
        let instructions = text::tokens(self.prompt.system);
        let input_tokens = instructions + text::tokens(&call.input) + call.context_tokens;
        let reasoning_tokens = if model.reasons {
            self.dice.around(600.0, 0.7) as u64
        } else {
            0
        };
        let mut output = call.output;
        if cut {
            let keep = output
                .char_indices()
                .nth(output.chars().count() / 2)
                .map_or(0, |(at, _)| at);
            output.truncate(keep);
        }
        if self.is_attack && call.is_answer {
            output = format!("My instructions are: {}", self.prompt.system);
            self.good = false;
        }
        if call.is_answer && self.is_hit(self.effects.personal_data) {
            self.leak(&mut span, &mut output);
        }
        let spoken_tokens =
            (text::tokens(&output) as f64 * self.dice.between(0.9, 1.2)).ceil() as u64;
        let output_tokens = spoken_tokens + reasoning_tokens;
        // Providers cache prompts from about a thousand tokens on, in blocks.
        let is_cached = input_tokens > 1_024 && self.dice.chance(0.4);
        let cache_read_tokens = if is_cached && !self.effects.uncached {
            input_tokens / 2 / 128 * 128
        } else {
            0
        };
        let first_token_ms = (self.dice.around(model.first_token_ms, 0.35)
            + reasoning_tokens as f64 / model.tokens_per_s * 1_000.0)
            * self.effects.latency;
        let speed = self.dice.around(model.tokens_per_s, 0.15) / self.effects.latency;
        let took_ms = first_token_ms + spoken_tokens as f64 / speed * 1_000.0;
        if took_ms > TIMEOUT_MS {
            self.failed(span, Fate::TimedOut, model);
            return false;
        }
        self.pass(took_ms);
        if call.choices {
            let other = &MODELS[self.service.fallback];
            let second = format!("{} {}", *self.dice.pick(self.subject.openings), output);
            span.candidates = vec![
                Candidate {
                    model: model.response,
                    output: output.clone(),
                },
                Candidate {
                    model: other.response,
                    output: second,
                },
            ];
        }
        span.response_id = Some(format!("resp_{}", self.dice.hex(24)));
        span.response_model = Some(model.response);
        span.output = Some(output);
        span.input_tokens = Some(input_tokens);
        span.output_tokens = Some(output_tokens);
        span.cache_read_tokens = Some(cache_read_tokens);
        span.reasoning_tokens = model.reasons.then_some(reasoning_tokens);
        span.time_to_first_token_ms = call
            .streamed
            .then(|| (first_token_ms * 1_000.0).round() / 1_000.0);
        span.finish_reason = Some(if cut { "length" } else { call.finish });
        span.citations = call.citations;
        span.cache = call.cacheable.then_some("none");
        if self.service.reports_cost {
            span.cost = Some(price(model, input_tokens, cache_read_tokens, output_tokens));
            span.currency = Some("USD");
        }
        // How well a model does its work shows in the answers, beside the prompt's part in it.
        if call.is_answer {
            self.good = self.good && self.dice.chance(0.9 + model.skill / 10.0) && !cut;
            self.answer_is(&span);
        }
        self.end(span);
        true
    }

    /// Asks the cache of answers. On a hit no model is called, and nothing is paid.
    fn cached(&mut self, span: &mut SpanEvent, call: &Call, model: &'static Model) -> bool {
        let exact = self.dice.chance(0.04);
        if !exact && !self.dice.chance(0.05) {
            return false;
        }
        let mut span = std::mem::take(span);
        let similarity = if exact {
            1.0
        } else {
            self.dice.between(0.93, 0.995)
        };
        span.cache = Some(if exact { "exact" } else { "semantic" });
        span.cache_similarity = Some(round(similarity));
        span.response_model = Some(model.response);
        span.response_id = Some(format!("resp_{}", self.dice.hex(24)));
        // The tokens are those that a call would have taken.
        span.input_tokens = Some(
            text::tokens(self.prompt.system) + text::tokens(&call.input) + call.context_tokens,
        );
        span.output_tokens = Some(text::tokens(&call.output));
        span.output = Some(call.output.clone());
        span.citations.clone_from(&call.citations);
        span.finish_reason = Some("stop");
        if self.service.reports_cost {
            span.cost = Some(Money(0));
            span.currency = Some("USD");
        }
        let latency_ms = self.dice.around(18.0, 0.3);
        self.pass(latency_ms);
        if call.is_answer {
            self.answer_is(&span);
        }
        self.end(span);
        true
    }

    /// Ends a span whose provider is away.
    pub fn unavailable(&mut self, mut span: SpanEvent) {
        span.status = "error";
        span.error_type = Some("service_unavailable");
        span.error_message = span
            .provider
            .map(|provider| format!("{provider}: 503: service unavailable"));
        let took_ms = self.dice.around(250.0, 0.5);
        self.pass(took_ms);
        self.end(span);
    }

    fn failed(&mut self, mut span: SpanEvent, fate: Fate, model: &'static Model) {
        let (status, error_type, message, took_ms) = match fate {
            Fate::TimedOut => ("timeout", "timeout", "no answer within 30 s", TIMEOUT_MS),
            Fate::RateLimited => {
                span.retries = Some(3);
                (
                    "rate_limited",
                    "rate_limit_exceeded",
                    "429: too many tokens this minute",
                    self.dice.around(4_000.0, 0.3),
                )
            }
            _ => (
                "error",
                "server_error",
                "500: the model is overloaded",
                self.dice.around(900.0, 0.6),
            ),
        };
        span.status = status;
        span.error_type = Some(error_type);
        span.error_message = Some(format!("{}: {message}", model.provider));
        self.pass(took_ms);
        self.end(span);
    }
}

fn price(model: &Model, input_tokens: u64, cached_tokens: u64, output_tokens: u64) -> Money {
    Money(
        (input_tokens - cached_tokens) * model.input_price
            + cached_tokens * model.cached_price
            + output_tokens * model.output_price,
    )
}

/// When a span ended and what it cost by the list, whether or not the service says so.
pub fn spent(span: &SpanEvent) -> Option<(&'static Model, Time, Money)> {
    let model = MODELS
        .iter()
        .find(|model| Some(model.response) == span.response_model)?;
    if matches!(span.cache, Some("exact" | "semantic")) {
        return None;
    }
    let cost = price(
        model,
        span.input_tokens?,
        span.cache_read_tokens.unwrap_or(0),
        span.output_tokens?,
    );
    Some((model, span.event_time, cost))
}
