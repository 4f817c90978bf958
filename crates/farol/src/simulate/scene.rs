//! One request to one service: the spans that it leaves, from the first to the root.

use std::collections::BTreeMap;

use super::{
    call::Call,
    catalog::{ENVIRONMENTS, Prompt, SERVICES, Scenario, Service},
    dice::Dice,
    event::{SpanEvent, Time},
    incident::{Effects, Incidents},
    people::{Session, Sessions},
    text::{self, Document, SUBJECTS, Subject},
};

/// What a request left behind.
#[derive(Debug)]
pub struct Played {
    /// Its spans in the order in which they ended; the root comes last.
    pub spans: Vec<SpanEvent>,
    /// The answer that people and judges may speak about; `None` where there was none.
    pub answered: Option<Answered>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answered {
    pub service: &'static Service,
    pub trace_id: String,
    pub span_id: String,
    pub response_id: Option<String>,
    pub session_id: Option<String>,
    pub user_id: Option<String>,
    pub tags: BTreeMap<&'static str, String>,
    /// When the answer was there, microseconds since 1970.
    pub end_us: i64,
    /// Whether it is a good one.
    pub good: bool,
    /// Whether documents were found for it.
    pub from_documents: bool,
}

/// A request while it is played.
pub struct Scene<'a> {
    pub dice: &'a mut Dice,
    pub service: &'static Service,
    pub prompt: &'static Prompt,
    pub prompt_version: &'static str,
    pub session: Session,
    pub good: bool,
    pub subject: &'static Subject,
    pub question: String,
    /// What incidents do to the request.
    pub effects: Effects,
    /// Whether the question is an attempt to take the model over.
    pub is_attack: bool,
    /// Where the request is in time, microseconds since 1970.
    pub now_us: i64,
    pub spans: Vec<SpanEvent>,
    answer: Option<(String, Option<String>, i64)>,
    trace_id: String,
    environment: &'static str,
    tags: BTreeMap<&'static str, String>,
    variables: BTreeMap<&'static str, String>,
}

/// Plays a request that comes at `start_us`.
///
/// Chance, sessions and ids are the same with incidents as without, so that they change nothing but
/// the requests that they hit.
pub fn play(
    dice: &mut Dice,
    sessions: &mut Sessions,
    incidents: &Incidents,
    start_us: i64,
) -> Played {
    let shares: Vec<(usize, f64)> = SERVICES
        .iter()
        .enumerate()
        .map(|(index, (_, share))| (index, *share))
        .collect();
    let index = *dice.weighted(&shares);
    let service = &SERVICES[index].0;
    let session = sessions.next(dice, index, start_us);
    let effects = incidents.at(start_us, service.name);
    if effects.lost {
        return Played {
            spans: Vec::new(),
            answered: None,
        };
    }
    let prompt = dice.pick(service.prompts);
    let shares: Vec<_> = prompt
        .versions
        .iter()
        .map(|(version, share, bonus)| ((*version, *bonus), *share))
        .collect();
    let (mut prompt_version, bonus) = *dice.weighted(&shares);
    if effects.new_prompt {
        prompt_version = prompt.next_version;
    }
    let subject = &SUBJECTS[*dice.pick(service.subjects)];
    let (mut question, thing) = text::question(dice, subject);
    let environment = *dice.weighted(&ENVIRONMENTS);
    let tags = BTreeMap::from([
        ("team", service.team.to_owned()),
        ("plan", session.plan.to_owned()),
        ("region", session.region.to_owned()),
    ]);
    let good = dice.chance((0.88 + bonus) * effects.quality);
    let trace_id = dice.hex(32);
    let is_attack = dice.chance(effects.attacks);
    if is_attack {
        question = format!("{question} {}", dice.pick(&text::INJECTIONS));
    }
    let scene = Scene {
        service,
        prompt,
        prompt_version,
        session,
        good,
        subject,
        question,
        effects,
        is_attack,
        now_us: start_us,
        spans: Vec::new(),
        answer: None,
        trace_id,
        environment,
        tags,
        variables: BTreeMap::from([("thing", thing.to_owned())]),
        dice,
    };
    scene.play()
}

