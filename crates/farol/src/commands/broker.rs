//! `farol broker`: only the embedded broker.

use anyhow::Context as _;
use farol_kafka::EmbeddedBroker;

use crate::cli::BrokerArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::output;

/// Runs the embedded broker until a signal.
pub async fn run(context: &Context, arguments: &BrokerArgs) -> anyhow::Result<Exit> {
    if let Some(address) = EmbeddedBroker::find(&context.dir) {
        anyhow::bail!(
            "the broker of {} runs already, at {address}",
            context.dir.display()
        );
    }
    let shutdown = context.shutdown()?;
    let address = arguments.addr.unwrap_or(context.config.kafka.embedded);
    let broker = EmbeddedBroker::start(&context.dir, address).with_context(|| {
        format!(
            "cannot start the embedded broker in {}",
            context.dir.display()
        )
    })?;
    if context.json {
        output::json(
            &serde_json::json!({ "address": broker.address().to_string(), "dir": context.dir }),
        )?;
    } else {
        output::line(&format!(
            "broker at {}, data in {}; Ctrl-C stops it",
            broker.address(),
            context.dir.display()
        ))?;
    }
    shutdown.cancelled().await;
    // It has a runtime of its own, whose end blocks.
    tokio::task::block_in_place(|| broker.shutdown());
    Ok(Exit::Done)
}
