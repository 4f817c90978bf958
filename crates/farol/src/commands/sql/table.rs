//! Rows as a table for people, printed while they come.
//!
//! Widths are taken from the first rows; later cells that are wider push their line out.

use std::io::{IsTerminal, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use farol_server::encode::parts_as_json;

/// Rows that are looked at before the first is printed.
const ROWS_MEASURED: usize = 1_000;

/// The widest cell at a terminal; prose would push everything else off the screen.
const TERMINAL_CELL_CHARS: usize = 60;

/// Prints batches as a table.
pub(super) struct TableSink {
    out: Box<dyn Write + Send>,
    names: Vec<String>,
    numeric: Vec<bool>,
    widths: Option<Vec<usize>>,
    waiting: Vec<Vec<String>>,
    cell_chars: usize,
    rows: u64,
}

impl TableSink {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        let cell_chars = if std::io::stdout().is_terminal() {
            TERMINAL_CELL_CHARS
        } else {
            usize::MAX
        };
        Self {
            out,
            names: Vec::new(),
            numeric: Vec::new(),
            widths: None,
            waiting: Vec::new(),
            cell_chars,
            rows: 0,
        }
    }

    pub(super) fn begin(&mut self, schema: &SchemaRef) {
        self.names = schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        self.numeric = schema
            .fields()
            .iter()
            .map(|field| field.data_type().is_numeric())
            .collect();
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let batch = parts_as_json(batch)?;
        let options = FormatOptions::default().with_null("");
        let columns: Vec<ArrayFormatter> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns
                .iter()
                .map(|column| Ok(self.cell(&column.value(row).try_to_string()?)))
                .collect::<anyhow::Result<Vec<String>>>()?;
            self.rows += 1;
            if let Some(widths) = &self.widths {
                let line = line(&cells, widths, &self.numeric);
                writeln!(self.out, "{line}")?;
            } else {
                self.waiting.push(cells);
                if self.waiting.len() == ROWS_MEASURED {
                    self.print_waiting()?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.print_waiting()?;
        let rows = if self.rows == 1 { "row" } else { "rows" };
        writeln!(self.out, "({} {rows})", self.rows)?;
        self.out.flush()?;
        Ok(())
    }

    /// A cell on one line, and no wider than is allowed.
    fn cell(&self, text: &str) -> String {
        let mut cell = String::with_capacity(text.len().min(256));
        for (count, letter) in text.chars().enumerate() {
            if count + 1 >= self.cell_chars && text.chars().nth(count + 1).is_some() {
                cell.push('…');
                break;
            }
            match letter {
                '\n' => cell.push('⏎'),
                letter if letter.is_control() => cell.push(' '),
                letter => cell.push(letter),
            }
        }
        cell
    }

    fn print_waiting(&mut self) -> anyhow::Result<()> {
        if self.widths.is_some() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let mut widths: Vec<usize> = self.names.iter().map(|name| name.chars().count()).collect();
        for row in &waiting {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        writeln!(self.out, "{}", line(&self.names, &widths, &self.numeric))?;
        writeln!(self.out, "{}", rule.join("──"))?;
        for row in &waiting {
            writeln!(self.out, "{}", line(row, &widths, &self.numeric))?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

fn line(cells: &[String], widths: &[usize], numeric: &[bool]) -> String {
    let mut text = String::new();
    for (column, cell) in cells.iter().enumerate() {
        let gap = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
        if column > 0 {
            text.push_str("  ");
        }
        if numeric[column] {
            text.push_str(&gap);
            text.push_str(cell);
        } else {
            text.push_str(cell);
            text.push_str(&gap);
        }
    }
    text.truncate(text.trim_end().len());
    text
}
