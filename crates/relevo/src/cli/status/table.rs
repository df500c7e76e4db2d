//! Columns that line up, and words that may have a colour.

use std::fmt::Display;

use crate::cli::client::report::printable;

/// What is shown for what is not known.
pub(crate) const UNKNOWN: &str = "-";

/// How good the news is that a word tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Green.
    Good,
    /// Yellow: on the way, or not all there.
    Unsettled,
    /// Red.
    Bad,
}

/// A word on the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    mood: Option<Mood>,
}

/// Rows below a head. Every row has the head's length, by type.
#[derive(Debug)]
pub(crate) struct Table<const COLUMNS: usize> {
    head: [&'static str; COLUMNS],
    rows: Vec<[Cell; COLUMNS]>,
}

impl Cell {
    /// A word without colour.
    pub(crate) fn plain(value: impl Display) -> Self {
        Self { text: printable(&value.to_string()).into_owned(), mood: None }
    }

    /// A word that is not always known.
    pub(crate) fn known(value: Option<impl Display>) -> Self {
        value.map_or_else(|| Self::plain(UNKNOWN), Self::plain)
    }

    /// A word in the colour of its news.
    pub(crate) fn in_mood(value: impl Display, mood: Mood) -> Self {
        Self { mood: Some(mood), ..Self::plain(value) }
    }

    /// Nothing, where the row above says it.
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// The word, with the codes of its colour where colours are wanted.
    pub(crate) fn render(&self, colour: bool) -> String {
        // ECMA-48, SGR.
        let code = match self.mood {
            Some(Mood::Good) => 32,
            Some(Mood::Unsettled) => 33,
            Some(Mood::Bad) => 31,
            None => return self.text.clone(),
        };
        if colour { format!("\x1b[{code}m{}\x1b[0m", self.text) } else { self.text.clone() }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table without rows.
    pub(crate) const fn new(head: [&'static str; COLUMNS]) -> Self {
        Self { head, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: [Cell; COLUMNS]) {
        self.rows.push(row);
    }

    /// The lines, each ended by a newline.
    pub(crate) fn render(&self, colour: bool) -> String {
        let head = self.head.map(Cell::plain);
        let lines: Vec<&[Cell; COLUMNS]> = std::iter::once(&head).chain(&self.rows).collect();
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            lines.iter().map(|line| line[column].width()).max().unwrap_or(0)
        });
        lines.into_iter().map(|line| render_line(line, &widths, colour)).collect()
    }
}

fn render_line(cells: &[Cell], widths: &[usize], colour: bool) -> String {
    let mut line = String::new();
    let mut gap = 0;
    for (cell, width) in cells.iter().zip(widths) {
        if cell.width() > 0 {
            // Only before a word, so that no line ends in blanks.
            line.extend(std::iter::repeat_n(' ', gap));
            gap = 0;
            line.push_str(&cell.render(colour));
        }
        gap += width - cell.width() + 2;
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_do_not_end_in_blanks() {
        let mut table = Table::new(["NAME", "PID", "X"]);
        table.push([Cell::plain("a"), Cell::known(Some(123_456)), Cell::plain("long words")]);
        table.push([Cell::plain("størst"), Cell::known(None::<u32>), Cell::empty()]);
        table.push([Cell::empty(), Cell::empty(), Cell::plain("z")]);
        let expected = "\
NAME    PID     X
a       123456  long words
størst  -
                z
";
        assert_eq!(table.render(false), expected);
    }

    #[test]
    fn colours_do_not_move_columns() {
        let mut table = Table::new(["S", "T"]);
        table.push([Cell::in_mood("down", Mood::Bad), Cell::plain(1)]);
        table.push([Cell::in_mood("ok", Mood::Good), Cell::plain(2)]);
        let expected = "S     T\n\x1b[31mdown\x1b[0m  1\n\x1b[32mok\x1b[0m    2\n";
        assert_eq!(table.render(true), expected);
        assert_eq!(table.render(false), "S     T\ndown  1\nok    2\n");
    }

    #[test]
    fn a_table_without_rows_is_its_head() {
        assert_eq!(Table::new(["A", "B"]).render(true), "A  B\n");
    }

    #[test]
    fn words_from_elsewhere_are_harmless() {
        assert_eq!(Cell::plain("a\x1b[2J\n").render(false), "a\u{fffd}[2J\u{fffd}");
    }
}
