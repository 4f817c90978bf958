//! What the interface promises of an event, made from serde_json's reading of it.

use farol_events::field::{Field, FieldType, Member, fields};
use farol_events::{Kind, ReasonCode, time_text};

use super::cell::Cell;
use super::exact::Exact;
use super::raw::{Members, Shape, nesting, replace, shape};

/// So many faults of one field are told one by one.
const FAULTS_PER_FIELD_MAX: usize = 16;
/// Nested deeper, a fault's value is told as a string.
const NESTING_MAX: usize = 100;
const INVALID_FIELDS: &str = "invalid_fields";

/// A value that a field, or a part of it, cannot take: `retrieved[2].score` and its text.
type Fault = (String, String);

/// The faults of one field. A later value takes an earlier one's place, and its fault with it;
/// but once there are too many, the whole value is told.
#[derive(Default)]
struct Faults {
    open: Vec<Fault>,
    too_many: bool,
}

impl Faults {
    fn put(&mut self, path: &str, text: &str) {
        replace(&mut self.open, path.to_owned(), text.to_owned());
        self.too_many |= self.open.len() > FAULTS_PER_FIELD_MAX;
    }

    fn clear(&mut self, path: &str) {
        self.open.retain(|(other, _)| other != path);
    }

    fn settle(self, name: &str, text: &str) -> Vec<Fault> {
        if self.too_many {
            vec![(name.to_owned(), text.to_owned())]
        } else {
            self.open
        }
    }
}

/// An event as its kind's table is to hold it.
#[derive(Debug)]
pub struct Event {
    kind: Kind,
    /// In the field table's order; without `attributes`, whose place is null.
    pub cells: Vec<Cell>,
    time: Option<Cell>,
    own: Option<String>,
    unknown: Members,
    faults: Vec<Fault>,
}

impl Event {
    /// Reads a payload that serde_json accepts as an object.
    pub fn read(kind: Kind, payload: &[u8]) -> Result<Self, String> {
        let mut unknown: Members = serde_json::from_slice(payload)
            .map_err(|error| format!("serde_json reads no object again: {error}"))?;
        let mut event = Self {
            kind,
            cells: Vec::new(),
            time: None,
            own: None,
            unknown: Members::default(),
            faults: Vec::new(),
        };
        for field in fields(kind) {
            let text = unknown.get(field.name).unwrap_or("null").to_owned();
            event.field(field, &text)?;
        }
        let known = |key: &str| fields(kind).iter().any(|field| field.name == key);
        unknown.0.retain(|(key, _)| !known(key));
        event.unknown = unknown;
        Ok(event)
    }

    fn field(&mut self, field: &Field, text: &str) -> Result<(), String> {
        let mut faults = Faults::default();
        let cell = cell(field.field_type, text, field.name, &mut faults)?;
        if field.name == "event_time" {
            self.time = (text != "null").then(|| cell.clone());
            self.cells.push(cell);
            return Ok(());
        }
        self.faults.extend(faults.settle(field.name, text));
        if field.name == "attributes" {
            self.own = (cell != Cell::Null).then(|| text.to_owned());
            self.cells.push(Cell::Null);
        } else {
            self.cells.push(cell);
        }
        Ok(())
    }

    /// Why the event is to be refused, if it is.
    pub fn refusal(&self) -> Option<ReasonCode> {
        let identified = fields(self.kind)
            .iter()
            .zip(&self.cells)
            .filter(|(field, _)| self.kind.identity().contains(&field.name))
            .any(|(_, cell)| matches!(cell, Cell::Text(text) if !text.is_empty()));
        match self.time {
            None => Some(ReasonCode::MissingEventTime),
            Some(Cell::Null) => Some(ReasonCode::InvalidEventTime),
            Some(_) if !identified => Some(ReasonCode::MissingIdentity),
            Some(_) => None,
        }
    }

    /// Whether `attributes` holds what it is to hold: the event's own, what names no field, and
    /// the faults, each with its reason and value.
    pub fn attributes_match(&self, found: &Cell) -> Result<bool, String> {
        let alone = self.unknown.0.is_empty() && self.faults.is_empty();
        let (text, own) = match (found, &self.own) {
            (Cell::Null, own) => return Ok(alone && own.is_none()),
            (Cell::Text(text), Some(own)) if alone => return Ok(text == own),
            (Cell::Text(_), None) if alone => return Ok(false),
            (Cell::Text(text), own) => (text, own),
            _ => return Ok(false),
        };
        serde_json::from_str::<serde_json::Value>(text)
            .map_err(|error| format!("attributes are no JSON: {error}"))?;
        let found = members(text)?;
        let told = match found.get(INVALID_FIELDS) {
            Some(told) if !self.faults.is_empty() => self.faults_match(&members(told)?)?,
            _ => self.faults.is_empty(),
        };
        let mut expected = own.as_deref().map_or(Ok(Members::default()), members)?;
        expected.0.extend(self.unknown.0.iter().cloned());
        let besides_faults = |members: &Members| {
            let kept = |key: &str| self.faults.is_empty() || key != INVALID_FIELDS;
            let mut texts = Vec::new();
            for (key, value) in members.last_of_each() {
                if kept(key) {
                    texts.push((key.to_owned(), value.to_owned()));
                }
            }
            texts
        };
        let repeated = found.0.len() != found.last_of_each().len();
        Ok(told && !repeated && besides_faults(&found) == besides_faults(&expected))
    }

