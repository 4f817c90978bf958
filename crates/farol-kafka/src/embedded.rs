//! The embedded broker: Kafka's protocol in this process, on loopback, with its data in one SQLite file.
//!
//! It runs on a runtime of its own, so that it answers whatever else the process does. One process at a time
//! owns a directory, by a file lock that the operating system drops with the process; others find the
//! broker's address in a file beside it. Data, topics, group offsets and the cluster's id outlive restarts.
//!
//! What it lacks, as seen from librdkafka: transactions, and topics that create themselves.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tansu_broker::broker::Broker;
use tansu_broker::coordinator::group::administrator::Controller;
use tansu_storage::StorageContainer;
use tokio::runtime::Runtime;
use url::Url;
use uuid::Uuid;

use crate::error::KafkaError;

/// How long the broker may take to answer after its start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The broker's number in its cluster of one.
const NODE_ID: i32 = 111;

/// Where a running broker answers, for other processes.
#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    address: SocketAddr,
    cluster_id: String,
    process_id: u32,
}

/// A broker that runs in this process. Dropping it ends it.
pub struct EmbeddedBroker {
    address: SocketAddr,
    runtime: Option<Runtime>,
    home: PathBuf,
    /// Held while the broker runs.
    _lock: File,
}

impl EmbeddedBroker {
    /// Starts the broker of a directory. Where `address` is taken, a free port is used instead.
    ///
    /// # Errors
    /// Where another process runs it already, or its data cannot be opened.
    pub fn start(dir: &Path, address: SocketAddr) -> Result<Self, KafkaError> {
        let home = home(dir);
        let wrong = |reason: String| KafkaError::Embedded {
            dir: home.display().to_string(),
            reason,
        };
        fs::create_dir_all(&home).map_err(|error| wrong(error.to_string()))?;
        let lock = lock(&home).map_err(|error| wrong(error.to_string()))?;
        let lock = lock.ok_or_else(|| wrong("another process runs it already".to_owned()))?;
        let cluster_id = cluster_id(&home).map_err(|error| wrong(error.to_string()))?;
        let address = free_address(address).map_err(|error| wrong(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("farol-broker")
            .enable_all()
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let failure = serve(&runtime, &home, &cluster_id, address).map_err(&wrong)?;
        wait(address, &failure).map_err(&wrong)?;
        let notice = Notice {
            address,
            cluster_id,
            process_id: std::process::id(),
        };
        write_notice(&home, &notice).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            address,
            runtime: Some(runtime),
            home,
            _lock: lock,
        })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the broker. Its data stays.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            if let Err(error) = fs::remove_file(self.home.join("address.json")) {
                tracing::debug!("the broker's notice was not removed: {error}");
            }
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
    }

    /// The address of the broker that another process, or another part of this one, runs for a directory.
    pub fn find(dir: &Path) -> Option<String> {
        let home = home(dir);
        // A lock that we get is one that nobody holds: what the notice says is out of date.
        if !home.is_dir() || lock(&home).ok()?.is_some() {
            return None;
        }
        let notice: Notice =
            serde_json::from_slice(&fs::read(home.join("address.json")).ok()?).ok()?;
        Some(notice.address.to_string())
    }

    /// The running broker of a directory, else one started here.
    pub fn connect_or_start(
        dir: &Path,
        address: SocketAddr,
    ) -> Result<(String, Option<Self>), KafkaError> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(found) = Self::find(dir) {
                return Ok((found, None));
            }
            match Self::start(dir, address) {
                Ok(broker) => return Ok((broker.address.to_string(), Some(broker))),
                // Another process has just taken the lock and will say its address in a moment.
                Err(_) if is_locked(dir) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.end();
    }
}

fn home(dir: &Path) -> PathBuf {
    dir.join("broker")
}

/// Takes the directory's lock; `None` where another has it.
fn lock(home: &Path) -> io::Result<Option<File>> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(home.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_locked(dir: &Path) -> bool {
    matches!(lock(&home(dir)), Ok(None))
}

/// The cluster's id, which is as old as its data.
fn cluster_id(home: &Path) -> io::Result<String> {
    let path = home.join("cluster_id");
    match fs::read_to_string(&path) {
        Ok(id) if !id.trim().is_empty() => Ok(id.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            let id = Uuid::new_v4().to_string();
            fs::write(&path, &id)?;
            Ok(id)
        }
    }
}

fn free_address(wanted: SocketAddr) -> io::Result<SocketAddr> {
    match TcpListener::bind(wanted) {
        Ok(listener) => listener.local_addr(),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0))?.local_addr()
        }
        Err(error) => Err(error),
    }
}

/// Why the broker ended, once it has.
type Failure = std::sync::mpsc::Receiver<String>;

fn serve(
    runtime: &Runtime,
    home: &Path,
    cluster_id: &str,
    address: SocketAddr,
) -> Result<Failure, String> {
    let listener = Url::parse(&format!("tcp://{address}")).map_err(|error| error.to_string())?;
    let storage = storage_url(home)?;
    let builder = Broker::<Controller<StorageContainer>, StorageContainer>::builder()
        .node_id(NODE_ID)
        .cluster_id(cluster_id)
        .incarnation_id(Uuid::new_v4())
        .advertised_listener(listener.clone())
        .storage(storage)
        .listener(listener)
        .silent(true);
    let (report, failure) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let ended = match builder.build().await {
            Ok(mut broker) => broker
                .serve(Instant::now().into())
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let reason = ended.err().unwrap_or_else(|| "it ended".to_owned());
        tracing::error!("the embedded broker: {reason}");
        // Nobody listens any more once the start has succeeded.
        let _ = report.send(reason);
    });
    Ok(failure)
}

/// The data file's address. The storage takes the path as it stands in the URL, and an absolute one only
/// with a second slash.
fn storage_url(home: &Path) -> Result<Url, String> {
    let data = std::path::absolute(home.join("broker.db")).map_err(|error| error.to_string())?;
    let path = data
        .to_str()
        .ok_or("its path is not UTF-8; choose another --dir")?;
    let url = Url::parse(&format!("sqlite:///{path}")).map_err(|error| error.to_string())?;
    if url.path() != format!("/{path}") || url.query().is_some() {
        return Err(format!(
            "its path `{path}` has characters that a URL escapes; choose another --dir"
        ));
    }
    Ok(url)
}

/// Waits until the broker answers.
fn wait(address: SocketAddr, failure: &Failure) -> Result<(), String> {
    let deadline = Instant::now() + START_TIMEOUT;
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        if let Ok(reason) = failure.recv_timeout(Duration::from_millis(20)) {
            return Err(reason);
        }
        if Instant::now() >= deadline {
            return Err(format!(
                "no answer at {address} within {} s",
                START_TIMEOUT.as_secs()
            ));
        }
    }
    Ok(())
}

/// Written whole and then renamed, so that no reader sees half of it.
fn write_notice(home: &Path, notice: &Notice) -> io::Result<()> {
    let text = serde_json::to_vec(notice)?;
    let draft = home.join("address.json.new");
    fs::write(&draft, text)?;
    fs::rename(draft, home.join("address.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_a_url_would_change_is_refused() {
        assert_eq!(
            storage_url(Path::new("/a/b")).unwrap().as_str(),
            "sqlite:////a/b/broker.db"
        );
        assert!(
            storage_url(Path::new("/a b"))
                .unwrap_err()
                .contains("--dir")
        );
    }
}
