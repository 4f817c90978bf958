//! From the command line's FILEs to events: which files of a directory belong to a format, and how
//! several are put together.

use std::path::{Path, PathBuf};

use super::{
    azure::Azure, error::EmitError, lines::BytesRead, merge, mooncake::Mooncake, ndjson::Ndjson,
    record::Events, servegen,
};

/// What the files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Events as they are, one JSON object a line
    Ndjson,
    /// Azure LLM inference traces: CSV with TIMESTAMP,ContextTokens,GeneratedTokens
    AzureLlm,
    /// Mooncake traces: JSON lines with timestamp, input_length, output_length, hash_ids
    Mooncake,
    /// ServeGen parameters: a directory of chunk-N-trace.csv and chunk-N-dataset.json, or single trace files
    Servegen,
}

impl Format {
    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Ndjson => &[".ndjson", ".jsonl"],
            Self::AzureLlm => &[".csv"],
            Self::Mooncake => &[".jsonl"],
            Self::Servegen => &["-trace.csv"],
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Ndjson => ".ndjson or .jsonl",
            Self::AzureLlm => ".csv",
            Self::Mooncake => ".jsonl",
            Self::Servegen => "-trace.csv",
        }
    }
}

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct Input {
    /// The format of every file.
    pub format: Format,
    /// The files, directories already replaced by what they hold.
    pub files: Vec<PathBuf>,
    /// The service given on the command line.
    pub service: Option<String>,
    /// Where a trace that counts its time from zero begins, microseconds since 1970.
    pub start_us: i64,
    /// Whether lines of NDJSON are sent unchecked.
    pub unchecked: bool,
}

impl Input {
    /// Opens everything. Lines of NDJSON come file by file in their order; workloads come by time.
    pub fn open(&self, read: &BytesRead) -> Result<Events, EmitError> {
        let service = self.service.as_deref();
        let mut sources: Vec<Events> = Vec::new();
        for file in &self.files {
            let read = BytesRead::clone(read);
            sources.push(match self.format {
                Format::Ndjson => {
                    // Opened when its turn comes, so that any number of files can be given.
                    let (input, file) = (self.clone(), file.clone());
                    let open = move || match Ndjson::open(
                        &file,
                        input.service.as_deref(),
                        input.unchecked,
                        read,
                    ) {
                        Ok(lines) => Box::new(lines) as Events,
                        Err(error) => Box::new(std::iter::once(Err(error))),
                    };
                    Box::new(std::iter::once_with(open).flatten())
                }
                Format::AzureLlm => Box::new(Azure::open(file, service, read)?),
                Format::Mooncake => Box::new(Mooncake::open(file, service, self.start_us, read)?),
                Format::Servegen => Box::new(servegen::Client::open(file, service, self.start_us)?),
            });
        }
        Ok(match self.format {
            Format::Ndjson => Box::new(sources.into_iter().flatten()),
            _ => merge::by_time(sources),
        })
    }

    /// Bytes to be read in all, where progress can be told by them.
    pub fn bytes(&self) -> Option<u64> {
        if self.format == Format::Servegen || self.reads_stdin() {
            return None;
        }
        self.files
            .iter()
            .map(|file| std::fs::metadata(file).ok().map(|metadata| metadata.len()))
            .sum()
    }

    /// Whether standard input is among the files: it can be read only once.
    pub fn reads_stdin(&self) -> bool {
        self.files.iter().any(|file| file == Path::new("-"))
    }
}

/// Replaces directories by the files below them that have the format's ending, in the order of their names.
pub fn files(format: Format, given: &[PathBuf]) -> Result<Vec<PathBuf>, EmitError> {
    let mut files = Vec::new();
    for path in given {
        if path.is_dir() {
            let before = files.len();
            collect(format, path, &mut files)?;
            if files.len() == before {
                return Err(EmitError::NothingFound {
                    directory: path.clone(),
                    expected: format.expected(),
                });
            }
        } else {
            // Files are opened when their turn comes; a wrong name is told at once all the same.
            if path != Path::new("-") {
                std::fs::metadata(path).map_err(|source| EmitError::Read {
                    file: path.clone(),
                    source,
                })?;
            }
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn collect(format: Format, directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), EmitError> {
    let read_error = |source| EmitError::Read {
        file: directory.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(directory).map_err(read_error)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(read_error)?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            collect(format, &path, files)?;
        } else if format.endings().iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_its_files_of_the_format() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let root = directory.path();
        std::fs::create_dir(root.join("m")).expect("a folder");
        for name in [
            "m/chunk-1-trace.csv",
            "m/chunk-1-dataset.json",
            "m/chunk-0-trace.csv",
            "README.md",
        ] {
            std::fs::write(root.join(name), "").expect("a file");
        }
        let found = files(Format::Servegen, &[root.to_owned()]).expect("files");
        assert_eq!(
            found,
            [
                root.join("m/chunk-0-trace.csv"),
                root.join("m/chunk-1-trace.csv")
            ]
        );
        let error = files(Format::Mooncake, &[root.to_owned()])
            .expect_err("no such files")
            .to_string();
        assert!(error.contains("no file ending in .jsonl"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let input = Input {
            format: Format::AzureLlm,
            files: vec!["/nowhere/at/all.csv".into()],
            service: None,
            start_us: 0,
            unchecked: false,
        };
        let Err(error) = input.open(&BytesRead::default()) else {
            panic!("there is no such file")
        };
        assert!(
            error.to_string() == "cannot read /nowhere/at/all.csv",
            "{error}"
        );
    }
}
