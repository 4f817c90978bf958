//! How to reach Kafka: brokers, group, and any property of librdkafka.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;

/// What a property's name may contain where its value is a secret.
const SECRETS: [&str; 6] = [
    "password",
    "secret",
    "token",
    "jaas",
    "key.pem",
    "oauthbearer.config",
];

/// How to reach Kafka. Its `Debug` never prints secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct KafkaConfig {
    /// Addresses, separated by commas.
    pub brokers: String,
    /// The consumer group that instances of ingest share.
    pub group: String,
    /// Properties of librdkafka; they win over Farol's own settings.
    pub properties: BTreeMap<String, String>,
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: BTreeMap<_, _> = self
            .properties
            .iter()
            .map(|(name, value)| {
                (
                    name,
                    if is_secret(name) {
                        "(secret)"
                    } else {
                        value.as_str()
                    },
                )
            })
            .collect();
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("properties", &shown)
            .finish()
    }
}

/// Whether a property's value must not be shown.
pub fn is_secret(property: &str) -> bool {
    let property = property.to_ascii_lowercase();
    SECRETS.iter().any(|secret| property.contains(secret))
}

impl KafkaConfig {
    /// Settings for a client: `defaults` first, then the operator's properties.
    pub(crate) fn client(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "farol");
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let names = [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "sasl.oauthbearer.client.secret",
        ];
        let mut properties: BTreeMap<_, _> = names
            .iter()
            .map(|name| ((*name).to_owned(), "hunter2".to_owned()))
            .collect();
        properties.insert("security.protocol".into(), "SASL_SSL".into());
        let shown = format!(
            "{:?}",
            KafkaConfig {
                brokers: "b:9092".into(),
                group: "g".into(),
                properties
            }
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            shown.contains("SASL_SSL") && shown.contains("sasl.password"),
            "{shown}"
        );
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let properties = BTreeMap::from([("session.timeout.ms".to_owned(), "45000".to_owned())]);
        let config = KafkaConfig {
            properties,
            ..KafkaConfig::default()
        };
        let client = config.client(&[
            ("session.timeout.ms", "10000"),
            ("enable.auto.commit", "false"),
        ]);
        assert_eq!(client.get("session.timeout.ms"), Some("45000"));
        assert_eq!(client.get("enable.auto.commit"), Some("false"));
    }
}
