//! What rules can name, from the jobs that there are.

use farol_jobs::{Files, Jobs, Measure, shipped};

use crate::condition::{Bounds, Type};
use crate::rule::{Catalog, Job};

/// The jobs as rules see them.
pub fn catalog(jobs: &Jobs) -> Catalog {
    let seen = jobs.iter().map(|job| {
        let partials = job.partials().iter();
        let (sketches, values): (Vec<_>, Vec<_>) =
            partials.partition(|partial| partial.kind.is_sketch());
        let values = values
            .into_iter()
            .map(|partial| (partial.name.clone(), &partial.data_type));
        let measures = job
            .measures()
            .iter()
            .map(|measure| (measure.name.clone(), &measure.data_type));
        let typed = values
            .chain(measures)
            .filter_map(|(name, data_type)| Some((name, type_of(data_type)?)));
        let seen = Job {
            reads: job.reads().to_owned(),
            window_us: job.window().micros(),
            segments: job.segments().to_vec(),
            measures: typed.collect(),
            limits: job.measures().iter().filter_map(limits).collect(),
            sketches: sketches
                .into_iter()
                .map(|partial| partial.name.clone())
                .collect(),
            replaced_by: match job.files() {
                Files::Own(yaml, _) if shipped(job.name()).is_some() => {
                    Some(yaml.display().to_string())
                }
                _ => None,
            },
        };
        (job.name().to_owned(), seen)
    });
    Catalog {
        jobs: seen.collect(),
    }
}

/// Between which numbers a measure is. A ratio of which more is better or worse, and that is not counted per something, is a part of
/// its whole; durations and counts are never negative. Amounts and scores can be anything.
fn limits(measure: &Measure) -> Option<(String, Bounds)> {
    let is_part = measure.better.is_some() && !measure.name.contains("_per_");
    let bounds = match measure.unit.as_deref()? {
        "ratio" if is_part => Bounds::RATIO,
        "ratio" | "ms" | "tokens" | "tokens/s" | "users" | "sessions" | "documents" | "steps"
        | "levels" => Bounds::from(0.0),
        _ => return None,
    };
    Some((measure.name.clone(), bounds))
}

/// A column's type in a condition; `None` where it cannot be compared.
fn type_of(data_type: &arrow::datatypes::DataType) -> Option<Type> {
    use arrow::datatypes::DataType;
    match data_type {
        DataType::Boolean => Some(Type::Boolean),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Type::Text),
        other if other.is_numeric() => Some(Type::Number),
        _ => None,
    }
}
