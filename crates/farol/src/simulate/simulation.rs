//! The simulation: a sequence of events in the order in which they are sent. Pure; whoever takes
//! the events decides where they go and when.
//!
//! Requests arrive by chance at a rate that follows the day ([`rhythm`](super::rhythm)); each is
//! played at once ([`scene`](super::scene)) and what it leaves waits here until its time has come:
//! spans at their end, feedback and evaluations later, and every quarter of an hour what each
//! provider counted as spent.
//!
//! Arrivals, each request and each report draw from streams of chance of their own, so that an
//! incident ([`incident`](super::incident)) changes the requests that it hits and no other.

use std::collections::BTreeMap;

use farol_events::Kind;

use super::{
    after,
    call::spent,
    catalog::{MODELS, SERVICES},
    dice::Dice,
    event::{Cost, Evaluation, Feedback, Money, SpanEvent, Time},
    incident::Incidents,
    people::Sessions,
    rhythm,
    scene::{self, Played},
};

/// Events that a request leaves on average, all kinds together. A test holds it to the truth.
const EVENTS_PER_REQUEST: f64 = 3.40;

/// How often providers report what was spent.
const COST_INTERVAL_US: i64 = 15 * 60 * 1_000_000;

/// How long after the end of the interval the report comes.
const COST_DELAY_US: i64 = 30 * 1_000_000;

/// The stream of chance that arrivals draw from; that of each request is its number, from 1 on.
const ARRIVALS: u64 = 0;

/// The stream of a report is its time with this bit flipped: no number of requests gets there.
const REPORTS: u64 = 1 << 63;

/// One event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// When it is sent, microseconds since 1970. Never before the event sent before it.
    pub send_us: i64,
    /// When it happened. At the most a little before it is sent.
    pub event_time_us: i64,
    /// Its kind, and so its topic.
    pub kind: Kind,
    /// The record key: the trace's id where there is one.
    pub key: String,
    /// The event as JSON.
    pub json: Vec<u8>,
}

/// When a simulation ends. No trace is cut: every parent that a span refers to is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Never.
    None,
    /// After exactly so many events.
    Events(u64),
    /// Before this time, in microseconds since 1970: nothing is sent at or after it.
    Until(i64),
}

#[derive(Debug)]
enum Waiting {
    Span(Box<SpanEvent>),
    Feedback(Box<Feedback>),
    Evaluation(Box<Evaluation>),
}

/// The simulation. An endless iterator unless a [`Limit`] is set.
#[derive(Debug)]
pub struct Simulation {
    seed: [u64; 4],
    arrivals: Dice,
    requests: u64,
    incidents: Incidents,
    sessions: Sessions,
    requests_per_s: f64,
    limit: Limit,
    /// When the next request comes; `None` when no more come.
    next_request_us: Option<i64>,
    next_cost_us: i64,
    waiting: BTreeMap<(i64, u64), Waiting>,
    spans_waiting: u64,
    sequence: u64,
    sent: u64,
    /// By provider, model and service: tokens and money since the last report.
    spent: BTreeMap<(&'static str, &'static str, &'static str), (u64, Money)>,
    costs: Vec<Cost>,
}

impl Simulation {
    /// A simulation from `start_us` on, microseconds since 1970, with `rate` events a second on the
    /// mean of a day. The same arguments give the same events.
    pub fn new(seed: u64, start_us: i64, rate: f64) -> Self {
        // Two runs of one seed at different times are different traffic: with the same ids the
        // second would be taken for a repetition of the first.
        let seed = [seed, start_us as u64, rate.to_bits(), 0];
        let mut simulation = Self {
            seed,
            arrivals: Dice::of(seed, ARRIVALS),
            requests: 0,
            incidents: Incidents::default(),
            sessions: Sessions::new(),
            requests_per_s: rate / EVENTS_PER_REQUEST,
            limit: Limit::None,
            next_request_us: Some(start_us),
            next_cost_us: (start_us.div_euclid(COST_INTERVAL_US) + 1) * COST_INTERVAL_US
                + COST_DELAY_US,
            waiting: BTreeMap::new(),
            spans_waiting: 0,
            sequence: 0,
            sent: 0,
            spent: BTreeMap::new(),
            costs: Vec::new(),
        };
        simulation.wait_for_request();
        simulation
    }

    /// Sets what goes wrong, and when.
    #[must_use]
    pub fn incidents(mut self, incidents: Incidents) -> Self {
        self.incidents = incidents;
        self
    }

    /// Sets when it ends.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = limit;
        self
    }

    fn wait_for_request(&mut self) {
        if let Some(now_us) = self.next_request_us {
            let mean_s = 1.0 / (self.requests_per_s * rhythm::factor(now_us));
            self.next_request_us = Some(now_us + (self.arrivals.waiting(mean_s) * 1e6) as i64);
        }
    }

    /// Events that may still be sent beside the spans that wait.
    fn room(&self) -> u64 {
        match self.limit {
            Limit::Events(events) => events.saturating_sub(self.sent + self.spans_waiting),
            Limit::None | Limit::Until(_) => u64::MAX,
        }
    }

    fn is_after_end(&self, time_us: i64) -> bool {
        matches!(self.limit, Limit::Until(end_us) if time_us >= end_us)
    }

