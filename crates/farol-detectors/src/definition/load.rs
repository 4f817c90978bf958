//! Finding detectors: those that are part of Farol, and the user's own over them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farol_jobs::{DefinitionError, Jobs};

use super::Detector;
use super::check::understand;
use super::file::Source;

/// The detectors that are part of Farol: name, YAML.
const SHIPPED: [(&str, &str); 5] = [
    (
        "measure-anomalies",
        include_str!("../../../../pipelines/detectors/measure-anomalies.yaml"),
    ),
    (
        "quality-decline",
        include_str!("../../../../pipelines/detectors/quality-decline.yaml"),
    ),
    (
        "request-drift",
        include_str!("../../../../pipelines/detectors/request-drift.yaml"),
    ),
    (
        "traffic-anomalies",
        include_str!("../../../../pipelines/detectors/traffic-anomalies.yaml"),
    ),
    (
        "version-comparison",
        include_str!("../../../../pipelines/detectors/version-comparison.yaml"),
    ),
];

/// How the files of shipped detectors are named in messages.
const PART_OF_FAROL: &str = "(part of farol)";

/// Files are read up to this size.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The most detectors that run.
const DETECTORS_MAX: usize = 1_000;

/// Where detectors are looked for.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The pipelines' directory: detectors are below `detectors` in it. It need not be there.
    pub dir: PathBuf,
    /// Whether the detectors that are part of Farol are in effect. A file of the same name replaces one in any case.
    pub builtin: bool,
}

/// Every detector that is in effect, by name.
#[derive(Debug, Clone, Default)]
pub struct Detectors(BTreeMap<String, Arc<Detector>>);

impl Detectors {
    /// The detectors, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Detector>> {
        self.0.values()
    }

    /// The detector of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Detector>> {
        self.0.get(name)
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// The one detector of that name, as a set of its own.
    pub fn only(&self, name: &str) -> Option<Self> {
        let found = self.get(name)?;
        Some(Self([(name.to_owned(), found.clone())].into()))
    }
}

/// Reads and checks every detector.
///
/// # Errors
/// Everything that is wrong with any of them, each with file, line and column.
pub fn load(sources: &Sources, jobs: &Jobs) -> Result<Detectors, Vec<DefinitionError>> {
    let mut texts = BTreeMap::new();
    let mut errors = Vec::new();
    if sources.builtin {
        for (name, yaml) in SHIPPED {
            let file = format!("{name}.yaml {PART_OF_FAROL}");
            texts.insert(name.to_owned(), (file, yaml.to_owned()));
        }
    }
    match own(&sources.dir.join("detectors")) {
        Ok(files) => {
            for (name, path) in files {
                match read_file(&path) {
                    Ok(text) => {
                        texts.insert(name, (path.display().to_string(), text));
                    }
                    Err(error) => errors.push(error),
                }
            }
        }
        Err(error) => errors.push(error),
    }
    let mut detectors = BTreeMap::new();
    for (name, (file, text)) in texts {
        let source = Source {
            file: &file,
            text: &text,
        };
        match understand(&name, source, jobs) {
            Ok(detector) => {
                detectors.insert(name, Arc::new(detector));
            }
            Err(found) => errors.extend(found),
        }
    }
    if detectors.len() > DETECTORS_MAX {
        let dir = sources.dir.join("detectors");
        let message = format!(
            "there are {} detectors; {DETECTORS_MAX} are the most",
            detectors.len()
        );
        errors.push(whole_file(&dir, message));
    }
    if errors.is_empty() {
        Ok(Detectors(detectors))
    } else {
        Err(errors)
    }
}

