//! An object store in memory that answers puts of log entries as it is told.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What becomes of a put of a log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is stored, and the store answers 500.
    Refused,
    /// It is stored, and the answer is lost.
    AnswerLost,
    /// The store answers that it took too long; the put arrives only after the next one was tried.
    Late,
}

/// A store whose next puts of log entries go wrong as scripted, and right after that.
#[derive(Debug, Clone, Default)]
pub struct FaultyStore {
    inner: Arc<InMemory>,
    script: Arc<Mutex<VecDeque<Fault>>>,
    late: Arc<Mutex<Vec<(Path, PutPayload, PutOptions)>>>,
    /// Log entries that reading fails for, so many times.
    unreadable: Arc<Mutex<u32>>,
}

impl FaultyStore {
    /// The next puts of log entries.
    pub fn next_puts(&self, faults: &[Fault]) {
        self.script.lock().unwrap().extend(faults);
    }

    /// The next reads of log entries fail, so many times.
    pub fn next_reads_fail(&self, times: u32) {
        *self.unreadable.lock().unwrap() = times;
    }

    /// Whether everything scripted has happened.
    pub fn is_through(&self) -> bool {
        self.script.lock().unwrap().is_empty() && *self.unreadable.lock().unwrap() == 0
    }

    async fn deliver_late(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        for (path, payload, options) in late {
            // Whether it finds its place free is what the test is about.
            drop(self.inner.put_opts(&path, payload, options).await);
        }
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

fn is_entry(path: &Path) -> bool {
    path.as_ref().contains("_delta_log") && path.extension() == Some("json")
}

fn failure(what: &str) -> Error {
    Error::Generic {
        store: "FaultyStore",
        source: what.to_owned().into(),
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let fault = if is_entry(path) {
            self.script.lock().unwrap().pop_front()
        } else {
            None
        };
        match fault {
            Some(Fault::Refused) => Err(failure("500 Internal Server Error")),
            Some(Fault::AnswerLost) => {
                self.inner.put_opts(path, payload, options).await?;
                Err(failure("connection reset"))
            }
            Some(Fault::Late) => {
                self.late
                    .lock()
                    .unwrap()
                    .push((path.clone(), payload, options));
                Err(failure("timed out"))
            }
            None => {
                let put = self.inner.put_opts(path, payload, options).await;
                if is_entry(path) {
                    self.deliver_late().await;
                }
                put
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if is_entry(path) {
            let mut left = self.unreadable.lock().unwrap();
            if *left > 0 {
                *left -= 1;
                return Err(failure("503 Slow Down"));
            }
        }
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
