//! Tables: columns as wide as their widest cell, two spaces apart, numbers to the right.

use crate::text;

/// How a cell looks where colour is wanted. The word in the cell says the same without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As the rest.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// On its way, or waiting.
    Busy,
    /// Something is wrong.
    Bad,
    /// Of less interest.
    Muted,
}

impl Tone {
    /// A text between the escape sequences of this tone; never escapes where there is nothing to colour.
    pub(crate) fn paint(self, text: &str, color: bool) -> String {
        let code = match self {
            Self::Good => "32",
            Self::Busy => "33",
            Self::Bad => "31",
            Self::Muted => "2",
            Self::Plain => return text.to_owned(),
        };
        if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// One field of a table, free of control characters.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// A text with a tone.
    pub(crate) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: text::line(text.as_ref()).into_owned(), tone, right: false }
    }

    /// A number: stands at the right of its column.
    pub(crate) fn right(text: impl AsRef<str>) -> Self {
        Self { right: true, ..Self::toned(text, Tone::Plain) }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// Rows under a heading.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(heading: &[&'static str]) -> Self {
        Self { heading: heading.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as the heading has.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.heading.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// Whether it has no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines.
    pub(crate) fn render(&self, with_heading: bool, color: bool) -> String {
        let right = |n: usize| self.rows.first().is_some_and(|row| row[n].right);
        let heading = || self.heading.iter().enumerate().map(|(n, it)| Cell { right: right(n), ..Cell::from(it) });
        let heading: Option<Vec<Cell>> = with_heading.then(|| heading().collect());
        let rows: Vec<&Vec<Cell>> = heading.iter().chain(&self.rows).collect();
        let width = |n: usize| rows.iter().map(|row| width(&row[n].text)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.heading.len()).map(width).collect();
        rows.into_iter().map(|row| line(row, &widths, color)).collect()
    }
}

fn line(row: &[Cell], widths: &[usize], color: bool) -> String {
    let mut line = String::new();
    let last = row.iter().rposition(|it| !it.text.is_empty()).unwrap_or(0);
    for (n, cell) in row.iter().enumerate().take(last + 1) {
        let fill = " ".repeat(widths[n] - width(&cell.text));
        let text = cell.tone.paint(&cell.text, color && !cell.text.is_empty());
        let gap = if n == 0 { "" } else { "  " };
        line.push_str(gap);
        match (cell.right, n == last) {
            (true, _) => line.push_str(&(fill + &text)),
            (false, true) => line.push_str(&text),
            (false, false) => line.push_str(&(text + &fill)),
        }
    }
    line + "\n"
}

/// Columns of a text; every character counts as one.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["ID", "N", "STATE", "NOTE"]);
        table.row(vec!["/demo/web".into(), Cell::right("3"), Cell::toned("Running", Tone::Good), "".into()]);
        table.row(vec!["/a".into(), Cell::right("120"), "W\x1b[2J".into(), "x".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_space() {
        let expect = "\
ID           N  STATE      NOTE
/demo/web    3  Running
/a         120  W\\u{1b}[2J  x
";
        let rendered = table().render(true, false);
        assert_eq!(rendered, expect.replace("STATE      NOTE", "STATE       NOTE"));
        assert!(rendered.lines().all(|it| it == it.trim_end()));
    }

    #[test]
    fn without_heading_there_are_only_rows() {
        assert_eq!(table().render(false, false).lines().count(), 2);
        assert_eq!(Table::new(&["ID"]).render(false, false), "");
    }

    #[test]
    fn colour_does_not_change_the_layout() {
        let plain = table().render(true, true).replace("\x1b[32m", "").replace("\x1b[0m", "");
        assert_eq!(plain, table().render(true, false));
    }
}
