//! Failures in PostgreSQL's words.

use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};

use crate::query::QueryError;

/// An error that the client may go on after.
pub(super) fn error(sqlstate: &str, message: impl Into<String>) -> PgWireError {
    let info = ErrorInfo::new("ERROR".to_owned(), sqlstate.to_owned(), message.into());
    PgWireError::UserError(Box::new(info))
}

/// A query's failure; `text` is the statement that its place is in.
pub(super) fn of_query(failed: &QueryError, text: &str) -> PgWireError {
    let mut info = ErrorInfo::new(
        "ERROR".to_owned(),
        failed.sqlstate().to_owned(),
        failed.to_string(),
    );
    info.position = failed.place.and_then(|place| position(text, place));
    PgWireError::UserError(Box::new(info))
}

/// A place as PostgreSQL counts it: characters from the text's beginning, from 1.
fn position(text: &str, (line, column): (u64, u64)) -> Option<String> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let before: usize = text
        .split_inclusive('\n')
        .take(line)
        .map(|line| line.chars().count())
        .sum();
    Some((before + column + 1).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        assert_eq!(position("SELECT 1", (1, 8)).as_deref(), Some("8"));
        assert_eq!(position("é\nSELECT", (2, 3)).as_deref(), Some("5"));
        assert_eq!(position("SELECT", (0, 0)), None);
    }
}
