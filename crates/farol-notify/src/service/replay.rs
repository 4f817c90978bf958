//! What a person asks for by hand: dead letters sent again, and a test of a receiver.

use farol_kafka::KafkaConfig;
use sha2::{Digest as _, Sha256};

use super::writer::Writer;
use super::{blocking, now_ms};
use crate::dead_letter::{self, DeadLetter};
use crate::error::NotifyError;
use crate::notification::hex;
use crate::progress::ToKeep;
use crate::retry::Failure;
use crate::sample;
use crate::settings::{Plan, PlannedReceiver};

/// What became of a dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The letter.
    pub letter: DeadLetter,
    /// Why it is one still; `None`: it was accepted, and is none any more.
    pub failure: Option<String>,
}

/// Sends dead letters again, each once, under their own ids: those of a route, or with an id, or all. What is accepted is
/// taken off the topic.
///
/// # Errors
/// Where Kafka fails.
pub async fn replay(
    kafka: &KafkaConfig,
    topic: &str,
    plan: &Plan,
    wanted: impl Fn(&DeadLetter) -> bool,
) -> Result<Vec<Replayed>, NotifyError> {
    let (config, name) = (kafka.clone(), topic.to_owned());
    let letters = blocking(move || dead_letter::list(&config, &name)).await?;
    let mut writer = Writer::new(kafka.clone());
    let mut outcomes = Vec::new();
    for letter in letters.into_iter().filter(|letter| wanted(letter)) {
        let failure = match receiver(plan, &letter) {
            Some(planned) => {
                let sent = planned
                    .receiver
                    .send(&letter.notification, None, now_ms())
                    .await;
                sent.err().map(|failure| failure.reason().to_owned())
            }
            None => Some(format!(
                "neither the route {} nor the receiver {} is configured any more",
                letter.route, letter.receiver
            )),
        };
        if failure.is_none() {
            let key = letter.key().as_bytes().to_vec();
            writer.add(topic, ToKeep { key, value: None });
            writer.flush().await?;
        }
        outcomes.push(Replayed { letter, failure });
    }
    Ok(outcomes)
}

/// Where the letter's route leads now; else the receiver that it was for.
fn receiver<'a>(plan: &'a Plan, letter: &DeadLetter) -> Option<&'a PlannedReceiver> {
    let route = plan
        .routes
        .iter()
        .find(|route| route.terms.route == letter.route);
    route
        .map(|route| &route.receiver)
        .or_else(|| plan.receivers.get(&letter.receiver))
}

/// Sends a test to a receiver. It says that it is one.
///
/// # Errors
/// What the receiver says.
pub async fn test(receiver: &PlannedReceiver) -> Result<(), Failure> {
    let now = chrono::Utc::now();
    let at = now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let digest = Sha256::digest(format!("test/{}/{}", receiver.name, now.timestamp_micros()));
    let id = hex(&digest[..16]);
    let notification = sample::test(&receiver.name, id, now.timestamp_millis(), &at);
    receiver
        .receiver
        .send(&notification, None, now.timestamp_millis())
        .await?;
    Ok(())
}
