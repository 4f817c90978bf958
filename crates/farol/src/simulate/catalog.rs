//! The applications that are simulated: five services, their prompts and the models they call.

/// What a service does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Finds documents, then answers from them: chain, embeddings, retrieval, chat.
    Answer,
    /// One streamed chat call.
    Assist,
    /// An agent that calls tools until it has an answer.
    Agent,
    /// Finds documents, no more: chain, embeddings, retrieval.
    Search,
    /// One chat call that returns JSON, in the background.
    Extract,
}

/// A model and its list price in 10⁻¹² dollars a token.
#[derive(Debug)]
pub struct Model {
    pub provider: &'static str,
    pub request: &'static str,
    pub response: &'static str,
    pub input_price: u64,
    pub cached_price: u64,
    pub output_price: u64,
    /// Median time to the first token.
    pub first_token_ms: f64,
    pub tokens_per_s: f64,
    /// Whether it thinks before it answers, and is billed for that.
    pub reasons: bool,
    /// How often its answers are good.
    pub skill: f64,
}

pub static MODELS: [Model; 7] = [
    Model {
        provider: "openai",
        request: "gpt-4o-mini",
        response: "gpt-4o-mini-2024-07-18",
        input_price: 150_000,
        cached_price: 75_000,
        output_price: 600_000,
        first_token_ms: 380.0,
        tokens_per_s: 95.0,
        reasons: false,
        skill: 0.84,
    },
    Model {
        provider: "openai",
        request: "gpt-4o",
        response: "gpt-4o-2024-11-20",
        input_price: 2_500_000,
        cached_price: 1_250_000,
        output_price: 10_000_000,
        first_token_ms: 520.0,
        tokens_per_s: 70.0,
        reasons: false,
        skill: 0.91,
    },
    Model {
        provider: "anthropic",
        request: "claude-3-5-sonnet-latest",
        response: "claude-3-5-sonnet-20241022",
        input_price: 3_000_000,
        cached_price: 300_000,
        output_price: 15_000_000,
        first_token_ms: 780.0,
        tokens_per_s: 62.0,
        reasons: false,
        skill: 0.93,
    },
    Model {
        provider: "anthropic",
        request: "claude-3-5-haiku-latest",
        response: "claude-3-5-haiku-20241022",
        input_price: 800_000,
        cached_price: 80_000,
        output_price: 4_000_000,
        first_token_ms: 430.0,
        tokens_per_s: 88.0,
        reasons: false,
        skill: 0.86,
    },
    Model {
        provider: "openai",
        request: "o3-mini",
        response: "o3-mini-2025-01-31",
        input_price: 1_100_000,
        cached_price: 550_000,
        output_price: 4_400_000,
        first_token_ms: 2_600.0,
        tokens_per_s: 130.0,
        reasons: true,
        skill: 0.92,
    },
    Model {
        provider: "mistral",
        request: "mistral-small-latest",
        response: "mistral-small-2409",
        input_price: 200_000,
        cached_price: 200_000,
        output_price: 600_000,
        first_token_ms: 310.0,
        tokens_per_s: 105.0,
        reasons: false,
        skill: 0.81,
    },
    Model {
        provider: "google",
        request: "gemini-2.0-flash",
        response: "gemini-2.0-flash-001",
        input_price: 100_000,
        cached_price: 25_000,
        output_price: 400_000,
        first_token_ms: 340.0,
        tokens_per_s: 150.0,
        reasons: false,
        skill: 0.85,
    },
];

/// The model that finds documents.
pub const EMBEDDING_MODEL: &str = "text-embedding-3-small";

/// Its price in 10⁻¹² dollars a token.
pub const EMBEDDING_PRICE: u64 = 20_000;

/// A prompt: its versions with their share of the traffic and how much better they answer.
#[derive(Debug)]
pub struct Prompt {
    pub id: &'static str,
    pub task: &'static str,
    pub system: &'static str,
    pub versions: &'static [(&'static str, f64, f64)],
    /// The version that comes next. Only an incident deploys it.
    pub next_version: &'static str,
}

/// A tool that an agent can call.
#[derive(Debug)]
pub struct Tool {
    pub name: &'static str,
    pub latency_ms: f64,
    pub failures: f64,
}

/// An application.
#[derive(Debug)]
pub struct Service {
    pub name: &'static str,
    pub scenario: Scenario,
    pub team: &'static str,
    pub agent_name: Option<&'static str>,
    pub prompts: &'static [Prompt],
    /// Indices into [`MODELS`] with their share of the calls.
    pub models: &'static [(usize, f64)],
    /// The model that takes over when a call fails.
    pub fallback: usize,
    pub tools: &'static [Tool],
    pub temperature: f64,
    /// Whether it says what a call cost; otherwise that is for Farol to compute.
    pub reports_cost: bool,
    /// How often a person says something about its answer.
    pub feedback: f64,
    /// Index into the subjects that it is asked about.
    pub subjects: &'static [usize],
}

