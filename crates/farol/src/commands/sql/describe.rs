//! `\d` and `\d NAME`: what tables and views there are, and what their columns mean, from the data dictionary.

use farol_lake::sql::Session;

use super::names::texts;
use super::{innermost, say};
use crate::output;

/// Prints the tables and views, each with what it is.
pub(super) async fn relations(session: &Session) -> anyhow::Result<()> {
    let sql = "SELECT table_name, data_type, description FROM data_dictionary \
               WHERE column_name IS NULL AND table_name NOT LIKE 'partials.%' ORDER BY 2, 1";
    let rows = texts::<3>(session, sql).await?;
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|[name, kind, description]| vec![name, kind, first_sentence(&description).to_owned()])
        .collect();
    rows.push(vec![
        "measures(…)".to_owned(),
        "function".to_owned(),
        "A job's measures at any grain: measures('performance', '1 hour', 'service').".to_owned(),
    ]);
    say(output::table(&["name", "kind", "what it is"], &rows).trim_end())
}

/// Prints the columns of one of them.
pub(super) async fn columns(session: &Session, name: &str) -> anyhow::Result<()> {
    let quoted = name.replace('\'', "''");
    let described = format!(
        "SELECT column_name, data_type, unit, description FROM data_dictionary WHERE table_name = '{quoted}'"
    );
    let mut rows = Vec::new();
    for [column, data_type, unit, description] in texts::<4>(session, &described).await? {
        if column.is_empty() {
            say(&description)?;
        } else {
            rows.push(vec![column, data_type, unit, description]);
        }
    }
    if rows.is_empty() {
        // Nothing of ours, such as a table of information_schema.
        let (schema, _) = session
            .query(&format!("SELECT * FROM {name} LIMIT 0"))
            .await
            .map_err(innermost)?;
        for field in schema.fields() {
            let data_type = farol_lake::sql::dictionary::type_name(field.data_type());
            rows.push(vec![
                field.name().clone(),
                data_type,
                String::new(),
                String::new(),
            ]);
        }
    }
    say(output::table(&["column", "type", "unit", "meaning"], &rows).trim_end())
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_says_what_it_is() {
        assert_eq!(first_sentence("One row a turn. More."), "One row a turn.");
        assert_eq!(first_sentence("The fee, 0.5 %."), "The fee, 0.5 %.");
    }
}
