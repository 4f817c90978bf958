//! What jobs add to the data dictionary: their views, their tables of partials, and `series`.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::prelude::SessionContext;
use farol_lake::sql::dictionary::{
    Relation, RelationColumn, RelationKind, described, of_view, type_name, unit,
};

use crate::definition::{
    CONTRIBUTIONS, Job, Jobs, Measure, PartialKind, REVISION, WINDOW_END, WINDOW_START, time_type,
};
use crate::views::{over_jobs, series_schema};

/// The relations that SQL sees of jobs.
///
/// # Errors
/// Where the context does not know the jobs' views.
pub async fn relations(context: &SessionContext, jobs: &Jobs) -> Result<Vec<Relation>> {
    let mut relations: Vec<_> = jobs
        .iter()
        .flat_map(|job| [view(job), partials(job)])
        .collect();
    if !relations.is_empty() {
        relations.push(series());
    }
    for over in over_jobs(jobs) {
        relations.push(of_view(context, &over.view).await?);
    }
    Ok(relations)
}

fn view(job: &Job) -> Relation {
    let mut columns = vec![
        column(WINDOW_START, &time_type(), None, "When the window begins."),
        column(
            WINDOW_END,
            &time_type(),
            None,
            "When it ends; that instant is not in it.",
        ),
    ];
    columns.extend(job.segments().iter().map(|name| segment(job, name)));
    columns.extend(merging(job));
    columns.extend(job.measures().iter().map(measure));
    if job.mode().is_recompute() {
        columns.push(revision());
    }
    Relation {
        name: job.name().to_owned(),
        kind: RelationKind::View,
        description: format!(
            "{} One row for each window of {} and segment; measures('{}', window, segments…) is the same at any grain.",
            sentence(job.description().unwrap_or("Measures of a job")),
            job.window(),
            job.name(),
        ),
        columns,
    }
}

fn partials(job: &Job) -> Relation {
    let mut columns = vec![column(
        WINDOW_START,
        &time_type(),
        None,
        "When the window begins.",
    )];
    columns.extend(job.segments().iter().map(|name| segment(job, name)));
    columns.extend(merging(job));
    if job.mode().is_recompute() {
        columns.push(column(
            CONTRIBUTIONS,
            &DataType::Int64,
            None,
            "How many rows of the job's SQL it is made of; 0 says that the revision of the window has nothing in it.",
        ));
        columns.push(revision());
    }
    Relation {
        name: format!("partials.{}", job.name()),
        kind: RelationKind::Table,
        description: format!(
            "{}. Several rows may stand for one window and segment: the view {} merges them.",
            job.table_spec().description,
            job.name()
        ),
        columns,
    }
}

fn series() -> Relation {
    let meanings = [
        "The job.",
        "The measure, or the partial where that is a number.",
        "When the window begins.",
        "When it ends; that instant is not in it.",
        "The segment: its columns with their values.",
        "The measure's value, in its own unit.",
    ];
    let schema = series_schema();
    let fields = schema.fields().iter().zip(meanings);
    let columns =
        fields.map(|(field, meaning)| column(field.name(), field.data_type(), None, meaning));
    Relation {
        name: "series".to_owned(),
        kind: RelationKind::View,
        description:
            "Every measure of every job in long form: a row for each measure, window and segment."
                .to_owned(),
        columns: columns.collect(),
    }
}

/// The job's partials.
fn merging(job: &Job) -> impl Iterator<Item = RelationColumn> {
    job.partials().iter().map(|partial| {
        let meaning = match partial.kind {
            PartialKind::Sum => "The sum over the window.",
            PartialKind::Min => "The least value of the window.",
            PartialKind::Max => "The greatest value of the window.",
            PartialKind::Quantiles => {
                "A sketch of the window's values: ask quantile(merge_quantiles(…), 0.95)."
            }
            PartialKind::Distinct => {
                "A sketch of how many values differ: ask distinct_count(merge_distinct(…))."
            }
        };
        let counted = (!partial.kind.is_sketch())
            .then(|| unit(&partial.name))
            .flatten();
        column(&partial.name, &partial.data_type, counted, meaning)
    })
}

fn segment(job: &Job, name: &str) -> RelationColumn {
    let known = described(job.reads(), name);
    let meaning = if known.is_empty() {
        "What the job's SQL groups rows by."
    } else {
        known.as_str()
    };
    column(name, &DataType::Utf8, None, &format!("Segment. {meaning}"))
}

fn measure(measure: &Measure) -> RelationColumn {
    let told = measure.description.as_deref().map(sentence);
    let better = match measure.better {
        Some(better) => format!(
            " {} is better.",
            if better == crate::Better::Lower {
                "Lower"
            } else {
                "Higher"
            }
        ),
        None => String::new(),
    };
    let expression = format!("Measure: {}.", measure.text);
    let meaning = match told {
        Some(told) => format!("{told} {expression}{better}"),
        None => format!("{expression}{better}"),
    };
    column(
        &measure.name,
        &measure.data_type,
        measure.unit.as_deref(),
        &meaning,
    )
}

fn revision() -> RelationColumn {
    column(
        REVISION,
        &DataType::Int64,
        None,
        "The input's version that the window was computed from; the highest counts.",
    )
}

fn column(name: &str, data_type: &DataType, unit: Option<&str>, meaning: &str) -> RelationColumn {
    RelationColumn {
        name: name.to_owned(),
        data_type: type_name(data_type),
        unit: unit.map(str::to_owned),
        description: meaning.to_owned(),
    }
}

/// The text with a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with('.') {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}