/// The applications with their share of the traces.
pub static SERVICES: [(Service, f64); 5] = [
    (
        Service {
            name: "support-assistant",
            scenario: Scenario::Answer,
            team: "customer-care",
            agent_name: None,
            prompts: &[
                Prompt {
                    id: "support-answer",
                    task: "answer",
                    system: "You answer customers of an online shop. Use only the documents given, and cite them.",
                    versions: &[("3", 0.7, 0.0), ("4", 0.3, 0.03)],
                    next_version: "5",
                },
                Prompt {
                    id: "support-reply-email",
                    task: "draft",
                    system: "Draft a friendly reply to the customer's message from the documents given.",
                    versions: &[("1", 1.0, -0.02)],
                    next_version: "2",
                },
            ],
            models: &[(0, 0.7), (6, 0.3)],
            fallback: 3,
            tools: &[],
            temperature: 0.2,
            reports_cost: true,
            feedback: 0.16,
            subjects: &[0, 1, 2],
        },
        0.34,
    ),
    (
        Service {
            name: "code-helper",
            scenario: Scenario::Assist,
            team: "developer-tools",
            agent_name: None,
            prompts: &[
                Prompt {
                    id: "code-explain",
                    task: "explain",
                    system: "You help software engineers. Be brief and exact.",
                    versions: &[("7", 0.85, 0.0), ("8-rc1", 0.15, -0.05)],
                    next_version: "9",
                },
                Prompt {
                    id: "code-review",
                    task: "review",
                    system: "Review the change. Name risks first.",
                    versions: &[("2", 1.0, 0.0)],
                    next_version: "3",
                },
            ],
            models: &[(2, 0.6), (1, 0.25), (4, 0.15)],
            fallback: 1,
            tools: &[],
            temperature: 0.1,
            reports_cost: false,
            feedback: 0.12,
            subjects: &[3],
        },
        0.24,
    ),
    (
        Service {
            name: "travel-agent",
            scenario: Scenario::Agent,
            team: "bookings",
            agent_name: Some("trip-planner"),
            prompts: &[Prompt {
                id: "trip-plan",
                task: "plan",
                system: "You plan trips. Use the tools for facts; never guess a price.",
                versions: &[("12", 0.5, 0.0), ("13", 0.5, 0.02)],
                next_version: "14",
            }],
            models: &[(1, 0.5), (2, 0.5)],
            fallback: 0,
            tools: &[
                Tool {
                    name: "search_flights",
                    latency_ms: 900.0,
                    failures: 0.04,
                },
                Tool {
                    name: "search_hotels",
                    latency_ms: 650.0,
                    failures: 0.02,
                },
                Tool {
                    name: "get_weather",
                    latency_ms: 180.0,
                    failures: 0.01,
                },
                Tool {
                    name: "convert_currency",
                    latency_ms: 60.0,
                    failures: 0.002,
                },
            ],
            temperature: 0.5,
            reports_cost: true,
            feedback: 0.2,
            subjects: &[4],
        },
        0.14,
    ),
    (
        Service {
            name: "doc-search",
            scenario: Scenario::Search,
            team: "knowledge",
            agent_name: None,
            prompts: &[Prompt {
                id: "none",
                task: "search",
                system: "",
                versions: &[("1", 1.0, 0.0)],
                next_version: "2",
            }],
            models: &[(0, 1.0)],
            fallback: 0,
            tools: &[],
            temperature: 0.0,
            reports_cost: false,
            feedback: 0.08,
            subjects: &[0, 1, 2, 3],
        },
        0.16,
    ),
    (
        Service {
            name: "invoice-extractor",
            scenario: Scenario::Extract,
            team: "finance",
            agent_name: None,
            prompts: &[Prompt {
                id: "invoice-fields",
                task: "extract",
                system: "Extract the invoice's fields as JSON with the keys number, supplier, total, due.",
                versions: &[("5", 0.9, 0.0), ("6", 0.1, 0.01)],
                next_version: "7",
            }],
            models: &[(5, 0.65), (6, 0.35)],
            fallback: 0,
            tools: &[],
            temperature: 0.0,
            reports_cost: true,
            feedback: 0.02,
            subjects: &[5],
        },
        0.12,
    ),
];

/// Where things run, with their share.
pub static ENVIRONMENTS: [(&str, f64); 2] = [("production", 0.9), ("staging", 0.1)];

/// Regions, with their share.
pub static REGIONS: [(&str, f64); 3] = [("eu-west", 0.5), ("us-east", 0.35), ("sa-east", 0.15)];

/// Plans that customers are on, with their share.
pub static PLANS: [(&str, f64); 3] = [("free", 0.55), ("team", 0.3), ("enterprise", 0.15)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::text::SUBJECTS;

    #[test]
    fn every_index_points_somewhere() {
        for (service, share) in &SERVICES {
            assert!(
                *share > 0.0 && !service.prompts.is_empty() && !service.subjects.is_empty(),
                "{}",
                service.name
            );
            assert!(
                service
                    .models
                    .iter()
                    .all(|(model, _)| *model < MODELS.len())
                    && service.fallback < MODELS.len()
            );
            assert!(
                service
                    .subjects
                    .iter()
                    .all(|subject| *subject < SUBJECTS.len()),
                "{}",
                service.name
            );
            assert_eq!(
                service.tools.is_empty(),
                service.scenario != Scenario::Agent,
                "{}",
                service.name
            );
        }
        assert!((SERVICES.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
    }
}
