//! `farol up`: everything in one process.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::{Role, UpArgs};
use crate::context::{Context, Kafka};
use crate::exit::Exit;
use crate::flow;
use crate::output;
use crate::simulate;

use super::roles::{self, Addresses, Plan};
use super::topics;

/// Runs everything until a signal.
pub async fn run(context: Context, arguments: UpArgs) -> anyhow::Result<Exit> {
    let context = Arc::new(context);
    let held = hold(&context.dir)?;
    context.say_not_in_effect();
    let shutdown = context.shutdown()?;
    let listeners = roles::bind(&context, &Role::ALL).await?;
    let kafka = context.kafka()?;
    let created = topics::ensure(&context, &kafka.config).await?;
    tracing::debug!(
        "{} topics created",
        created.iter().filter(|topic| topic.created).count()
    );
    say_addresses(&context, &kafka, &listeners.addresses())?;
    let demo = arguments
        .demo
        .then(|| spawn_demo(context.clone(), shutdown.clone()));
    let flow = (arguments.demo && !context.json && !context.quiet)
        .then(|| tokio::spawn(flow::show(context.clone(), shutdown.clone())));
    let plan = Plan {
        roles: &Role::ALL,
        kafka: kafka.config.clone(),
        drain: false,
        shutdown: shutdown.clone(),
        listeners,
    };
    let outcome = roles::play(&context, plan).await;
    shutdown.cancel();
    if let Some(demo) = demo {
        demo.await.context("the simulator's task")?;
    }
    if let Some(flow) = flow {
        flow.await.context("the view's task")?;
    }
    kafka.shutdown();
    drop(held);
    outcome?;
    Ok(Exit::Done)
}

/// Takes the directory for this process; another `up` in it is refused.
fn hold(directory: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    let path = directory.join("up.lock");
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            file.read_to_string(&mut owner)?;
            anyhow::bail!(
                "another `farol up` runs in {} (process {}); use it, stop it, or give --dir another directory",
                directory.display(),
                owner.trim()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

fn say_addresses(context: &Context, kafka: &Kafka, served: &Addresses) -> anyhow::Result<()> {
    let embedded = context.config.kafka.brokers.is_none();
    if context.json {
        return output::json(&serde_json::json!({
            "kafka": kafka.config.brokers, "embedded_broker": embedded, "lake": context.lake_uri(),
            "http": served.http.map(|address| address.to_string()),
            "postgres": served.postgres.map(|address| address.to_string()),
            "flight": served.flight.map(|address| address.to_string()), "dir": context.dir,
        }));
    }
    let broker = if embedded {
        " (embedded; any Kafka client can use it)"
    } else {
        ""
    };
    output::line("farol is up; Ctrl-C stops it")?;
    output::line(&format!("  kafka  {}{broker}", kafka.config.brokers))?;
    output::line(&format!("  lake   {}", context.lake_uri()))?;
    let scheme = |plain: &str| match context.config.server.tls.certificate {
        Some(_) => format!("{plain}s"),
        None => plain.to_owned(),
    };
    if let Some(address) = served.http {
        output::line(&format!(
            "  http   {}://{address}/readyz, /healthz, /metrics, /api/v1/sql",
            scheme("http")
        ))?;
    }
    if let Some(address) = served.postgres {
        output::line(&format!(
            "  psql   psql -h {} -p {} farol",
            address.ip(),
            address.port()
        ))?;
    }
    if let Some(address) = served.flight {
        let scheme = if scheme("grpc") == "grpc" {
            "grpc"
        } else {
            "grpc+tls"
        };
        output::line(&format!("  adbc   {scheme}://{address} (Flight SQL)"))?;
    }
    let dir = if context.dir == Path::new("./farol-data") {
        String::new()
    } else {
        format!(" --dir {}", context.dir.display())
    };
    output::line(&format!(
        "  try    farol{dir} sql \"SELECT service, count(*) FROM traces GROUP BY 1\""
    ))?;
    Ok(())
}

/// Simulated traffic beside the roles. Its end is not theirs: what went wrong is said, and `up` goes on.
fn spawn_demo(context: Arc<Context>, shutdown: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = simulate::demo(&context, shutdown).await {
            tracing::error!("the simulator ended: {error:#}");
        }
    })
}
