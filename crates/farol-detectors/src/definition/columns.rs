//! A detector of columns of events: which they are, and how each is counted.

use std::sync::Arc;

use farol_jobs::suggestion;
use farol_lake::TableSpec;
use farol_stats::watch::Direction;
use serde_saphyr::Spanned;

use super::check::{Check, FALSE_ALARMS_PER_WEEK};
use super::file::DetectorFile;
use super::{Detector, Method, Missing, Unit, Watched};

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
/// The effect that is worth an alarm: the customary bound of the Population Stability Index, and a tenth of a standard
/// deviation.
const LEAST_EFFECT: f64 = 0.1;
/// The tables whose columns can be looked at.
const TABLES: [&str; 4] = ["traces", "feedback", "costs", "evaluations"];
/// Columns that a detector looks at, at the most.
const COLUMNS_MAX: usize = 50;

impl Check<'_> {
    /// A detector of columns.
    pub(super) fn of_columns(&mut self, written: &DetectorFile) -> Option<Detector> {
        self.nothing_of_measures(written);
        let table = self.table(written)?;
        let spec = TableSpec::known(&table)?;
        let by = self.segments_of(&written.by, &spec)?;
        let mut measures = Vec::new();
        for column in &written.columns {
            measures.extend(self.column(column, &table, &spec));
        }
        if measures.len() > COLUMNS_MAX {
            let message = format!("these are more than {COLUMNS_MAX} columns");
            self.say(&written.name, message, None);
        }
        let window_us = self.span(written.window.as_ref(), HOUR_US)?;
        if window_us <= 0 || DAY_US % window_us != 0 {
            let place = written.window.as_ref()?;
            let message = "a day is not made of whole windows of that width".to_owned();
            self.say(place, message, Some("write window: 1h".to_owned()));
        }
        let (budget, least) = (&written.false_alarms_per_week, &written.least_effect);
        let budget = self.above_zero(
            budget.as_ref(),
            FALSE_ALARMS_PER_WEEK,
            "false_alarms_per_week",
        )?;
        let least = self.above_zero(least.as_ref(), LEAST_EFFECT, "least_effect")?;
        let unit = Unit {
            detector: written.name.value.clone(),
            job: table.clone(),
            reads: table,
            by,
            others: Vec::new(),
            compare: None,
            window_us,
            settle_us: self.span(written.settle.as_ref(), 0)?,
            warm_up_us: 0,
            least_effect_of_rates: least,
            least_effect_of_series: least,
            missing: Missing::Skip,
            calendar: self.calendar(written)?,
            reference: self.reference(written)?,
            measures,
            false_alarms_per_week: budget,
        };
        Some(Detector {
            name: written.name.value.clone(),
            description: written.description.clone(),
            false_alarms_per_week: budget,
            units: vec![Arc::new(unit)],
        })
    }

    fn nothing_of_measures(&mut self, written: &DetectorFile) {
        let said = [
            ("method", &written.method),
            ("direction", &written.direction),
            ("missing", &written.missing),
            ("warm_up", &written.warm_up),
            ("compare", &written.compare),
        ];
        for (key, value) in said {
            if let Some(value) = value {
                let message = format!("a detector of columns has no `{key}`");
                self.say(value, message, Some("leave it out".to_owned()));
            }
        }
        if let Some(word) = written
            .measures
            .as_ref()
            .and_then(|words| words.all().first())
        {
            let message = "a detector looks at measures or at columns, not at both".to_owned();
            self.say(word, message, Some("make two of it".to_owned()));
        }
    }

    fn table(&mut self, written: &DetectorFile) -> Option<String> {
        let on = written.on.all();
        let [word] = on else {
            let message = "columns are those of one table".to_owned();
            self.say(on.first()?, message, Some("write on: traces".to_owned()));
            return None;
        };
        if TABLES.contains(&word.value.as_str()) {
            return Some(word.value.clone());
        }
        let help = suggestion(&word.value, TABLES);
        self.say(
            word,
            format!("there is no table of events `{}`", word.value),
            Some(help),
        );
        None
    }

    fn segments_of(&mut self, by: &[Spanned<String>], spec: &TableSpec) -> Option<Vec<String>> {
        let mut found = Vec::new();
        for name in by {
            match spec.schema.field_with_name(&name.value) {
                Ok(field) if is_text(field.data_type()) => found.push(name.value.clone()),
                _ => {
                    let texts = spec
                        .schema
                        .fields()
                        .iter()
                        .filter(|one| is_text(one.data_type()));
                    let help = suggestion(&name.value, texts.map(|field| field.name().as_str()));
                    let message = format!("there is no column `{}` to keep apart", name.value);
                    self.say(name, message, Some(help));
                    return None;
                }
            }
        }
        Some(found)
    }

    fn column(
        &mut self,
        column: &Spanned<String>,
        table: &str,
        spec: &TableSpec,
    ) -> Option<Watched> {
        let Ok(field) = spec.schema.field_with_name(&column.value) else {
            let names = spec
                .schema
                .fields()
                .iter()
                .map(|field| field.name().as_str());
            let help = suggestion(&column.value, names);
            let message = format!("table `{table}` has no column `{}`", column.value);
            self.say(column, message, Some(help));
            return None;
        };
        let kind = field.data_type();
        let method = if kind.is_numeric() {
            Method::Numbers
        } else if is_text(kind) {
            Method::Categories
        } else {
            let message = format!("`{}` holds neither numbers nor text", column.value);
            self.say(column, message, None);
            return None;
        };
        Some(Watched {
            measure: column.value.clone(),
            direction: Direction::Both,
            method,
        })
    }
}

/// Whether a column is text, as it is or by a dictionary.
fn is_text(kind: &arrow::datatypes::DataType) -> bool {
    use arrow::datatypes::DataType;
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
