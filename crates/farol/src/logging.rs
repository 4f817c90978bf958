//! Diagnostics on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::screen::LogWriter;

/// Libraries whose word is not for operators. The kernel of the Delta library calls a table that is not there
/// yet an error; the embedded broker calls a client that leaves one, and answers what it cannot do with one.
const CHATTY: &str = "librdkafka=error,rdkafka=error,tansu_broker=off,tansu_storage=off,tansu_service=off,\
    tansu_sans_io=off,tansu=off,libsql=error,deltalake=error,deltalake_core=error,delta_kernel=off,\
    buoyant_kernel=off,datafusion=warn,object_store=warn,sqlparser=warn,hyper=warn,rustyline=warn";

/// Begins to print diagnostics. `RUST_LOG`, where set, decides alone.
pub fn start(quiet: bool, verbose: u8) {
    let directives = match (quiet, verbose) {
        (true, _) => "error".to_owned(),
        (false, 0) => format!("info,{CHATTY}"),
        (false, 1) => format!(
            "info,{CHATTY},farol=debug,farol_events=debug,farol_kafka=debug,farol_lake=debug,farol_ingest=debug,farol_server=debug"
        ),
        (false, _) => "debug".to_owned(),
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| LogWriter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(verbose > 0)
        .init();
}