    fn faults_match(&self, told: &Members) -> Result<bool, String> {
        if told.0.len() != self.faults.len() {
            return Ok(false);
        }
        for (path, value) in &self.faults {
            let Some(fault) = told.get(path) else {
                return Ok(false);
            };
            let fault = members(fault)?;
            let reason = fault.get("reason").map(shape).transpose()?;
            let Some((Shape::Text(reason), found)) = reason.zip(fault.get("value")) else {
                return Ok(false);
            };
            let same = match shape(found)? {
                Shape::Text(found) if nesting(value)? > NESTING_MAX => found == *value,
                _ => found == value,
            };
            if reason.is_empty() || !same {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn members(text: &str) -> Result<Members, String> {
    match shape(text)? {
        Shape::Object(members) => Ok(members),
        _ => Err(format!("expected an object, found {text}")),
    }
}

/// What a field of a type takes from a value. What it cannot take is null, and a fault.
fn cell(
    field_type: FieldType,
    text: &str,
    path: &str,
    faults: &mut Faults,
) -> Result<Cell, String> {
    let shape = shape(text)?;
    let cell = match (field_type, shape) {
        (_, Shape::Null) => return Ok(Cell::Null),
        (FieldType::Text, Shape::Text(text) | Shape::Number(text)) => Some(Cell::Text(text)),
        (FieldType::Time, Shape::Text(text)) => {
            time_text::parse_rfc3339(text.as_bytes()).map(Cell::Time)
        }
        (FieldType::Time, Shape::Number(text)) => {
            let epoch = text.parse().ok();
            epoch.map(|epoch| Cell::Time(time_text::from_epoch(epoch)))
        }
        (FieldType::Integer, Shape::Number(text)) => Exact::read(&text)
            .and_then(|exact| exact.scaled(0, 19))
            .and_then(|value| i64::try_from(value).ok())
            .map(Cell::Integer),
        (FieldType::Double, Shape::Number(text)) => double(&text)?,
        (FieldType::Money, Shape::Number(text) | Shape::Text(text)) => Exact::read(&text)
            .and_then(|exact| exact.scaled(12, 38))
            .map(Cell::Money),
        (FieldType::TextMap, Shape::Object(members)) => Some(text_map(members)?),
        (FieldType::DoubleMap, Shape::Object(members)) => {
            let mut entries = Vec::new();
            for (key, value) in members.0 {
                let path = format!("{path}.{key}");
                faults.clear(&path);
                let cell = cell(FieldType::Double, value.get(), &path, faults)?;
                replace(&mut entries, key, cell);
            }
            Some(Cell::Map(entries))
        }
        (FieldType::TextList, Shape::List(elements)) => {
            let mut cells = Vec::new();
            for (at, element) in elements.iter().enumerate() {
                let path = format!("{path}[{at}]");
                cells.push(cell(FieldType::Text, element.get(), &path, faults)?);
            }
            Some(Cell::List(cells))
        }
        (FieldType::Json, Shape::Object(_)) => Some(Cell::Text(text.to_owned())),
        (_, Shape::List(elements)) if !field_type.members().is_empty() => {
            let mut cells = Vec::new();
            for (at, element) in elements.iter().enumerate() {
                let path = format!("{path}[{at}]");
                cells.push(object(field_type.members(), element.get(), &path, faults)?);
            }
            Some(Cell::List(cells))
        }
        _ => None,
    };
    Ok(cell.unwrap_or_else(|| {
        faults.put(path, text);
        Cell::Null
    }))
}

/// The nearest double, which serde_json knows to the last bit.
fn double(text: &str) -> Result<Option<Cell>, String> {
    let nearest: f64 = text
        .parse()
        .map_err(|error| format!("{text} is no double: {error}"))?;
    let other: f64 =
        serde_json::from_str(text).map_err(|error| format!("{text} is no double: {error}"))?;
    if (nearest - other).abs() > other.abs() * f64::EPSILON {
        return Err(format!("{text} is {nearest} or {other}"));
    }
    Ok(Some(Cell::Double(nearest.to_bits())))
}

/// Free labels: what is no text is taken as it is written.
fn text_map(members: Members) -> Result<Cell, String> {
    let mut entries = Vec::new();
    for (key, value) in members.0 {
        let cell = match shape(value.get())? {
            Shape::Null => Cell::Null,
            Shape::Text(text) => Cell::Text(text),
            _ => Cell::Text(value.get().to_owned()),
        };
        replace(&mut entries, key, cell);
    }
    Ok(Cell::Map(entries))
}

/// One object of an array; members that it should not have are faults.
fn object(members: &[Member], text: &str, path: &str, faults: &mut Faults) -> Result<Cell, String> {
    let found = match shape(text)? {
        Shape::Object(found) => found,
        Shape::Null => return Ok(Cell::Null),
        _ => {
            faults.put(path, text);
            return Ok(Cell::Null);
        }
    };
    let mut cells = vec![Cell::Null; members.len()];
    for (key, value) in &found.0 {
        let path = format!("{path}.{key}");
        match members.iter().position(|member| member.name == key) {
            Some(at) => {
                faults.clear(&path);
                cells[at] = cell(members[at].field_type, value.get(), &path, faults)?;
            }
            None => faults.put(&path, value.get()),
        }
    }
    Ok(Cell::Object(cells))
}