impl Scene<'_> {
    fn play(mut self) -> Played {
        let mut from_documents = false;
        match self.service.scenario {
            Scenario::Assist => self.assist(),
            Scenario::Extract => self.extract(),
            Scenario::Agent => self.agent(),
            Scenario::Answer | Scenario::Search => {
                from_documents = true;
                self.documents();
            }
        }
        let answered = self.answer.map(|(span_id, response_id, end_us)| Answered {
            service: self.service,
            trace_id: self.trace_id,
            span_id,
            response_id,
            session_id: Some(self.session.id),
            user_id: Some(self.session.user),
            tags: self.tags,
            end_us,
            good: self.good,
            from_documents,
        });
        Played {
            spans: self.spans,
            answered,
        }
    }

    /// A span that starts now, with what all spans of the request share.
    pub fn span(
        &mut self,
        operation: &'static str,
        name: impl Into<String>,
        parent: Option<&str>,
    ) -> SpanEvent {
        SpanEvent {
            event_id: self.dice.hex(32),
            start_time: Time(self.now_us),
            trace_id: self.trace_id.clone(),
            span_id: self.dice.hex(16),
            parent_span_id: parent.map(str::to_owned),
            session_id: Some(self.session.id.clone()),
            user_id: Some(self.session.user.clone()),
            service: self.service.name,
            environment: self.environment,
            tags: self.tags.clone(),
            name: name.into(),
            operation,
            status: "ok",
            ..SpanEvent::default()
        }
    }

    /// Lets `passed_ms` pass.
    pub fn pass(&mut self, passed_ms: f64) {
        self.now_us += (passed_ms * 1_000.0) as i64;
    }

    /// Ends a span now.
    pub fn end(&mut self, mut span: SpanEvent) {
        span.event_time = Time(self.now_us);
        span.latency_ms = (self.now_us - span.start_time.0) as f64 / 1_000.0;
        self.spans.push(span);
    }

    /// Marks a span as the answer that people see.
    pub fn answer_is(&mut self, span: &SpanEvent) {
        self.answer = Some((span.span_id.clone(), span.response_id.clone(), self.now_us));
    }

    /// Puts the prompt's name, version and variables on a span.
    pub fn prompted(&self, span: &mut SpanEvent) {
        span.task = Some(self.prompt.task);
        span.prompt_id = Some(self.prompt.id);
        span.prompt_version = Some(self.prompt_version);
        span.prompt_variables = self.variables.clone();
        span.system = Some(self.prompt.system);
    }

    fn assist(&mut self) {
        let documents = self.found(1, 4);
        let output = text::answer(self.dice, self.subject, &documents, self.good);
        // Code and what was said before go into the prompt; the more turns, the more of it.
        let context_tokens =
            self.dice
                .around(900.0 + 600.0 * self.session.turns as f64, 0.6) as u64;
        let mut call = Call::new(self.question.clone(), output);
        call.context_tokens = context_tokens;
        call.is_answer = true;
        call.streamed = true;
        call.choices = self.dice.chance(0.02);
        self.call(call);
    }

    fn extract(&mut self) {
        let document = self.dice.pick(self.subject.documents);
        let mut output = document.text.to_owned();
        if !self.good {
            output.truncate(output.len() / 2);
        }
        let mut call = Call::new(self.question.clone(), output);
        call.context_tokens = self.dice.around(1_400.0, 0.4) as u64;
        call.is_answer = true;
        call.service_tier = Some("flex");
        if self.call(call) {
            let confidence = self.dice.share(if self.good { 0.94 } else { 0.6 }, 0.05);
            if let Some(span) = self.spans.last_mut() {
                span.scores.insert("confidence", round(confidence));
            }
        }
    }

    fn agent(&mut self) {
        let mut root = self.span(
            "invoke_agent",
            format!(
                "invoke_agent {}",
                self.service.agent_name.unwrap_or_default()
            ),
            None,
        );
        root.agent_name = self.service.agent_name;
        root.task = Some(self.prompt.task);
        root.input = Some(self.question.clone());
        let steps = 1 + self.dice.whole(0, 3) + u64::from(!self.good);
        let mut context_tokens = self.dice.around(700.0, 0.3) as u64;
        let mut fine = true;
        for _ in 0..steps {
            let tool = self.dice.pick(self.service.tools);
            let arguments = format!("{{\"query\":\"{}\"}}", self.variables["thing"]);
            let mut call = Call::new(self.question.clone(), format!("{}({arguments})", tool.name));
            call.context_tokens = context_tokens;
            call.finish = "tool_calls";
            call.parent = Some(root.span_id.clone());
            fine = self.call(call);
            if !fine {
                break;
            }
            context_tokens += self.execute(tool, &arguments, &root.span_id);
        }
        if fine {
            let documents = self.found(2, 5);
            let output = text::answer(self.dice, self.subject, &documents, self.good);
            let mut call = Call::new(self.question.clone(), output.clone());
            call.context_tokens = context_tokens;
            call.parent = Some(root.span_id.clone());
            call.is_answer = true;
            fine = self.call(call);
            root.output = fine.then_some(output);
        }
        self.pass_short();
        if !fine {
            root.status = "error";
            root.error_type = Some("step_failed");
            root.error_message = Some("a model call failed and was not recovered".to_owned());
        }
        self.end(root);
    }

    /// A tool call; gives the tokens of what it returned.
    fn execute(
        &mut self,
        tool: &'static super::catalog::Tool,
        arguments: &str,
        parent: &str,
    ) -> u64 {
        let mut span = self.span(
            "execute_tool",
            format!("execute_tool {}", tool.name),
            Some(parent),
        );
        span.tool_name = Some(tool.name);
        span.agent_name = self.service.agent_name;
        span.input = Some(arguments.to_owned());
        let latency_ms = self.dice.around(tool.latency_ms, 0.5);
        self.pass(latency_ms);
        if self.dice.chance(tool.failures) {
            span.status = "error";
            span.error_type = Some("http_503");
            span.error_message = Some(format!("{}: service unavailable", tool.name));
            self.end(span);
            return 20;
        }
        let rows = self.dice.whole(1, 6);
        let output = format!(
            "{{\"tool\":\"{}\",\"rows\":{rows},\"best\":{:.2}}}",
            tool.name,
            self.dice.between(20.0, 400.0)
        );
        let tokens = text::tokens(&output) + 60 * rows;
        span.output = Some(output);
        self.end(span);
        tokens
    }

    /// `low` up to, not including, `high` different documents of the subject.
    pub fn found(&mut self, low: u64, high: u64) -> Vec<&'static Document> {
        let all = self.subject.documents;
        let first = self.dice.whole(0, all.len() as u64) as usize;
        let number = self.dice.whole(low, high) as usize;
        (0..number.min(all.len()))
            .map(|step| &all[(first + step) % all.len()])
            .collect()
    }

    /// Whether an incident hits this share of something. Without one nothing is drawn, so that other
    /// requests' chance stays as it is.
    pub fn is_hit(&mut self, share: f64) -> bool {
        share > 0.0 && self.dice.chance(share)
    }

    /// What a program itself takes.
    pub fn pass_short(&mut self) {
        let passed_ms = self.dice.around(2.0, 0.5);
        self.pass(passed_ms);
    }
}

/// Four digits are enough for a score.
pub fn round(score: f64) -> f64 {
    (score * 10_000.0).round() / 10_000.0
}
