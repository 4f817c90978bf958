//! `farol up --demo` shows the flow: events, freshness, the measures of each service, and alerts as they come and go.
//!
//! ```text
//! lake: marks, measures, actions ──▶ reading ──▶ Flow ──▶ picture (pure) ──▶ a block on the terminal, or lines
//! ```
//!
//! It knows what the lake says and nothing else: what is shown was stored, measured and decided.

mod picture;
mod reading;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::output;
use crate::screen::{self, Block};
use picture::Flow;
use reading::Reader;

/// How often the lake is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How often a line is printed where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the flow until it is told to stop. That it cannot be shown is said, and stops nothing else.
pub async fn show(context: Arc<Context>, shutdown: CancellationToken) {
    let mut view = View {
        block: std::io::stderr().is_terminal().then(Block::begin),
        said: Instant::now(),
        failing: false,
    };
    let mut reader = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        let looked = tokio::select! {
            () = shutdown.cancelled() => return,
            looked = look(&context, &mut reader) => looked,
        };
        let shown = looked.and_then(|(flow, told)| view.show(&flow, &told));
        match shown {
            Ok(()) => view.failing = false,
            Err(error) => {
                if !view.failing {
                    tracing::warn!("the flow cannot be shown at present: {error:#}");
                }
                view.failing = true;
                reader = None;
            }
        }
    }
}

async fn look(
    context: &Context,
    reader: &mut Option<Reader>,
) -> anyhow::Result<(Flow, Vec<picture::Told>)> {
    let mut open = match reader.take() {
        Some(open) => open,
        None => {
            Reader::open(
                context.lake().await?,
                context.input_topics(),
                context.jobs().await?,
            )
            .await?
        }
    };
    let looked = open.look().await;
    *reader = Some(open);
    looked
}

struct View {
    block: Option<Block>,
    /// When the last line was printed.
    said: Instant,
    /// Whether it was said that nothing can be shown.
    failing: bool,
}

impl View {
    fn show(&mut self, flow: &Flow, told: &[picture::Told]) -> anyhow::Result<()> {
        for one in told {
            screen::above(|| output::line(&picture::told(one)))?;
        }
        match &self.block {
            Some(block) => block.draw(&picture::block(flow)),
            None if self.said.elapsed() >= LINE_INTERVAL => {
                self.said = Instant::now();
                output::line(&picture::line(flow))?;
            }
            None => {}
        }
        Ok(())
    }
}
