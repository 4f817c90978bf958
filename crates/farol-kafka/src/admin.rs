//! Questions to a cluster, and topics to create.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::error::RDKafkaErrorCode;

use crate::config::KafkaConfig;
use crate::error::KafkaError;
use crate::native::topic_ids::topic_ids;
use crate::partition::TopicPartition;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: i32,
    /// Further settings of the topic, such as `retention.ms`.
    pub settings: BTreeMap<String, String>,
}

/// What became of a topic to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    Created,
    /// It was there, and was left alone.
    AlreadyThere,
}

/// A connection for questions. Blocks; to be used from a thread that may.
pub struct Admin {
    config: KafkaConfig,
    client: BaseConsumer<DefaultConsumerContext>,
}

impl Admin {
    /// Connects, and waits until a broker answers.
    ///
    /// # Errors
    /// Where none does.
    pub fn connect(config: &KafkaConfig) -> Result<Self, KafkaError> {
        Self::connect_within(config, TIMEOUT)
    }

    /// Connects within `timeout`.
    pub fn connect_within(config: &KafkaConfig, timeout: Duration) -> Result<Self, KafkaError> {
        let mut settings = config.client(&[("isolation.level", "read_committed")]);
        settings.set_log_level(RDKafkaLogLevel::Error);
        let client: BaseConsumer = settings
            .create()
            .map_err(|error| KafkaError::settings(&error))?;
        client
            .fetch_metadata(None, timeout)
            .map_err(|error| KafkaError::Unreachable {
                brokers: config.brokers.clone(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            config: config.clone(),
            client,
        })
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> Result<String, KafkaError> {
        let none = || KafkaError::failed("tell the cluster's id", "the broker has none");
        self.client
            .client()
            .fetch_cluster_id(TIMEOUT)
            .filter(|id| !id.is_empty())
            .ok_or_else(none)
    }

    /// The ids of topics; those that do not exist are left out, and `-` stands for none.
    pub fn topic_ids(&self, topics: &[String]) -> Result<BTreeMap<String, String>, KafkaError> {
        topic_ids(self.client.client(), topics, TIMEOUT)
    }

    /// The partitions of topics; a topic that does not exist has none.
    pub fn partitions(&self, topics: &[String]) -> Result<Vec<TopicPartition>, KafkaError> {
        let metadata = self.client.fetch_metadata(None, TIMEOUT);
        let metadata = metadata.map_err(|error| KafkaError::failed("list topics", &error))?;
        let mut partitions = Vec::new();
        for topic in metadata
            .topics()
            .iter()
            .filter(|topic| topics.iter().any(|name| name == topic.name()))
        {
            partitions.extend(topic.partitions().iter().map(|partition| TopicPartition {
                topic: topic.name().into(),
                partition: partition.id(),
            }));
        }
        partitions.sort();
        Ok(partitions)
    }

    /// The names of all topics.
    pub fn topics(&self) -> Result<Vec<String>, KafkaError> {
        let metadata = self.client.fetch_metadata(None, TIMEOUT);
        let metadata = metadata.map_err(|error| KafkaError::failed("list topics", &error))?;
        Ok(metadata
            .topics()
            .iter()
            .map(|topic| topic.name().to_owned())
            .collect())
    }

    /// The first offset and the last stable offset of each partition of topics.
    pub fn ranges(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<TopicPartition, (i64, i64)>, KafkaError> {
        let range = |at: TopicPartition| {
            let found = self
                .client
                .fetch_watermarks(&at.topic, at.partition, TIMEOUT);
            let found = found.map_err(|error| {
                KafkaError::failed(format!("say where the log of {at} ends"), &error)
            })?;
            Ok((at, found))
        };
        self.partitions(topics)?.into_iter().map(range).collect()
    }

    /// Which member of the group reads which partition, by the member's client id and host.
    pub fn owners(&self) -> Result<BTreeMap<TopicPartition, String>, KafkaError> {
        let group = &self.config.group;
        let groups = self.client.fetch_group_list(Some(group), TIMEOUT);
        let groups = groups
            .map_err(|error| KafkaError::failed(format!("describe the group {group}"), &error))?;
        let mut owners = BTreeMap::new();
        for member in groups
            .groups()
            .iter()
            .flat_map(rdkafka::groups::GroupInfo::members)
        {
            let name = format!("{}{}", member.id(), member.client_host());
            for at in member.assignment().map(assignment).unwrap_or_default() {
                owners.insert(at, name.clone());
            }
        }
        Ok(owners)
    }

    /// Creates topics; those that are there are left alone.
    pub async fn create(&self, topics: &[TopicSpec]) -> Result<Vec<(String, Created)>, KafkaError> {
        let admin: AdminClient<DefaultClientContext> = self
            .config
            .client(&[])
            .create()
            .map_err(|error| KafkaError::settings(&error))?;
        let options = AdminOptions::new()
            .operation_timeout(Some(TIMEOUT))
            .request_timeout(Some(TIMEOUT));
        // One by one: a broker that already has the first must not keep us from the second.
        let mut created = Vec::new();
        for topic in topics {
            let mut new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(-1));
            for (key, value) in &topic.settings {
                new = new.set(key, value);
            }
            let failed = |reason: String| {
                KafkaError::failed(format!("create the topic {}", topic.name), &reason)
            };
            let results = admin
                .create_topics([&new], &options)
                .await
                .map_err(|error| failed(error.to_string()))?;
            for result in results {
                let outcome = match result {
                    Ok(_) => Created::Created,
                    Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Created::AlreadyThere,
                    Err((_, code)) => return Err(failed(code.to_string())),
                };
                created.push((topic.name.clone(), outcome));
            }
        }
        Ok(created)
    }
}

/// Reads a member's assignment: `version topics[name partitions[i32]] …`, big-endian, as Kafka's consumer
/// protocol lays it out. What cannot be read is no assignment.
fn assignment(bytes: &[u8]) -> Vec<TopicPartition> {
    parse(bytes).unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Option<Vec<TopicPartition>> {
    let mut rest = bytes.get(2..)?;
    let mut found = Vec::new();
    for _ in 0..int(&mut rest)? {
        let (size, after) = rest.split_first_chunk::<2>()?;
        let size = usize::from(u16::from_be_bytes(*size));
        let topic = std::str::from_utf8(after.get(..size)?).ok()?;
        rest = after.get(size..)?;
        for _ in 0..int(&mut rest)? {
            found.push(TopicPartition {
                topic: topic.into(),
                partition: int(&mut rest)?,
            });
        }
    }
    Some(found)
}

fn int(rest: &mut &[u8]) -> Option<i32> {
    let (value, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_and_a_torn_one_is_none() {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 3];
        bytes.extend(b"abc");
        bytes.extend([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7]);
        let whole = assignment(&bytes);
        assert_eq!(
            whole.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["abc/0", "abc/7"]
        );
        for cut in 0..bytes.len() {
            assert_eq!(assignment(&bytes[..cut]), [], "cut at {cut}");
        }
    }
}
