//! The comments that a view's file begins with: what it is, and a line for each column.
//!
//! ```sql
//! -- What the view is, in one or more lines.
//! --
//! -- column: What it means.
//! -- latency_ms [ms]: What it means, with its unit.
//! ```

/// What a view's file says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the view is.
    pub description: String,
    /// Its columns, in their order.
    pub columns: Vec<HeaderColumn>,
}

/// What a view's file says of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderColumn {
    /// Its name.
    pub name: String,
    /// What it is counted in.
    pub unit: Option<String>,
    /// What it means.
    pub description: String,
}

impl Header {
    /// Reads the comments at the beginning of a view's file. Lines that are no column continue the description.
    pub fn read(text: &str) -> Self {
        let comments = text
            .lines()
            .map_while(|line| line.strip_prefix("--"))
            .map(str::trim);
        let mut description = Vec::new();
        let mut columns = Vec::new();
        let mut after_blank = false;
        for line in comments {
            if line.is_empty() {
                after_blank = true;
            } else if let Some(column) = column(line).filter(|_| after_blank) {
                columns.push(column);
            } else {
                description.push(line);
            }
        }
        Self {
            description: description.join(" "),
            columns,
        }
    }
}

/// `name [unit]: description`, the unit where there is one.
fn column(line: &str) -> Option<HeaderColumn> {
    let (what, description) = line.split_once(": ")?;
    let (name, unit) = match what.split_once(" [") {
        Some((name, unit)) => (name, Some(unit.strip_suffix(']')?.to_owned())),
        None => (what, None),
    };
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.bytes().all(letters).then(|| HeaderColumn {
        name: name.to_owned(),
        unit,
        description: description.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_the_view_and_its_columns_are() {
        let text = "-- Rows: one a thing.\n-- And more.\n--\n-- id: Which.\n-- wait_ms [ms]: How long: all of it.\nSELECT 1";
        let header = Header::read(text);
        assert_eq!(header.description, "Rows: one a thing. And more.");
        let told: Vec<_> = header
            .columns
            .iter()
            .map(|column| {
                (
                    column.name.as_str(),
                    column.unit.as_deref(),
                    column.description.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("id", None, "Which."),
                ("wait_ms", Some("ms"), "How long: all of it.")
            ]
        );
    }
}
