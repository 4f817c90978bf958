//! Functions of PostgreSQL that clients call about the server and its tables, and that nobody else brings.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, create_udf,
};
use datafusion::prelude::SessionContext;

use super::startup::SERVER_VERSION;

/// Makes the functions known.
pub(crate) fn register(context: &SessionContext) {
    for body in [
        Body::CurrentSetting,
        Body::Format,
        Body::SizePretty,
        Body::Unknown("pg_get_function_arguments"),
        Body::Unknown("pg_get_function_result"),
        Body::Unknown("pg_get_viewdef"),
        Body::Unknown("pg_database_size"),
        Body::Unknown("pg_table_size"),
        // Those of tables and columns are looked up; there are no others.
        Body::Unknown("col_description"),
        Body::Unknown("obj_description"),
        Body::Unknown("shobj_description"),
    ] {
        let signature = Signature::variadic_any(Volatility::Stable);
        context.register_udf(ScalarUDF::from(TextFunction { body, signature }));
    }
    for name in ["pg_function_is_visible", "pg_type_is_visible"] {
        let is_visible = |_: &[ColumnarValue]| Ok(ColumnarValue::from(ScalarValue::from(true)));
        context.register_udf(create_udf(
            name,
            vec![DataType::Int32],
            DataType::Boolean,
            Volatility::Stable,
            Arc::new(is_visible),
        ));
    }
}

/// A function over texts, and over anything else as text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TextFunction {
    body: Body,
    signature: Signature,
}

/// What it does with the texts of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Body {
    CurrentSetting,
    Format,
    /// Bytes, for people.
    SizePretty,
    /// What nobody here knows.
    Unknown(&'static str),
}

impl Body {
    fn name(self) -> &'static str {
        match self {
            Self::CurrentSetting => "current_setting",
            Self::Format => "format",
            Self::SizePretty => "pg_size_pretty",
            Self::Unknown(name) => name,
        }
    }

    fn apply(self, arguments: &[Option<&str>]) -> Result<Option<String>> {
        match self {
            Self::CurrentSetting => current_setting(arguments),
            Self::Format => format(arguments),
            Self::SizePretty => size_pretty(arguments),
            Self::Unknown(_) => Ok(None),
        }
    }
}

impl ScalarUDFImpl for TextFunction {
    fn name(&self) -> &str {
        self.body.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        if arguments.is_empty() {
            return plan_err!("{} needs an argument", self.body.name());
        }
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let columns = columns
            .iter()
            .map(|column| Ok(cast(column, &DataType::Utf8)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let texts: Vec<&StringArray> = columns.iter().map(AsArray::as_string).collect();
        let count = texts.first().map_or(0, Array::len);
        let value = |row| {
            let texts: Vec<_> = texts.iter().map(|column| text(column, row)).collect();
            self.body.apply(&texts)
        };
        let values = (0..count).map(value).collect::<Result<StringArray>>()?;
        Ok(ColumnarValue::Array(Arc::new(values)))
    }
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// `current_setting(name, missing_ok)`.
fn current_setting(arguments: &[Option<&str>]) -> Result<Option<String>> {
    let Some(Some(name)) = arguments.first() else {
        return Ok(None);
    };
    let value = match name.to_lowercase().as_str() {
        "server_version" => SERVER_VERSION,
        "server_version_num" => "160006",
        "search_path" => "public",
        "timezone" => "UTC",
        "datestyle" => "ISO, MDY",
        "intervalstyle" => "postgres",
        "server_encoding" | "client_encoding" => "UTF8",
        "standard_conforming_strings"
        | "transaction_read_only"
        | "default_transaction_read_only" => "on",
        "is_superuser" => "off",
        "max_identifier_length" => "63",
        _ if arguments.get(1).copied().flatten() == Some("true") => return Ok(None),
        _ => return exec_err!("unrecognized configuration parameter \"{name}\""),
    };
    Ok(Some(value.to_owned()))
}

/// `pg_size_pretty(bytes)`: in the largest unit of which there are ten or more.
fn size_pretty(arguments: &[Option<&str>]) -> Result<Option<String>> {
    let Some(Some(bytes)) = arguments.first() else {
        return Ok(None);
    };
    let Ok(mut size) = bytes.parse::<i64>() else {
        return exec_err!("pg_size_pretty takes a number of bytes, not {bytes}");
    };
    let mut units = ["bytes", "kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if size.abs() < 10 * 1024 {
            break;
        }
        size = (size + 512 * size.signum()) / 1024;
        unit = next;
    }
    Ok(Some(format!("{size} {unit}")))
}

/// `format(text, arguments…)` with `%s`, `%I` (a name), `%L` (a literal) and `%%`.
fn format(arguments: &[Option<&str>]) -> Result<Option<String>> {
    let Some((Some(pattern), arguments)) = arguments.split_first() else {
        return Ok(None);
    };
    let mut formatted = String::new();
    let mut arguments = arguments.iter();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            formatted.push(letter);
            continue;
        }
        let kind = letters.next();
        if kind == Some('%') {
            formatted.push('%');
            continue;
        }
        let Some(argument) = arguments.next() else {
            return exec_err!("too few arguments for format()");
        };
        match kind {
            Some('s') => formatted.push_str(argument.unwrap_or_default()),
            Some('I') => match argument {
                Some(name) => formatted.push_str(&quoted_name(name)),
                None => return exec_err!("null values cannot be formatted as an SQL identifier"),
            },
            Some('L') => match argument {
                Some(text) => {
                    formatted.push('\'');
                    formatted.push_str(&text.replace('\'', "''"));
                    formatted.push('\'');
                }
                None => formatted.push_str("NULL"),
            },
            _ => return exec_err!("format() knows %s, %I, %L and %%"),
        }
    }
    Ok(Some(formatted))
}

