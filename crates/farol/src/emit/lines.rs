//! Lines of a file, one at a time, within a bounded buffer.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::error::EmitError;

/// The longest line that is read, in bytes. A longer one is reported and left out; it is never held.
pub const LINE_BYTES_MAX: usize = 32 << 20;

/// Bytes read so far over all inputs of a command, for its progress bar.
pub type BytesRead = Arc<AtomicU64>;

/// Reads a file, or standard input, line by line.
pub struct Lines {
    file: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: u64,
    buffer: Vec<u8>,
    read: BytesRead,
    bytes_max: usize,
}

impl Lines {
    /// Opens `file`; `-` is standard input.
    pub fn open(file: &Path, read: BytesRead) -> Result<Self, EmitError> {
        let (name, reader): (&Path, Box<dyn BufRead + Send>) = if file == Path::new("-") {
            let reader = BufReader::with_capacity(256 << 10, io::stdin());
            (Path::new("standard input"), Box::new(reader))
        } else {
            let opened = File::open(file).map_err(|source| EmitError::Read {
                file: file.to_owned(),
                source,
            })?;
            (file, Box::new(BufReader::with_capacity(256 << 10, opened)))
        };
        Ok(Self::new(name.to_owned(), reader, read, LINE_BYTES_MAX))
    }

    fn new(
        file: PathBuf,
        reader: Box<dyn BufRead + Send>,
        read: BytesRead,
        bytes_max: usize,
    ) -> Self {
        Self {
            file,
            reader,
            line: 0,
            buffer: Vec::new(),
            read,
            bytes_max,
        }
    }

    /// The file that is read.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The number of the line that was read last, counted from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// A fault of the line that was read last.
    pub fn fault(&self, reason: impl Into<String>) -> EmitError {
        EmitError::Line {
            file: self.file.clone(),
            line: self.line,
            reason: reason.into(),
        }
    }

    /// The next line without its line end; `None` at the end of the file.
    ///
    /// A line above the limit is skipped and reported as [`EmitError::Line`].
    pub fn next_line(&mut self) -> Option<Result<&[u8], EmitError>> {
        self.buffer.clear();
        let limit = self.bytes_max as u64 + 1;
        match self
            .reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut self.buffer)
        {
            Ok(0) => return None,
            Ok(bytes) => self.read.fetch_add(bytes as u64, Ordering::Relaxed),
            Err(source) => {
                return Some(Err(EmitError::Read {
                    file: self.file.clone(),
                    source,
                }));
            }
        };
        self.line += 1;
        if self.buffer.len() > self.bytes_max && self.buffer.last() != Some(&b'\n') {
            if let Err(source) = self.skip_rest_of_line() {
                return Some(Err(EmitError::Read {
                    file: self.file.clone(),
                    source,
                }));
            }
            return Some(Err(
                self.fault(format!("the line is longer than {} bytes", self.bytes_max))
            ));
        }
        let mut line = self.buffer.as_slice();
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(Ok(line))
    }

    fn skip_rest_of_line(&mut self) -> io::Result<()> {
        self.buffer = Vec::new();
        loop {
            let available = self.reader.fill_buf()?;
            let (used, done) = match available.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (available.len(), available.is_empty()),
            };
            self.reader.consume(used);
            self.read.fetch_add(used as u64, Ordering::Relaxed);
            if done {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(text: &'static [u8], bytes_max: usize) -> Vec<Result<String, String>> {
        let mut lines = Lines::new("f".into(), Box::new(text), BytesRead::default(), bytes_max);
        let mut found = Vec::new();
        while let Some(line) = lines.next_line() {
            found.push(match line {
                Ok(line) => Ok(String::from_utf8_lossy(line).into_owned()),
                Err(error) => Err(error.to_string()),
            });
        }
        found
    }

    #[test]
    fn ends_of_lines_and_of_the_file() {
        assert_eq!(
            collect(b"a\r\nb\n\nc", 10),
            [
                Ok("a".into()),
                Ok("b".into()),
                Ok(String::new()),
                Ok("c".into())
            ]
        );
        assert!(collect(b"", 10).is_empty());
    }

    #[test]
    fn a_long_line_is_reported_and_the_next_one_is_read() {
        assert_eq!(
            collect(b"12345\n123456789\nok\n", 5),
            [
                Ok("12345".into()),
                Err("f:2: the line is longer than 5 bytes".into()),
                Ok("ok".into())
            ]
        );
    }
}
