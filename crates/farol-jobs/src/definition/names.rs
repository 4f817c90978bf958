//! Names, widths and kinds: what can be said of a job's file without planning anything.

use std::collections::BTreeMap;

use super::file::{JobFile, suggestion};
use super::plan::{INPUTS, Planner};
use super::{PartialKind, WINDOW_END, WINDOW_START, Width};
use crate::error::DefinitionError;
use crate::views::OVER_JOBS;

/// Names that views and functions have use for.
pub(super) const RESERVED: [&str; 8] = [
    WINDOW_START,
    WINDOW_END,
    "event_time",
    "job",
    "measure",
    "segment",
    "value",
    "revision",
];

impl Planner<'_> {
    pub(super) fn check_names(&self, file: &JobFile, errors: &mut Vec<DefinitionError>) {
        self.check_inputs(file, errors);
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
        self.check_tags(file, errors);
        if file.partials.0.is_empty() {
            errors.push(self.at(
                file.name.referenced,
                "there are no partials, so there is nothing to measure",
                None,
            ));
        }
    }

    fn check_inputs(&self, file: &JobFile, errors: &mut Vec<DefinitionError>) {
        let inputs = file.inputs();
        if inputs.is_empty() {
            let message = "`reads` names no table, so there is nothing to measure";
            errors.push(self.at(file.reads.referenced, message, None));
        }
        for (index, (input, place)) in inputs.iter().enumerate() {
            if !INPUTS.contains(input) {
                let message = format!("there is no table `{input}` to read");
                errors.push(self.at(*place, message, Some(suggestion(input, INPUTS))));
            }
            if inputs[..index].iter().any(|(before, _)| before == input) {
                let message = format!("the table `{input}` is there twice");
                let help = "name it once; the SQL may read it as often as it likes".to_owned();
                errors.push(self.at(*place, message, Some(help)));
            }
        }
    }

    pub(super) fn window(&self, file: &JobFile) -> Result<Width, DefinitionError> {
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

    pub(super) fn kinds(
        &self,
        file: &JobFile,
        errors: &mut Vec<DefinitionError>,
    ) -> Vec<PartialKind> {
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
}

pub(super) fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= 64
}

/// Whether a new job can have that name.
///
/// # Errors
/// Says why not.
pub fn check_name(name: &str) -> Result<(), String> {
    if !is_name(name) {
        return Err(format!(
            "`{name}` is not a job's name: small letters, digits and underscores, a letter first"
        ));
    }
    if INPUTS.contains(&name) || RESERVED.contains(&name) || is_taken(name) {
        return Err(format!(
            "`{name}` is the name of a table or view of Farol's"
        ));
    }
    Ok(())
}

fn is_taken(name: &str) -> bool {
    let taken = [
        "dead_letters",
        "dead_letters_open",
        "feedback_unmatched",
        "evaluations_unmatched",
        "findings",
        "actions",
        "silences",
        "acknowledgements",
        "series",
        "measures",
        "partials",
        "public",
    ];
    let views = farol_lake::sql::views::VIEWS;
    let over_jobs = OVER_JOBS.iter().map(|over| over.view.name);
    let mut views = views.iter().map(|view| view.name).chain(over_jobs);
    taken.contains(&name)
        || name == farol_lake::sql::dictionary::DATA_DICTIONARY
        || views.any(|view| view == name)
}