fn quoted_name(name: &str) -> String {
    let plain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    if !name.starts_with(|letter: char| letter.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(plain)
    {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_postgresqls() {
        let of = |arguments: &[Option<&str>]| format(arguments).map_err(|error| error.to_string());
        assert_eq!(
            of(&[Some("%s is 5%%"), Some("x")]),
            Ok(Some("x is 5%".to_owned()))
        );
        assert_eq!(
            of(&[Some("%I.%I"), Some("public"), Some("My \"t\"")]),
            Ok(Some("public.\"My \"\"t\"\"\"".to_owned()))
        );
        assert_eq!(
            of(&[Some("%L %L"), Some("it's"), None]),
            Ok(Some("'it''s' NULL".to_owned()))
        );
        assert_eq!(of(&[None, Some("x")]), Ok(None));
        assert!(of(&[Some("%s")]).is_err());
        assert!(of(&[Some("%x"), Some("x")]).is_err());
    }

    #[test]
    fn sizes_are_rounded_to_the_unit_that_reads_best() {
        let of = |bytes: &str| size_pretty(&[Some(bytes)]).unwrap();
        for (bytes, expected) in [
            ("0", "0 bytes"),
            ("10239", "10239 bytes"),
            ("10240", "10 kB"),
            ("12345678", "12 MB"),
            ("-20480", "-20 kB"),
        ] {
            assert_eq!(of(bytes).as_deref(), Some(expected));
        }
        assert_eq!(size_pretty(&[None]).unwrap(), None);
        assert!(size_pretty(&[Some("much")]).is_err());
    }

    #[tokio::test]
    async fn settings_are_told() {
        let context = SessionContext::new();
        register(&context);
        let ask = |sql: &'static str| {
            let context = context.clone();
            async move { context.sql(sql).await?.collect().await }
        };
        let rows = ask("SELECT current_setting('server_version_num')::int / 100 AS v")
            .await
            .unwrap();
        assert_eq!(
            datafusion::arrow::util::pretty::pretty_format_batches(&rows)
                .unwrap()
                .to_string()
                .matches("1600")
                .count(),
            1
        );
        assert!(ask("SELECT current_setting('nothing')").await.is_err());
        ask("SELECT current_setting('nothing', true)")
            .await
            .unwrap();
    }
}
