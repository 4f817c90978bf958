//! The `stats` of a Delta `add` action, gathered from what the column writers know already.
//!
//! Extremes are bounds: Parquet cuts long text to 64 bytes, the minimum to a prefix and the maximum to a
//! prefix that is counted up by one, always between characters. Both stay bounds in the order of UTF-8 bytes.

use arrow::datatypes::DataType;
use chrono::{DateTime, Datelike};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::{Map, Value};

use super::layout::LoggedColumn;

/// One value of a column, as Parquet's statistics order them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Extreme {
    Number(i64),
    Text(String),
}

/// What is known of one column over the row groups seen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    nulls: u64,
    bounds: Option<(Extreme, Extreme)>,
}

/// The `stats` JSON of a file.
pub(crate) fn to_json(columns: &[LoggedColumn], metadata: &ParquetMetaData) -> String {
    let rows = metadata.file_metadata().num_rows();
    let (mut minima, mut maxima, mut nulls) = (Map::new(), Map::new(), Map::new());
    for column in columns {
        let Some(summary) = summarise(column, metadata) else {
            continue;
        };
        nulls.insert(column.name.clone(), summary.nulls.into());
        let Some((min, max)) = summary.bounds else {
            continue;
        };
        if let (Some(min), Some(max)) =
            (value(&column.data_type, min), value(&column.data_type, max))
        {
            minima.insert(column.name.clone(), min);
            maxima.insert(column.name.clone(), max);
        }
    }
    serde_json::json!({
        "numRecords": rows, "minValues": minima, "maxValues": maxima, "nullCount": nulls,
    })
    .to_string()
}

/// Puts the row groups' statistics of one column together; `None` where a row group has none.
fn summarise(column: &LoggedColumn, metadata: &ParquetMetaData) -> Option<Summary> {
    let mut whole = Summary::default();
    let mut bounded = true;
    for row_group in metadata.row_groups() {
        let chunk = row_group.column(column.leaf);
        let statistics = chunk.statistics()?;
        let nulls = statistics.null_count_opt()?;
        whole.nulls += nulls;
        if i64::try_from(nulls).is_ok_and(|nulls| nulls == row_group.num_rows()) {
            continue;
        }
        match (bounds(statistics), whole.bounds.take()) {
            (None, _) => bounded = false,
            (found, None) => whole.bounds = found,
            (Some((min, max)), Some((least, most))) => {
                whole.bounds = Some((least.min(min), most.max(max)));
            }
        }
    }
    whole.bounds = whole.bounds.filter(|_| bounded);
    Some(whole)
}

fn bounds(statistics: &Statistics) -> Option<(Extreme, Extreme)> {
    let text = |bytes: &[u8]| Some(Extreme::Text(std::str::from_utf8(bytes).ok()?.to_owned()));
    match statistics {
        Statistics::Int32(of) => Some((
            Extreme::Number(i64::from(*of.min_opt()?)),
            Extreme::Number(i64::from(*of.max_opt()?)),
        )),
        Statistics::Int64(of) => Some((
            Extreme::Number(*of.min_opt()?),
            Extreme::Number(*of.max_opt()?),
        )),
        Statistics::ByteArray(of) => Some((text(of.min_bytes_opt()?)?, text(of.max_bytes_opt()?)?)),
        _ => None,
    }
}

/// The value as Delta writes it; `None` for a time that its text form cannot hold.
fn value(data_type: &DataType, extreme: Extreme) -> Option<Value> {
    match (data_type, extreme) {
        (DataType::Timestamp(..), Extreme::Number(time_us)) => {
            let time = DateTime::from_timestamp_micros(time_us)?;
            let writable = (0..=9999).contains(&time.year());
            writable.then(|| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into())
        }
        (_, Extreme::Number(number)) => Some(number.into()),
        (_, Extreme::Text(text)) => Some(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    fn time(time_us: i64) -> Option<Value> {
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        value(&data_type, Extreme::Number(time_us))
    }

    #[test]
    fn times_are_written_to_the_microsecond() {
        assert_eq!(time(1), Some("1970-01-01T00:00:00.000001Z".into()));
        assert_eq!(time(-1), Some("1969-12-31T23:59:59.999999Z".into()));
        assert_eq!(
            time(1_767_225_600_000_000),
            Some("2026-01-01T00:00:00.000000Z".into())
        );
    }

    #[test]
    fn times_that_text_cannot_hold_are_left_out() {
        assert_eq!(time(i64::MAX), None);
        assert_eq!(time(i64::MIN), None);
    }

    #[test]
    fn whole_numbers_keep_every_digit() {
        let number =
            value(&DataType::Int64, Extreme::Number(i64::MAX)).map(|value| value.to_string());
        assert_eq!(number.as_deref(), Some("9223372036854775807"));
    }
}
