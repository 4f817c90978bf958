//! A column's value in one row, as both ways tell it.

/// Doubles are held as their bits, so that zeros with signs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    Text(String),
    Integer(i64),
    Double(u64),
    /// Counts millionths of a millionth.
    Money(i128),
    /// Microseconds since 1970, UTC.
    Time(i64),
    Map(Vec<(String, Cell)>),
    List(Vec<Cell>),
    /// The values of an object's members, in the field table's order.
    Object(Vec<Cell>),
}
