//! The decoding threads.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender};

use fail::fail_point;
use farol_events::Kind;

use crate::consume::Job;
use crate::coordinator::Inbox;
use crate::decode::ChunkDecoder;
use crate::error::IngestError;
use crate::options::IngestOptions;

/// Decodes what arrives until no more can.
pub(crate) fn run(jobs: &Receiver<Job>, inbox: &Sender<Inbox>, options: &IngestOptions) {
    let mut decoders = HashMap::<Kind, ChunkDecoder>::new();
    for job in jobs {
        if let Err(error) = handle(job, &mut decoders, inbox, options) {
            let _ = inbox.send(Inbox::Failed(error));
            break;
        }
    }
    // The coordinator may have ended first; then nobody waits for this.
    let _ = inbox.send(Inbox::WorkerEnded);
}

fn handle(
    job: Job,
    decoders: &mut HashMap<Kind, ChunkDecoder>,
    inbox: &Sender<Inbox>,
    options: &IngestOptions,
) -> Result<(), IngestError> {
    match job {
        Job::End { slot, offset } => inbox
            .send(Inbox::End { slot, offset })
            .map_err(|_| IngestError::ThreadEnded("coordinator")),
        Job::Messages { slot, messages } => {
            let decoder = decoders
                .entry(slot.kind)
                .or_insert_with(|| ChunkDecoder::new(slot.kind, options));
            let mut delivered = true;
            decoder.decode(&slot, &messages, |chunk| {
                delivered &= inbox.send(Inbox::Chunk(chunk)).is_ok();
                Ok(())
            })?;
            fail_point!("ingest.after_decode", |_| Err(IngestError::Failpoint(
                "ingest.after_decode"
            )));
            if delivered {
                Ok(())
            } else {
                Err(IngestError::ThreadEnded("coordinator"))
            }
        }
    }
}
