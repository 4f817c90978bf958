//! What each column gets, from its name and type. The choices were measured: see `benches/README.md`.

use arrow::datatypes::{DataType, Schema};
use parquet::basic::Encoding;

/// Ids that no two rows share much of: a dictionary only costs, and their extremes say nothing.
const UNIQUE_IDS: &[&str] = &[
    "event_id",
    "trace_id",
    "span_id",
    "parent_span_id",
    "response_id",
    "trace_event_id",
    "trace_span_id",
];

/// Ids that single rows are looked for by, over all dates: large files get a Bloom filter on them.
const SOUGHT_IDS: &[&str] = &[LOOKED_UP_ID, "response_id"];

/// The one id whose extremes are kept: people look traces up, and time-ordered ids prune.
const LOOKED_UP_ID: &str = "trace_id";

/// Text that differs from row to row: neither a dictionary nor statistics.
const FREE_TEXT: &[&str] = &[
    "body",
    "session_id",
    "trace_session_id",
    "input",
    "output",
    "text",
    "explanation",
    "attributes",
    "prompt_variables",
    "retrieved",
    "candidates",
    "headers",
];

/// Text that repeats, but that is still somebody's words: a dictionary, no statistics.
const REPEATED_TEXT: &[&str] = &["system", "error_message", "reason"];

/// Names of a few values. A minimum in the log is a copy of the value, so this list is an allow-list:
/// a new column is not in the log until it is here.
const LOGGED_NAMES: &[&str] = &[
    "service",
    "environment",
    "operation",
    "task",
    "provider",
    "model",
    "request_model",
    "response_model",
    "prompt_id",
    "prompt_version",
    "status",
    "error_type",
    "kind",
    "name",
    "evaluator",
    "unit",
    "source",
    "currency",
    "reason_code",
    "kafka_topic",
];

/// Of those, the ones that tell apart files whose rows lie as they arrived: one topic, or one service's topic. Of the
/// others every such file has all values.
const LOGGED_AT_ONCE: &[&str] = &["service", "kafka_topic", LOOKED_UP_ID];

/// Whole numbers that place a row in Kafka.
const LOGGED_NUMBERS: &[&str] = &["kafka_partition", "kafka_offset", "kafka_entry", "sequence"];

/// How one leaf column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Treatment {
    /// The encoding where no dictionary is used.
    pub encoding: Encoding,
    /// Whether a dictionary is tried first.
    pub dictionary: bool,
    /// Whether the file keeps the column's extremes.
    pub statistics: bool,
    /// Whether the table's log keeps them too.
    pub logged: bool,
    /// Whether it does so for files whose rows lie as they arrived.
    pub logged_at_once: bool,
    /// Whether large files get a Bloom filter on it.
    pub bloom_filter: bool,
}

impl Treatment {
    const fn plain(encoding: Encoding) -> Self {
        Self {
            encoding,
            dictionary: false,
            statistics: false,
            logged: false,
            logged_at_once: false,
            bloom_filter: false,
        }
    }

    const fn with_statistics(self) -> Self {
        Self {
            statistics: true,
            ..self
        }
    }
}

/// What a top-level column gets.
pub(crate) fn treatment(column: &str, data_type: &DataType) -> Treatment {
    let treatment = leaf_treatment(column, data_type);
    let logged = match data_type {
        DataType::Timestamp(..) => true,
        DataType::Int32 | DataType::Int64 => LOGGED_NUMBERS.contains(&column),
        DataType::Utf8 => column == LOOKED_UP_ID || LOGGED_NAMES.contains(&column),
        _ => false,
    };
    let bloom_filter = SOUGHT_IDS.contains(&column) && *data_type == DataType::Utf8;
    let text = *data_type == DataType::Utf8;
    Treatment {
        logged,
        logged_at_once: logged && (!text || LOGGED_AT_ONCE.contains(&column)),
        bloom_filter,
        ..treatment
    }
}

