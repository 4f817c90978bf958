//! What can only be known by planning: the SQL's columns and types, and the measures' expressions.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use farol_lake::TableSpec;
use serde_saphyr::{Location, Spanned};

use super::file::{JobFile, MeasureFile, Place, suggestion};
use super::{
    Better, Files, Job, Measure, Partial, PartialKind, WINDOW_END, WINDOW_START, Width, time_type,
};
use crate::error::DefinitionError;

/// Tables that a job can read.
const INPUTS: [&str; 4] = ["traces", "feedback", "costs", "evaluations"];

/// Names that views and functions have use for.
const RESERVED: [&str; 8] = [
    WINDOW_START,
    WINDOW_END,
    "event_time",
    "job",
    "measure",
    "segment",
    "value",
    "revision",
];

/// Decimals keep this many digits when they are added up.
const DECIMAL_PRECISION: u8 = 38;

/// A session that knows Farol's functions and no tables, for planning a job's SQL.
pub fn context() -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .set_bool("datafusion.sql_parser.collect_spans", true)
        .set_str("datafusion.sql_parser.dialect", "postgres");
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
}

impl Planner<'_> {
    pub async fn plan(&self, file: JobFile) -> Result<Job, Vec<DefinitionError>> {
        let mut errors = Vec::new();
        self.check_names(&file, &mut errors);
        let window = self.window(&file).map_err(|error| errors.push(error)).ok();
        if let Some(mode) = &file.mode
            && mode.value != "incremental"
        {
            errors.push(self.at(
                mode.referenced,
                format!("mode `{}` is not one of this version", mode.value),
                Some("leave it out, or write `incremental`".to_owned()),
            ));
        }
        let partials = self.kinds(&file, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let columns = self.columns(&file).await.map_err(|error| vec![error])?;
        let partials = self.partials(&file, partials, &columns, &mut errors);
        let measures = self.measures(&file, &partials, &mut errors);
        match window.filter(|_| errors.is_empty()) {
            Some(window) => Ok(Job {
                name: file.name.value,
                description: file.description,
                reads: file.reads.value,
                window,
                max_series: usize::try_from(
                    file.max_series.map_or(self.max_series, |most| most.value),
                )
                .unwrap_or(usize::MAX),
                segments: file.segments.into_iter().map(|name| name.value).collect(),
                partials,
                measures,
                sql: self.sql.1.to_owned(),
                files: self.files.clone(),
            }),
            None => Err(errors),
        }
    }

    fn at(
        &self,
        location: Location,
        message: impl Into<String>,
        help: Option<String>,
    ) -> DefinitionError {
        Place { file: self.yaml }.error(location, message, help)
    }

    fn check_names(&self, file: &JobFile, errors: &mut Vec<DefinitionError>) {
        let reads = &file.reads;
        if !INPUTS.contains(&reads.value.as_str()) {
            let message = format!("there is no table `{}` to read", reads.value);
            errors.push(self.at(
                reads.referenced,
                message,
                Some(suggestion(&reads.value, INPUTS)),
            ));
        }
        if INPUTS.contains(&file.name.value.as_str()) || is_taken(&file.name.value) {
            let message = format!(
                "`{}` is the name of a table or view of Farol's",
                file.name.value
            );
            errors.push(self.at(file.name.referenced, message, None));
        }
        let partials = file.partials.0.iter().map(|(name, _)| name);
        let measures = file.measures.0.iter().map(|(name, _)| name);
        let mut seen = BTreeMap::new();
        let columns = file.segments.iter().chain(partials).chain(measures);
        for name in columns.chain([&file.name]) {
            if !is_name(&name.value) {
                errors.push(self.at(
                    name.referenced,
                    format!("`{}` is not a name", name.value),
                    Some("names are of small letters, digits and underscores, and begin with a letter".to_owned()),
                ));
            }
            if RESERVED.contains(&name.value.as_str()) {
                let message = format!("the name `{}` has a meaning of its own", name.value);
                errors.push(self.at(name.referenced, message, Some("choose another".to_owned())));
            }
        }
        let partials = file.partials.0.iter().map(|(name, _)| name);
        let measures = file.measures.0.iter().map(|(name, _)| name);
        for name in file.segments.iter().chain(partials).chain(measures) {
            if seen.insert(name.value.clone(), name.referenced).is_some() {
                errors.push(self.at(
                    name.referenced,
                    format!("the name `{}` is there twice", name.value),
                    Some("segments, partials and measures are columns of one view".to_owned()),
                ));
            }
        }
        if file.partials.0.is_empty() {
            errors.push(self.at(
                file.name.referenced,
                "there are no partials, so there is nothing to measure",
                None,
            ));
        }
    }

    fn window(&self, file: &JobFile) -> Result<Width, DefinitionError> {
        let written = &file.window;
        let width = Width::parse(&written.value)
            .map_err(|message| self.at(written.referenced, message, None))?;
        if 86_400 % width.seconds() == 0 {
            return Ok(width);
        }
        Err(self.at(
            written.referenced,
            format!("a day is not made of whole windows of {width}"),
            Some("write a width that divides a day, such as 1m, 5m or 1h".to_owned()),
        ))
    }

    fn kinds(&self, file: &JobFile, errors: &mut Vec<DefinitionError>) -> Vec<PartialKind> {
        let mut kinds = Vec::new();
        for (_, kind) in &file.partials.0 {
            let names = PartialKind::ALL.map(PartialKind::as_str);
            let found = PartialKind::ALL
                .into_iter()
                .find(|known| known.as_str() == kind.value);
            match found {
                Some(found) => kinds.push(found),
                None => errors.push(self.at(
                    kind.referenced,
                    format!("`{}` is no kind of partial", kind.value),
                    Some(suggestion(&kind.value, names)),
                )),
            }
        }
        kinds
    }

    /// The columns of the job's SQL, once it is known to look at one row at a time.
    async fn columns(&self, file: &JobFile) -> Result<DFSchema, DefinitionError> {
        let context = context();
        for input in INPUTS {
            if let Some(spec) = TableSpec::known(input).filter(|_| input == file.reads.value) {
                context
                    .register_table(input, Arc::new(EmptyTable::new(spec.schema)))
                    .map_err(|error| self.in_sql(&error))?;
            }
        }
        let frame = context
            .sql(self.sql.1)
            .await
            .map_err(|error| self.in_sql(&error))?;
        let (state, plan) = frame.into_parts();
        // Types that do not fit each other come to light here, not when rows arrive.
        state.optimize(&plan).map_err(|error| self.in_sql(&error))?;
        if let Some(node) = beyond_one_row(&plan) {
            return Err(DefinitionError {
                file: self.sql.0.to_owned(),
                line: 0,
                column: 0,
                message: format!("{node} looks at more than one row, so what different versions of `{}` add would not add up", file.reads.value),
                help: Some("give one row for each contribution, and say under `partials` how they are put together".to_owned()),
            });
        }
        Ok(plan.schema().as_ref().clone())
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
                errors.push(self.whole_sql(format!("column `event_time` is {other}, not a time")))
            }
            None => errors.push(self.whole_sql(
                "there is no column `event_time`, which says what window a row belongs to",
            )),
        }
        let known = || columns.fields().iter().map(|field| field.name().as_str());
        for segment in &file.segments {
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

    fn measures(
        &self,
        file: &JobFile,
        partials: &[Partial],
        errors: &mut Vec<DefinitionError>,
    ) -> Vec<Measure> {
        let context = context();
        let mut measures = Vec::new();
        let schema = match merged_schema(partials) {
            Ok(schema) => schema,
            Err(error) => {
                errors.push(self.at(file.name.referenced, error.to_string(), None));
                return measures;
            }
        };
        for (name, measure) in &file.measures.0 {
            match self.measure(&context, &schema, name, measure) {
                Ok(measure) => measures.push(measure),
                Err(error) => errors.push(error),
            }
        }
        measures
    }

    fn measure(
        &self,
        context: &SessionContext,
        schema: &DFSchema,
        name: &Spanned<String>,
        file: &MeasureFile,
    ) -> Result<Measure, DefinitionError> {
        let wrong = |error: DataFusionError| self.in_expression(&file.expr, &error);
        let expr = context
            .parse_sql_expr(&file.expr.value, schema)
            .map_err(wrong)?;
        let expr = true_division(expr).map_err(wrong)?;
        // Coercion happens when a plan is made; a measure that cannot be planned must be told now.
        let data_type = planned_type(context, schema, &expr).map_err(wrong)?;
        let better = match &file.better {
            None => None,
            Some(word) => Some(match word.value.as_str() {
                "lower" => Better::Lower,
                "higher" => Better::Higher,
                other => {
                    return Err(self.at(
                        word.referenced,
                        format!("`better` is `lower` or `higher`, not `{other}`"),
                        Some("leave it out where that depends".to_owned()),
                    ));
                }
            }),
        };
        if !(data_type.is_numeric() || data_type == DataType::Boolean) {
            return Err(self.at(
                file.expr.referenced,
                format!("measure `{}` is {data_type}, not a number", name.value),
                Some(
                    "of a sketch ask `quantile(sketch, 0.95)` or `distinct_count(sketch)`"
                        .to_owned(),
                ),
            ));
        }
        Ok(Measure {
            name: name.value.clone(),
            text: file.expr.value.clone(),
            unit: file.unit.clone(),
            better,
            description: file.description.clone(),
            data_type,
            expr,
        })
    }

    /// A mistake in a measure: at the word that is wrong, where it can be found in the expression.
    fn in_expression(&self, expr: &Spanned<String>, error: &DataFusionError) -> DefinitionError {
        let root = error.find_root();
        let mut found = self.at(expr.referenced, told(root), None);
        if let DataFusionError::SchemaError(reason, _) = root
            && let datafusion::common::SchemaError::FieldNotFound {
                field,
                valid_fields,
            } = reason.as_ref()
        {
            found.message = format!("there is no partial `{}`", field.name());
            found.help = Some(suggestion(
                field.name(),
                valid_fields.iter().map(|field| field.name.as_str()),
            ));
            if let Some(place) = expr.value.find(field.name()) {
                found.column += place as u64;
            }
        }
        found
    }

    fn in_sql(&self, error: &DataFusionError) -> DefinitionError {
        let (file, text) = self.sql;
        let root = error.find_root();
        let mut found = self.whole_sql(told(root));
        if let DataFusionError::SchemaError(reason, _) = root
            && let datafusion::common::SchemaError::FieldNotFound {
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

/// The error in words, without the layers that pass it on.
fn told(error: &DataFusionError) -> String {
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

fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= 64
}

fn is_taken(name: &str) -> bool {
    let taken = [
        "dead_letters",
        "dead_letters_open",
        "findings",
        "actions",
        "series",
        "measures",
        "partials",
        "public",
    ];
    taken.contains(&name)
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

/// The columns that a measure may name.
fn merged_schema(partials: &[Partial]) -> Result<DFSchema, DataFusionError> {
    let fields = partials
        .iter()
        .map(|partial| Field::new(&partial.name, partial.data_type.clone(), true));
    DFSchema::try_from(Schema::new(fields.collect::<Vec<_>>()))
}

/// The type of an expression as it will be planned.
fn planned_type(
    context: &SessionContext,
    schema: &DFSchema,
    expr: &Expr,
) -> Result<DataType, DataFusionError> {
    let table = EmptyTable::new(schema.inner().clone());
    let frame = context
        .read_table(Arc::new(table))?
        .select(vec![expr.clone().alias("measure")])?;
    let (state, plan) = frame.into_parts();
    let plan = state.optimize(&plan)?;
    let column = plan.schema().field(0).data_type().clone();
    expr.get_type(schema)?;
    Ok(column)
}

/// Division of numbers as people mean it: in floating point, and unknown where the divisor is zero.
fn true_division(expr: Expr) -> Result<Expr, DataFusionError> {
    expr.transform_up(|expr| match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Divide,
            right,
        }) => {
            let divisor = datafusion::functions::core::nullif()
                .call(vec![cast(*right, DataType::Float64), lit(0.0_f64)]);
            let division = cast(*left, DataType::Float64) / divisor;
            Ok(Transformed::yes(division))
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
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
