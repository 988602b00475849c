//! Rows under a header, in columns that a person can read and `awk` can split.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::printable::printable;

/// Two blanks: what is in a cell may hold single ones.
const GAP: &str = "  ";

/// What an empty cell shows, so that columns can be counted.
const NOTHING: &str = "-";

/// Rows of `N` cells.
pub(super) struct Table<const N: usize> {
    header: [&'static str; N],
    goes_on: bool,
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// An empty table.
    pub(super) const fn new(header: [&'static str; N]) -> Self {
        Self { header, goes_on: false, rows: Vec::new() }
    }

    /// Goes on below rows that were written before: no header again.
    pub(super) const fn goes_on(mut self, goes_on: bool) -> Self {
        self.goes_on = goes_on;
        self
    }

    /// Adds a row. Nothing in it can disturb a terminal from here on.
    pub(super) fn push(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| match printable(&cell) {
            shown if shown.is_empty() => NOTHING.to_owned(),
            shown => shown.into_owned(),
        }));
    }

    /// Writes header and rows; nothing if there are no rows.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut widths = self.header.map(|title| title.chars().count());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if !self.goes_on {
            write_row(out, self.header, widths)?;
        }
        self.rows
            .iter()
            .try_for_each(|row| write_row(out, row.each_ref().map(String::as_str), widths))
    }
}

fn write_row<const N: usize>(
    out: &mut dyn Write,
    cells: [&str; N],
    widths: [usize; N],
) -> io::Result<()> {
    let mut line = String::new();
    for (cell, width) in cells.into_iter().zip(widths) {
        write!(line, "{cell:width$}{GAP}").expect("a String takes what is written");
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_cell_is_empty_or_two_lines() {
        let mut table = Table::new(["NAME", "GROUPS"]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        assert!(out.is_empty(), "a header without rows");
        table.push(["älice".to_owned(), String::new()]);
        table.push(["b".to_owned(), "x\ny".to_owned()]);
        table.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "NAME   GROUPS\nälice  -\nb      x\\ny\n");
    }
}
