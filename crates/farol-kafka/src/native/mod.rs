//! What the safe client has no words for, in terms of librdkafka itself: batches of messages that are not
//! copied, and topic ids. All of the crate's unsafe code is here, each module around one kind of handle.
//!
//! Measured: taking messages in batches from a queue costs the process about 520 ns a message, polling them
//! one by one 780.
#![allow(unsafe_code)]

pub(crate) mod messages;
pub(crate) mod queue;
pub(crate) mod topic_ids;
