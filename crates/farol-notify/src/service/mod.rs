//! The role `notify`: a consumer and a task for each route, over one producer each.
//!
//! ```text
//!  reader (thread) ──events──▶ route (task) ──▶ engine ──▶ progress topic, then the receiver, then the offset
//!        ▲──────── offsets done with ──┘
//! ```

mod reader;
mod replay;
mod route;
mod status;
mod writer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use farol_kafka::{Admin, KafkaConfig, TopicSpec};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::NotifyError;
use crate::progress::PROGRESS_TOPIC;
use crate::settings::Plan;

pub use replay::{Replayed, replay, test};
pub use status::{RouteStatus, status};

/// Pause before Kafka is asked again at the start.
const PAUSE: Duration = Duration::from_secs(2);

/// How the role is played.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// How to reach Kafka. Routes' groups are named after its group.
    pub kafka: KafkaConfig,
    /// The alert topic.
    pub alerts: String,
    /// Where dead letters go.
    pub dead_letters: String,
    /// The routes.
    pub plan: Plan,
    /// Cancelled to end after the attempts in hand.
    pub shutdown: CancellationToken,
    /// What is wrong, if anything.
    pub health: Health,
}

/// Why routes are not at work, by route. A receiver that does not answer is not among it: that is in the metrics.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, String>>>);

impl Health {
    /// What is wrong, route by route.
    pub fn reasons(&self) -> Vec<String> {
        let reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reasons
            .iter()
            .map(|(route, reason)| format!("route {route}: {reason}"))
            .collect()
    }

    pub(crate) fn set(&self, route: &str, reason: Option<String>) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => reasons.insert(route.to_owned(), reason),
            None => reasons.remove(route),
        };
    }
}

/// The Kafka group of a route.
pub fn route_group(group: &str, route: &str) -> String {
    format!("{group}-notify-{route}")
}

/// The topics that the role writes, as they are to be made.
pub fn topics(dead_letters: &str) -> [TopicSpec; 2] {
    [PROGRESS_TOPIC, dead_letters].map(|name| TopicSpec {
        name: name.to_owned(),
        partitions: 1,
        settings: [("cleanup.policy".to_owned(), "compact".to_owned())].into(),
    })
}

/// Plays the role `notify` until it is told to end. Without routes it does nothing. A failure of Kafka is tried again.
///
/// # Errors
/// Where a route's task ended that should not have.
pub async fn run(options: RunOptions) -> Result<(), NotifyError> {
    let RunOptions { plan, shutdown, .. } = &options;
    if plan.routes.is_empty() {
        return Ok(());
    }
    while let Err(error) = ensure_topics(&options).await {
        tracing::error!("delivery waits for Kafka: {error}");
        options.health.set("all", Some(error.to_string()));
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    options.health.set("all", None);
    let mut tasks = JoinSet::new();
    for planned in &plan.routes {
        tasks.spawn(route::run(options.clone(), planned.clone()));
    }
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.map_err(|error| NotifyError::Ended(error.to_string()));
        if let Err(error) = ended.and_then(|ended| ended) {
            // A route that cannot go on says so by ending the role; the others finish what they have in hand.
            shutdown.cancel();
            outcome = Err(error);
        }
    }
    outcome
}

async fn ensure_topics(options: &RunOptions) -> Result<(), NotifyError> {
    let kafka = options.kafka.clone();
    let admin = blocking(move || Ok(Admin::connect(&kafka)?)).await?;
    admin.create(&topics(&options.dead_letters)).await?;
    Ok(())
}

/// Runs what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotifyError> + Send + 'static,
) -> Result<T, NotifyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| NotifyError::Ended(error.to_string()))?
}

/// The time, in milliseconds since the epoch.
fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
