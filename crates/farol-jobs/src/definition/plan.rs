//! What can only be known by planning: the SQL's columns and their types. A job is put together here.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError, SchemaError};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use farol_lake::TableSpec;
use serde_saphyr::{Location, Spanned};

use super::file::{JobFile, Place, suggestion};
use super::tags::TAGS;
use super::{Files, Job, Partial, PartialKind, Tags, time_type};
use crate::error::DefinitionError;

/// Tables that a job can read.
pub(super) const INPUTS: [&str; 6] = [
    "traces",
    "feedback",
    "costs",
    "evaluations",
    "feedback_joined",
    "evaluations_joined",
];

/// Decimals keep this many digits when they are added up.
const DECIMAL_PRECISION: u8 = 38;

/// A session that knows Farol's functions and no tables, for planning a job's SQL.
pub fn context() -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .set_bool("datafusion.sql_parser.collect_spans", true)
        .set_str("datafusion.sql_parser.dialect", "postgres")
        .set_bool(
            "datafusion.optimizer.enable_join_dynamic_filter_pushdown",
            false,
        );
    let context = SessionContext::new_with_config(config);
    farol_lake::sql::functions::register(&context);
    context
}

/// Makes a job of its files, or says everything that is wrong with them.
pub(super) struct Planner<'a> {
    /// The YAML's name.
    pub yaml: &'a str,
    /// The SQL's name and text.
    pub sql: (&'a str, &'a str),
    /// Where it comes from.
    pub files: Files,
    /// `jobs.max_series` of the configuration.
    pub max_series: u64,
    /// `jobs.tags` of the configuration.
    pub tags: &'a Tags,
}

impl Planner<'_> {
    pub async fn plan(&self, file: JobFile) -> Result<Job, Vec<DefinitionError>> {
        let mut errors = Vec::new();
        self.check_names(&file, &mut errors);
        let window = self.window(&file).map_err(|error| errors.push(error)).ok();
        let mode = self.mode(&file, &mut errors);
        let partials = self.kinds(&file, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let columns = self.columns(&file).await.map_err(|error| vec![error])?;
        let partials = self.partials(&file, partials, &columns, &mut errors);
        let measures = self.measures(&file, &partials, &mut errors);
        let (segments, tags) = self.segments(&file);
        let inputs: Vec<_> = file
            .inputs()
            .into_iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        let mut inputs = inputs.into_iter();
        match window.filter(|_| errors.is_empty()) {
            Some(window) => Ok(Job {
                name: file.name.value,
                description: file.description,
                reads: inputs.next().unwrap_or_default(),
                reads_too: inputs.collect(),
                window,
                mode,
                max_series: usize::try_from(
                    file.max_series.map_or(self.max_series, |most| most.value),
                )
                .unwrap_or(usize::MAX),
                segments,
                tags,
                partials,
                measures,
                sql: self.sql.1.to_owned(),
                files: self.files.clone(),
            }),
            None => Err(errors),
        }
    }

    pub(super) fn at(
        &self,
        location: Location,
        message: impl Into<String>,
        help: Option<String>,
    ) -> DefinitionError {
        Place { file: self.yaml }.error(location, message, help)
    }

    async fn columns(&self, file: &JobFile) -> Result<DFSchema, DefinitionError> {
        let context = context();
        let inputs = file.inputs();
        for (input, _) in &inputs {
            if let Some(spec) = TableSpec::known(input) {
                context
                    .register_table(*input, Arc::new(EmptyTable::new(spec.schema)))
                    .map_err(|error| self.in_sql(&error))?;
            }
        }
        let reading = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let frame = context
            .sql_with_options(self.sql.1, reading)
            .await
            .map_err(|error| self.in_sql(&error))?;
        let (state, plan) = frame.into_parts();
        // Types that do not fit each other come to light here, not when rows arrive.
        let typed = state.optimize(&plan).map_err(|error| self.in_sql(&error))?;
        let whole = file
            .mode
            .as_ref()
            .is_some_and(|mode| mode.value == "recompute");
        if let Some(node) = beyond_one_row(&plan).filter(|_| !whole) {
            return Err(DefinitionError {
                file: self.sql.0.to_owned(),
                line: 0,
                column: 0,
                message: format!(
                    "{node} looks at more than one row, so what different versions of {} add would not add up",
                    quoted(&inputs)
                ),
                help: Some("give one row for each contribution, and say under `partials` how they are put together; or say `mode: recompute`, which computes windows whole".to_owned()),
            });
        }
        // The types that columns have once the parts of a union agree on them.
        Ok(typed.schema().as_ref().clone())
    }

    fn partials(
        &self,
        file: &JobFile,
        kinds: Vec<PartialKind>,
        columns: &DFSchema,
        errors: &mut Vec<DefinitionError>,
    ) -> Vec<Partial> {
        let type_of = |name: &str| {
            let field = columns.fields().iter().find(|field| field.name() == name);
            field.map(|field| field.data_type().clone())
        };
        match type_of("event_time") {
            Some(DataType::Timestamp(..)) => {}
            Some(other) => {
                errors.push(self.whole_sql(format!("column `event_time` is {other}, not a time")));
            }
            None => errors.push(self.whole_sql(
                "there is no column `event_time`, which says what window a row belongs to",
            )),
        }
        let known = || columns.fields().iter().map(|field| field.name().as_str());
        self.check_tags_type(file, columns, errors);
        for segment in file.segments.iter().filter(|name| name.value != TAGS) {
            match type_of(&segment.value) {
                None => errors.push(self.missing("segment", segment, known())),
                Some(found) if found.is_nested() => errors.push(self.at(
                    segment.referenced,
                    format!(
                        "segment `{}` is {found}; a segment is a single value",
                        segment.value
                    ),
                    None,
                )),
                Some(_) => {}
            }
        }
        let mut partials = Vec::new();
        for ((name, _), kind) in file.partials.0.iter().zip(kinds) {
            let Some(found) = type_of(&name.value) else {
                errors.push(self.missing("partial", name, known()));
                continue;
            };
            match stored_type(kind, &found) {
                Ok(data_type) => partials.push(Partial {
                    name: name.value.clone(),
                    kind,
                    data_type,
                }),
                Err(help) => errors.push(self.at(
                    name.referenced,
                    format!(
                        "partial `{}` is {} over a column of type {found}",
                        name.value,
                        kind.as_str()
                    ),
                    Some(help.to_owned()),
                )),
            }
        }
        partials
    }

    fn missing<'a>(
        &self,
        what: &str,
        name: &Spanned<String>,
        known: impl Iterator<Item = &'a str>,
    ) -> DefinitionError {
        let message = format!("{what} `{}` is not a column of {}", name.value, self.sql.0);
        self.at(
            name.referenced,
            message,
            Some(suggestion(&name.value, known)),
        )
    }

    fn in_sql(&self, error: &DataFusionError) -> DefinitionError {
        let (file, text) = self.sql;
        let root = error.find_root();
        let mut found = self.whole_sql(told(root));
        if let DataFusionError::SchemaError(reason, _) = root
            && let SchemaError::FieldNotFound {
                field,
                valid_fields,
            } = reason.as_ref()
        {
            found.message = format!("there is no column `{}`", field.name());
            found.help = Some(suggestion(
                field.name(),
                valid_fields.iter().map(|field| field.name.as_str()),
            ));
        }
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        if let Some(span) = span {
            (found.line, found.column) = (span.start.line, span.start.column);
        } else if let Some((line, column)) = parser_place(&found.message) {
            (found.line, found.column) = (line, column);
        }
        found.line = found.line.min(text.lines().count() as u64);
        file.clone_into(&mut found.file);
        found
    }

    fn whole_sql(&self, message: impl Into<String>) -> DefinitionError {
        DefinitionError {
            file: self.sql.0.to_owned(),
            line: 0,
            column: 0,
            message: message.into(),
            help: None,
        }
    }
}

