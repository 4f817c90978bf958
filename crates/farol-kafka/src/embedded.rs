//! The embedded broker: Kafka's protocol in this process, on loopback, with its data in one SQLite file.
//!
//! It runs on a runtime of its own, so that it answers whatever else the process does. One process at a time
//! owns a directory, by a file lock that the operating system drops with the process; others find the
//! broker's address in a file beside it. Data, topics, group offsets and the cluster's id outlive restarts; the
//! members of groups do not, whose connections ended.
//!
//! What it lacks, as seen from librdkafka (tansu 0.6):
//! - Records of 5 MiB or more, key and value together: they are taken and never given out, and their partition
//!   is not read past them. Keep records below that, or use Apache Kafka.
//! - Deleting a topic while librdkafka reads it: the answer to the next fetch has neither the topic's id nor its
//!   name, and librdkafka 2.12 crashes the process of the reader on that. Stop the readers first.
//! - Deleting records (retention works), transactions, and topics that create themselves.
//! - Members of a group: listing them ends the connection, so owners are not known.

mod data;

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
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

/// How long a look at the lock may hold it.
const LOOK: Duration = Duration::from_millis(200);

/// How long to wait before serving again after a failure.
const SERVE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The broker's number in its cluster of one.
const NODE_ID: i32 = 111;

/// Where a running broker answers, for other processes.
#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    address: SocketAddr,
    cluster_id: String,
    process_id: u32,
}