/// The user's files, by the name of their detector. A directory that is not there has none.
fn own(dir: &Path) -> Result<Vec<(String, PathBuf)>, DefinitionError> {
    let wrong = |error: std::io::Error| whole_file(dir, format!("cannot read it: {error}"));
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(wrong(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(wrong)?.path();
        let is_yaml = path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
        if let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            && is_yaml
        {
            files.push((name.to_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<String, DefinitionError> {
    let size = std::fs::metadata(path)
        .map_err(|error| whole_file(path, format!("cannot read it: {error}")))?
        .len();
    if size > FILE_BYTES_MAX {
        let message = format!("it is {size} bytes long; {FILE_BYTES_MAX} are the most");
        return Err(whole_file(path, message));
    }
    std::fs::read_to_string(path)
        .map_err(|error| whole_file(path, format!("cannot read it: {error}")))
}

fn whole_file(path: &Path, message: String) -> DefinitionError {
    DefinitionError {
        file: path.display().to_string(),
        line: 0,
        column: 0,
        message,
        help: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Method;
    use farol_stats::watch::Direction;

    async fn jobs() -> Jobs {
        let sources = farol_jobs::Sources {
            dir: PathBuf::from("/nonexistent"),
            builtin: true,
            max_series: 1_000,
            tags: farol_jobs::Tags::default(),
        };
        farol_jobs::load(&sources).await.unwrap()
    }

    fn one(text: &str, jobs: &Jobs) -> Result<Detector, Vec<DefinitionError>> {
        let source = Source {
            file: "d.yaml",
            text,
        };
        understand("d", source, jobs)
    }

    #[tokio::test]
    async fn the_shipped_detectors_are_good_and_look_at_what_they_say() {
        let jobs = jobs().await;
        let sources = Sources {
            dir: PathBuf::from("/nonexistent"),
            builtin: true,
        };
        let detectors = load(&sources, &jobs).unwrap();
        assert_eq!(
            detectors.names(),
            [
                "measure-anomalies",
                "quality-decline",
                "request-drift",
                "traffic-anomalies",
                "version-comparison"
            ]
        );
        let versions = detectors.get("version-comparison").unwrap();
        let compared = versions.units.iter().flat_map(|unit| &unit.measures);
        let names: Vec<&str> = compared.map(|watched| watched.measure.as_str()).collect();
        for (measure, is_mean) in [
            ("latency_mean_ms", true),
            ("thumbs_up_ratio", true),
            ("cost_per_1000_tokens", true),
            ("latency_p95_ms", false),
            ("latency_max_ms", false),
            ("cost_avoided_estimate", false),
        ] {
            assert_eq!(names.contains(&measure), is_mean, "{measure}: {names:?}");
        }
        for unit in &versions.units {
            assert_eq!(unit.by.last(), unit.compare.as_ref());
        }
        let anomalies = detectors.get("measure-anomalies").unwrap();
        let watched: usize = anomalies.units.iter().map(|unit| unit.measures.len()).sum();
        let better = jobs
            .iter()
            .filter(|job| job.name() != "quality")
            .flat_map(|job| job.measures())
            .filter(|measure| measure.better.is_some())
            .count();
        assert_eq!(watched, better, "every measure that says what is better");
        let budget: f64 = anomalies
            .units
            .iter()
            .map(|unit| unit.false_alarms_per_week)
            .sum();
        assert!((budget - 0.5).abs() < 1e-9);
        let performance = anomalies
            .units
            .iter()
            .find(|unit| unit.job == "performance");
        let of = |name: &str| {
            let measures = &performance.unwrap().measures;
            measures
                .iter()
                .find(|one| one.measure == name)
                .unwrap()
                .clone()
        };
        let rate = Method::Rate {
            ones: "errors".to_owned(),
            trials: "requests".to_owned(),
        };
        assert_eq!(of("error_rate").method, rate);
        assert_eq!(of("latency_p95_ms").method, Method::Series);
        assert_eq!(of("tokens_per_second").direction, Direction::Decrease);
        let spend = anomalies
            .units
            .iter()
            .find(|unit| unit.job == "spend")
            .unwrap();
        assert_eq!(spend.by, ["service", "currency"], "no sum over currencies");
    }

    const GOOD: &str = "name: d\non: performance\nmeasures: [error_rate]\nby: [service]\nwindow: 5m\n\
        direction: worse\nfalse_alarms_per_week: 1\n";

    #[tokio::test]
    async fn mistakes_have_line_and_column() {
        let jobs = jobs().await;
        one(GOOD, &jobs).unwrap();
        let cases = [
            ("name: d", "name: e", 1, 7, "name: d"),
            ("performance", "performanse", 2, 5, "performance"),
            ("error_rate", "eror_rate", 3, 11, "error_rate"),
            ("by: [service]", "by: [sevice]", 4, 6, "service"),
            ("window: 5m", "window: 90s", 5, 9, "1 minute"),
            ("direction: worse", "direction: up", 6, 12, ""),
            ("week: 1", "week: 0", 7, 24, "0.5"),
            ("direction: worse", "except: [spend]", 6, 10, "on: all"),
            ("measures: [error_rate]", "columns: [task]", 2, 5, "traces"),
            ("measures: [error_rate]", "", 1, 7, "measures"),
        ];
        for (good, bad, line, column, help) in cases {
            let errors = one(&GOOD.replacen(good, bad, 1), &jobs).unwrap_err();
            let found = errors
                .iter()
                .find(|error| (error.line, error.column) == (line, column));
            let error = found.unwrap_or_else(|| panic!("{bad}: {errors:?}"));
            assert!(error.to_string().contains(help), "{bad}: {error}");
        }
    }

    #[tokio::test]
    async fn columns_are_counted_by_what_they_hold() {
        let jobs = jobs().await;
        let text = "name: d\non: traces\ncolumns: [task, input_tokens]\nby: [service]\n";
        let detector = one(text, &jobs).unwrap();
        let unit = &detector.units[0];
        assert!(unit.is_drift());
        let methods: Vec<_> = unit.measures.iter().map(|one| one.method.clone()).collect();
        assert_eq!(methods, [Method::Categories, Method::Numbers]);
        let errors = one(&text.replace("[task, input_tokens]", "[tsk]"), &jobs).unwrap_err();
        assert_eq!((errors[0].line, errors[0].column), (3, 11));
        assert!(errors[0].to_string().contains("task"), "{}", errors[0]);
        let errors = one(&format!("{text}warm_up: 2d\n"), &jobs).unwrap_err();
        assert!(errors[0].to_string().contains("leave it out"));
    }
}