/// What a leaf inside the list or map `column` gets: no statistics, since nothing prunes by them.
pub(crate) fn nested_treatment(column: &str, leaf_type: &DataType) -> Treatment {
    Treatment {
        statistics: false,
        ..leaf_treatment(column, leaf_type)
    }
}

fn leaf_treatment(column: &str, data_type: &DataType) -> Treatment {
    let text = matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    if text && UNIQUE_IDS.contains(&column) {
        let unique = Treatment::plain(Encoding::DELTA_LENGTH_BYTE_ARRAY);
        return if column == LOOKED_UP_ID {
            unique.with_statistics()
        } else {
            unique
        };
    }
    if text && FREE_TEXT.contains(&column) {
        return Treatment::plain(Encoding::PLAIN);
    }
    let dictionary = Treatment {
        dictionary: true,
        ..Treatment::plain(Encoding::PLAIN)
    };
    if text && REPEATED_TEXT.contains(&column) {
        return dictionary;
    }
    match data_type {
        DataType::Int64 | DataType::Timestamp(..) => {
            Treatment::plain(Encoding::DELTA_BINARY_PACKED).with_statistics()
        }
        DataType::Float64 => Treatment::plain(Encoding::BYTE_STREAM_SPLIT).with_statistics(),
        DataType::Decimal128(..) | DataType::Binary => Treatment::plain(Encoding::PLAIN),
        _ => dictionary.with_statistics(),
    }
}

/// The columns whose extremes the table's log keeps, in the schema's order: what
/// `delta.dataSkippingStatsColumns` is to name.
pub fn log_statistics_columns(schema: &Schema) -> Vec<&str> {
    schema
        .fields()
        .iter()
        .filter(|field| treatment(field.name(), field.data_type()).logged)
        .map(|field| field.name().as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use farol_events::{Kind, dead_letter_schema, table_schema};

    use super::*;

    fn of(column: &str) -> Treatment {
        let schema = table_schema(Kind::Trace);
        treatment(column, schema.field_with_name(column).unwrap().data_type())
    }

    #[test]
    fn columns_are_written_as_measured_best() {
        assert_eq!(
            of("event_id"),
            Treatment::plain(Encoding::DELTA_LENGTH_BYTE_ARRAY)
        );
        assert_eq!(of("cost"), Treatment::plain(Encoding::PLAIN));
        assert_eq!(of("input"), Treatment::plain(Encoding::PLAIN));
        assert_eq!(of("latency_ms").encoding, Encoding::BYTE_STREAM_SPLIT);
        assert_eq!(of("input_tokens").encoding, Encoding::DELTA_BINARY_PACKED);
        assert!(of("model").dictionary && of("system").dictionary);
        assert!(of("trace_id").bloom_filter && of("trace_id").statistics);
    }

    #[test]
    fn the_log_holds_times_places_and_names_but_nobodys_words() {
        for kind in Kind::ALL {
            let schema = table_schema(kind);
            let logged = log_statistics_columns(&schema);
            for needed in [
                "event_time",
                "ingested_at",
                "kafka_topic",
                "kafka_offset",
                "trace_id",
            ] {
                assert!(logged.contains(&needed), "{kind}: {needed}");
            }
        }
        let trace = table_schema(Kind::Trace);
        let letters = dead_letter_schema();
        let logged = [
            log_statistics_columns(&trace),
            log_statistics_columns(&letters),
        ]
        .concat();
        for private in [
            "input",
            "output",
            "system",
            "text",
            "attributes",
            "tags",
            "user_id",
            "session_id",
            "error_message",
            "reason",
            "raw",
            "headers",
            "kafka_key",
            "cost",
            "event_id",
        ] {
            assert!(!logged.contains(&private), "{private}");
        }
    }

    #[test]
    fn what_the_log_keeps_the_file_keeps_too() {
        for schema in [
            table_schema(Kind::Trace),
            table_schema(Kind::Evaluation),
            dead_letter_schema(),
        ] {
            for field in schema.fields() {
                let treatment = treatment(field.name(), field.data_type());
                assert!(
                    !treatment.logged || treatment.statistics,
                    "{}",
                    field.name()
                );
            }
        }
    }
}