    fn begin_request(&mut self, now_us: i64) {
        if self.room() == 0 || self.is_after_end(now_us) {
            self.next_request_us = None;
            return;
        }
        self.requests += 1;
        let mut dice = Dice::of(self.seed, self.requests);
        let played = scene::play(&mut dice, &mut self.sessions, &self.incidents, now_us);
        let last_us = played
            .spans
            .iter()
            .map(|span| span.event_time.0)
            .max()
            .unwrap_or(now_us);
        // Now and then an application's exporter lags, and a trace and all that follows comes late.
        let lag_us = if dice.chance(0.004) {
            (dice.between(15.0, 90.0) * 1e6) as i64
        } else {
            0
        };
        let fits = played.spans.len() as u64 <= self.room() && !self.is_after_end(last_us + lag_us);
        if fits {
            self.follow(&mut dice, played, lag_us);
        }
        self.wait_for_request();
    }

    /// Puts what a request left, and what follows it, in the queue.
    fn follow(&mut self, dice: &mut Dice, played: Played, lag_us: i64) {
        if let Some(answered) = &played.answered {
            if let Some(feedback) = after::feedback(dice, answered) {
                self.wait(
                    feedback.event_time.0 + lag_us,
                    Waiting::Feedback(Box::new(feedback)),
                );
            }
            for evaluation in after::evaluations(dice, answered) {
                self.wait(
                    evaluation.event_time.0 + lag_us,
                    Waiting::Evaluation(Box::new(evaluation)),
                );
            }
        }
        for span in played.spans {
            self.spans_waiting += 1;
            self.wait(span.event_time.0 + lag_us, Waiting::Span(Box::new(span)));
        }
    }

    fn wait(&mut self, send_us: i64, waiting: Waiting) {
        self.sequence += 1;
        self.waiting.insert((send_us, self.sequence), waiting);
    }

    /// Turns what was spent into the providers' reports.
    fn report_costs(&mut self, send_us: i64) {
        let spent = std::mem::take(&mut self.spent);
        // Every model of every service takes an id, so that what one of them spends does not decide
        // the ids of the others.
        let mut dice = Dice::of(self.seed, REPORTS ^ send_us as u64);
        for model in &MODELS {
            for (service, _) in &SERVICES {
                let event_id = dice.hex(32);
                let key = (model.provider, model.response, service.name);
                if let Some((quantity, amount)) = spent.get(&key) {
                    self.costs.push(Cost {
                        event_id,
                        event_time: Time(send_us - COST_DELAY_US),
                        provider: model.provider,
                        model: model.response,
                        service: service.name,
                        environment: "production",
                        tags: BTreeMap::new(),
                        unit: "tokens",
                        quantity: *quantity,
                        amount: *amount,
                        currency: "USD",
                        source: "usage",
                    });
                }
            }
        }
    }

    fn count_spent(&mut self, span: &SpanEvent) {
        if let Some((model, _, cost)) = spent(span)
            && span.environment == "production"
        {
            let (tokens, money) = self
                .spent
                .entry((model.provider, model.response, span.service))
                .or_default();
            *tokens += span.input_tokens.unwrap_or(0) + span.output_tokens.unwrap_or(0);
            money.0 += cost.0;
        }
    }

    fn send(&mut self, send_us: i64, waiting: Waiting) -> Option<Simulated> {
        let event = match waiting {
            Waiting::Span(span) => {
                self.spans_waiting -= 1;
                self.count_spent(&span);
                encode(
                    send_us,
                    span.event_time,
                    Kind::Trace,
                    span.trace_id.clone(),
                    &*span,
                )
            }
            _ if self.room() == 0 || self.is_after_end(send_us) => return None,
            Waiting::Feedback(feedback) => encode(
                send_us,
                feedback.event_time,
                Kind::Feedback,
                feedback.trace_id.clone(),
                &*feedback,
            ),
            Waiting::Evaluation(evaluation) => encode(
                send_us,
                evaluation.event_time,
                Kind::Evaluation,
                evaluation.trace_id.clone(),
                &*evaluation,
            ),
        };
        Some(event)
    }
}

fn encode(
    send_us: i64,
    event_time: Time,
    kind: Kind,
    key: String,
    event: &impl serde::Serialize,
) -> Simulated {
    let json =
        serde_json::to_vec(event).expect("texts, numbers and maps of texts always serialise");
    Simulated {
        send_us,
        event_time_us: event_time.0,
        kind,
        key,
        json,
    }
}

impl Iterator for Simulation {
    type Item = Simulated;

    fn next(&mut self) -> Option<Simulated> {
        loop {
            let waiting_us = self
                .waiting
                .first_key_value()
                .map(|((send_us, _), _)| *send_us);
            if let Some(cost) = self.costs.pop() {
                let send_us = cost.event_time.0 + COST_DELAY_US;
                if self.room() == 0 || self.is_after_end(send_us) {
                    continue;
                }
                self.sent += 1;
                return Some(encode(
                    send_us,
                    cost.event_time,
                    Kind::Cost,
                    cost.event_id.clone(),
                    &cost,
                ));
            }
            let next_us = match (self.next_request_us, waiting_us) {
                (None, None) => return None,
                (Some(request_us), None) => request_us,
                (None, Some(waiting_us)) => waiting_us,
                (Some(request_us), Some(waiting_us)) => request_us.min(waiting_us),
            };
            if self.next_cost_us <= next_us {
                let cost_us = self.next_cost_us;
                self.next_cost_us += COST_INTERVAL_US;
                self.report_costs(cost_us);
            } else if self.next_request_us == Some(next_us) {
                self.begin_request(next_us);
            } else if let Some(((send_us, _), waiting)) = self.waiting.pop_first()
                && let Some(event) = self.send(send_us, waiting)
            {
                self.sent += 1;
                return Some(event);
            }
        }
    }
}