/// The names of tables, for a sentence.
fn quoted(inputs: &[(&str, Location)]) -> String {
    let names = inputs.iter().map(|(name, _)| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

/// The error in words, without the layers that pass it on.
pub(super) fn told(error: &DataFusionError) -> String {
    error
        .strip_backtrace()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The place that SQL's parser tells in words: `… at Line: 3, Column: 8`.
fn parser_place(message: &str) -> Option<(u64, u64)> {
    let (_, rest) = message.rsplit_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((line.parse().ok()?, rest[..digits].parse().ok()?))
}

/// The type that a partial is stored with, or what to write so that it has one.
fn stored_type(kind: PartialKind, given: &DataType) -> Result<DataType, &'static str> {
    match kind {
        PartialKind::Sum => match given {
            _ if given.is_integer() => Ok(DataType::Int64),
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale) => Ok(DataType::Decimal128(DECIMAL_PRECISION, *scale)),
            _ if given.is_floating() => Err(
                "a sum of floating-point numbers depends on their order; add up whole numbers or decimals, such as CAST(round(x * 1000) AS BIGINT) or CAST(x AS DECIMAL(38, 6))",
            ),
            _ => Err("a sum is over whole numbers or decimals"),
        },
        PartialKind::Min | PartialKind::Max => match given {
            DataType::Timestamp(..) => Ok(time_type()),
            DataType::Decimal128(_, scale) => Ok(DataType::Decimal128(DECIMAL_PRECISION, *scale)),
            _ if given.is_integer() => Ok(DataType::Int64),
            _ if given.is_floating() => Ok(DataType::Float64),
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => Ok(DataType::Utf8),
            _ => Err("a minimum or maximum is of numbers, times or text"),
        },
        PartialKind::Quantiles if given.is_numeric() => Ok(DataType::Binary),
        PartialKind::Quantiles => Err("quantiles are of numbers"),
        PartialKind::Distinct if given.is_nested() => Err("distinct values are single values"),
        PartialKind::Distinct => Ok(DataType::Binary),
    }
}

/// What a plan does that needs more than the row at hand.
fn beyond_one_row(plan: &LogicalPlan) -> Option<&'static str> {
    let mut found = None;
    let visited = plan.apply_with_subqueries(|node| {
        use datafusion::common::tree_node::TreeNodeRecursion;
        found = match node {
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Unnest(_) => None,
            LogicalPlan::Aggregate(_) => Some("GROUP BY, or an aggregate,"),
            LogicalPlan::Join(_) => Some("a join"),
            LogicalPlan::Window(_) => Some("a window function"),
            LogicalPlan::Sort(_) => Some("ORDER BY"),
            LogicalPlan::Limit(_) => Some("LIMIT"),
            LogicalPlan::Distinct(_) => Some("DISTINCT"),
            LogicalPlan::Subquery(_) => Some("a subquery"),
            _ => Some("the statement"),
        };
        Ok(if found.is_some() {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    match visited {
        Ok(_) => found,
        Err(_) => Some("the statement"),
    }
}
