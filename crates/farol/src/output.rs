//! Results on standard output.

use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

/// Standard output, buffered. Flush it, or what is left is lost.
pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// Prints one line.
pub fn line(text: &str) -> io::Result<()> {
    let mut out = stdout();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints one JSON object on a line of its own.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = stdout();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// A number, or a dash where it is not known.
pub fn known(value: Option<i64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Lines columns up for people: text to the left, numbers to the right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|name| name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let numeric: Vec<bool> = (0..header.len())
        .map(|column| {
            let mut cells = rows.iter().filter_map(|row| row.get(column)).peekable();
            cells.peek().is_some() && cells.all(|cell| is_number(cell))
        })
        .collect();
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&header).chain(rows) {
        let mut printed = String::new();
        for (column, cell) in row.iter().enumerate() {
            let gap = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            let space = if column == 0 { "" } else { "  " };
            let cell = if numeric[column] {
                format!("{gap}{cell}")
            } else {
                format!("{cell}{gap}")
            };
            printed.push_str(space);
            printed.push_str(&cell);
        }
        text.push_str(printed.trim_end());
        text.push('\n');
    }
    text
}

fn is_number(cell: &str) -> bool {
    cell == "-" || cell.trim_end_matches([' ', 's']).parse::<f64>().is_ok()
}

/// Bytes as text where they are text, else with escapes. Control characters must not reach a terminal.
pub fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text)
            if !text
                .chars()
                .any(|letter| letter.is_control() && !matches!(letter, '\n' | '\t')) =>
        {
            text.to_owned()
        }
        _ => bytes.escape_ascii().to_string(),
    }
}

/// A number of bytes for people.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["llm.traces".to_owned(), "7".to_owned()],
            vec!["a".to_owned(), "1200".to_owned()],
        ];
        assert_eq!(
            table(&["topic", "read"], &rows),
            "topic       read\nllm.traces     7\na           1200\n"
        );
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(12), "12 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
    }

    #[test]
    fn bytes_are_shown_safely() {
        assert_eq!(readable(b"{\"a\":\n1}"), "{\"a\":\n1}");
        assert_eq!(readable("\u{1b}[2J".as_bytes()), "\\x1b[2J");
        assert_eq!(readable(b"\xff{"), "\\xff{");
    }
}