/// A broker that runs in this process. Dropping it ends it, and blocks for a moment: not on a runtime's thread.
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
        let elsewhere = || wrong(&home, "another process runs it already");
        Self::start_unless_running(dir, address)?.ok_or_else(elsewhere)
    }

    /// Starts the broker of a directory; `None` where another process runs it.
    fn start_unless_running(dir: &Path, address: SocketAddr) -> Result<Option<Self>, KafkaError> {
        let home = home(dir);
        let prepared = prepare(&home, address).map_err(|error| wrong(&home, &error))?;
        let Some(Prepared {
            lock,
            cluster_id,
            address,
        }) = prepared
        else {
            return Ok(None);
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("farol-broker")
            .enable_all()
            .build()
            .map_err(|error| wrong(&home, &error))?;
        let started = serve(&runtime, &home, &cluster_id, address)
            .and_then(|failure| wait(address, &failure))
            .and_then(|()| {
                let notice = Notice {
                    address: advertised(address),
                    cluster_id,
                    process_id: std::process::id(),
                };
                write_notice(&home, &notice).map_err(|error| error.to_string())
            });
        if let Err(reason) = started {
            // Dropping it would block, which a caller on a runtime's thread may not.
            runtime.shutdown_background();
            return Err(wrong(&home, &reason));
        }
        Ok(Some(Self {
            address: advertised(address),
            runtime: Some(runtime),
            home,
            _lock: lock,
        }))
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
            if let Err(error) = fs::remove_file(notice_path(&self.home)) {
                tracing::debug!("the broker's notice was not removed: {error}");
            }
            // What is under way is cut off between its steps: a transaction that was not committed is rolled
            // back, and its client was not told otherwise.
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
    }

    /// The address of the broker that another process, or another part of this one, runs for a directory.
    pub fn find(dir: &Path) -> Option<String> {
        let home = home(dir);
        // A lock that we get is one that nobody holds: what the notice says is out of date.
        if !home.is_dir() || try_lock(&home).ok()?.is_some() {
            return None;
        }
        let notice: Notice = serde_json::from_slice(&fs::read(notice_path(&home)).ok()?).ok()?;
        Some(notice.address.to_string())
    }

    /// The running broker of a directory, else one started here.
    ///
    /// # Errors
    /// As [`EmbeddedBroker::start`], or where the process that runs it does not say where it answers.
    pub fn connect_or_start(
        dir: &Path,
        address: SocketAddr,
    ) -> Result<(String, Option<Self>), KafkaError> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(found) = Self::find(dir) {
                return Ok((found, None));
            }
            if let Some(broker) = Self::start_unless_running(dir, address)? {
                return Ok((broker.address.to_string(), Some(broker)));
            }
            // Another process has just taken the lock and will say its address in a moment.
            if Instant::now() >= deadline {
                return Err(wrong(
                    &home(dir),
                    "another process holds its lock, and does not say where it answers",
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.end();
    }
}

fn wrong(home: &Path, reason: &(impl ToString + ?Sized)) -> KafkaError {
    KafkaError::Embedded {
        dir: home.display().to_string(),
        reason: reason.to_string(),
    }
}

fn home(dir: &Path) -> PathBuf {
    dir.join("broker")
}

fn notice_path(home: &Path) -> PathBuf {
    home.join("address.json")
}

/// What a broker needs before it starts.
struct Prepared {
    lock: File,
    cluster_id: String,
    address: SocketAddr,
}

/// Makes the directory, takes its lock and finds an address; `None` where another process has the lock.
fn prepare(home: &Path, address: SocketAddr) -> io::Result<Option<Prepared>> {
    fs::create_dir_all(home)?;
    let Some(lock) = lock(home)? else {
        return Ok(None);
    };
    // The notice of a broker that was killed must not be taken for ours.
    match fs::remove_file(notice_path(home)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok(Some(Prepared {
        lock,
        cluster_id: cluster_id(home)?,
        address: free_address(address)?,
    }))
}

/// Takes the directory's lock; `None` where another has it, and not just for the moment that
/// [`EmbeddedBroker::find`] takes to look.
fn lock(home: &Path) -> io::Result<Option<File>> {
    let deadline = Instant::now() + LOOK;
    loop {
        match try_lock(home)? {
            None if Instant::now() < deadline => std::thread::sleep(LOOK / 20),
            outcome => return Ok(outcome),
        }
    }
}

fn try_lock(home: &Path) -> io::Result<Option<File>> {
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

/// Why the broker stopped serving.
type Failure = std::sync::mpsc::Receiver<String>;

fn serve(
    runtime: &Runtime,
    home: &Path,
    cluster_id: &str,
    address: SocketAddr,
) -> Result<Failure, String> {
    let url = |address: SocketAddr| {
        Url::parse(&format!("tcp://{address}")).map_err(|error| error.to_string())
    };
    let builder = Broker::<Controller<StorageContainer>, StorageContainer>::builder()
        .node_id(NODE_ID)
        .cluster_id(cluster_id)
        .incarnation_id(Uuid::new_v4())
        .advertised_listener(url(advertised(address))?)
        .storage(storage_url(home)?)
        .listener(url(address)?)
        .silent(true);
    let data = data_file(home)?;
    let (report, failure) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        if let Err(error) = data::forget_members(&data).await {
            return tell(&report, format!("its groups: {error}"));
        }
        let mut broker = match builder.build().await {
            Ok(broker) => broker,
            Err(error) => return tell(&report, error.to_string()),
        };
        if let Err(error) = data::index_headers(&data).await {
            return tell(&report, format!("the index of its headers: {error}"));
        }
        loop {
            let ended = broker.serve(tokio::time::Instant::now()).await;
            tell(
                &report,
                ended.err().map_or_else(
                    || "it ended by itself".to_owned(),
                    |error| error.to_string(),
                ),
            );
            tokio::time::sleep(SERVE_AGAIN_AFTER).await;
        }
    });
    Ok(failure)
}

fn tell(report: &std::sync::mpsc::Sender<String>, reason: String) {
    tracing::error!("the embedded broker: {reason}");
    if report.send(reason).is_err() {
        // Only the start listens; later failures are told by the log alone.
        tracing::debug!("the embedded broker serves again");
    }
}

/// What clients are told to connect to: listening everywhere is not an address.
fn advertised(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        };
        address.set_ip(loopback);
    }
    address
}

/// Where the broker's data is.
fn data_file(home: &Path) -> Result<PathBuf, String> {
    std::path::absolute(home.join("broker.db")).map_err(|error| error.to_string())
}

/// The data file's address. The storage takes the path as it stands in the URL, and an absolute one only
/// with a second slash.
fn storage_url(home: &Path) -> Result<Url, String> {
    let data = data_file(home)?;
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
    while TcpStream::connect_timeout(&advertised(address), Duration::from_secs(1)).is_err() {
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
    fn an_address_that_means_everywhere_is_not_told_to_clients() {
        let told = |address: &str| advertised(address.parse().unwrap()).to_string();
        assert_eq!(told("0.0.0.0:9092"), "127.0.0.1:9092");
        assert_eq!(told("[::]:9092"), "[::1]:9092");
        assert_eq!(told("127.0.0.1:9092"), "127.0.0.1:9092");
    }

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
