//! Prepared statements: a text under a handle, with the values that were bound last.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::common::ScalarValue;
use tonic::Status;
use uuid::Uuid;

/// Statements that are kept prepared for all clients together.
const PREPARED_MAX: usize = 10_000;

/// A statement that nobody has used for so long is given up: clients go away without closing what they prepared.
const UNUSED_MAX: Duration = Duration::from_mins(30);

/// A statement and the values of its parameters.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub sql: String,
    pub values: Vec<ScalarValue>,
}

struct Kept {
    statement: Statement,
    used: Instant,
}

/// The statements that are kept.
#[derive(Default)]
pub(super) struct PreparedStatements(Mutex<HashMap<Bytes, Kept>>);

impl PreparedStatements {
    /// Keeps a statement; gives its handle.
    pub fn keep(&self, sql: String) -> Result<Bytes, Status> {
        let mut kept = self.lock();
        if kept.len() >= PREPARED_MAX {
            kept.retain(|_, statement| statement.used.elapsed() < UNUSED_MAX);
        }
        if kept.len() >= PREPARED_MAX {
            let message = format!("{PREPARED_MAX} statements are prepared; close some");
            return Err(Status::resource_exhausted(message));
        }
        let handle = Bytes::from(Uuid::new_v4().to_string());
        let values = Vec::new();
        let statement = Statement { sql, values };
        kept.insert(
            handle.clone(),
            Kept {
                statement,
                used: Instant::now(),
            },
        );
        Ok(handle)
    }

    /// Binds values to a statement's parameters.
    pub fn bind(&self, handle: &Bytes, values: Vec<ScalarValue>) -> Result<(), Status> {
        let mut kept = self.lock();
        let statement = kept.get_mut(handle).ok_or_else(unknown)?;
        statement.used = Instant::now();
        statement.statement.values = values;
        Ok(())
    }

    /// The statement of a handle.
    pub fn get(&self, handle: &Bytes) -> Result<Statement, Status> {
        let mut kept = self.lock();
        let statement = kept.get_mut(handle).ok_or_else(unknown)?;
        statement.used = Instant::now();
        Ok(statement.statement.clone())
    }

    /// Gives a statement up.
    pub fn close(&self, handle: &Bytes) {
        self.lock().remove(handle);
    }

    // Whoever panicked with the lock in hand left a whole map.
    fn lock(&self) -> MutexGuard<'_, HashMap<Bytes, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown() -> Status {
    Status::not_found(
        "there is no such prepared statement, or it was not used for half an hour; prepare it again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_kept_until_they_are_closed() {
        let statements = PreparedStatements::default();
        let handle = statements.keep("SELECT $1".to_owned()).unwrap();
        assert!(statements.get(&handle).unwrap().values.is_empty());
        statements
            .bind(&handle, vec![ScalarValue::from(7)])
            .unwrap();
        assert_eq!(
            statements.get(&handle).unwrap().values,
            [ScalarValue::from(7)]
        );
        statements.close(&handle);
        assert_eq!(
            statements.get(&handle).unwrap_err().code(),
            tonic::Code::NotFound
        );
        assert!(statements.bind(&handle, Vec::new()).is_err());
    }

    #[test]
    fn there_is_a_limit() {
        let statements = PreparedStatements::default();
        for _ in 0..PREPARED_MAX {
            statements.keep(String::new()).unwrap();
        }
        let refused = statements.keep(String::new()).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    }
}
