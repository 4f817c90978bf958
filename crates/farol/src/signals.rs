//! SIGTERM and Ctrl-C: the first asks to finish the batch in hand, the second ends at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Listens from now on and gives the token that the first signal cancels.
pub fn shutdown_token() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            let code = tokio::select! {
                _ = terminate.recv() => 143,
                _ = interrupt.recv() => 130,
            };
            if asked {
                std::process::exit(code);
            }
            asked = true;
            tracing::info!("finishing the batch in hand; a second signal ends at once");
            cancelled.cancel();
        }
    });
    Ok(token)
}
