//! The table that a bench run prints and writes.

use std::fmt::Write as _;

/// One measured figure, and what it is held against.
pub(crate) struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    bound: Option<(Bound, f64)>,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast,
    AtMost,
}

impl Row {
    /// A figure that shall not be lower.
    pub(crate) fn at_least(what: impl Into<String>, value: f64, bound: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, bound: Some((Bound::AtLeast, bound)) }
    }

    /// A figure that shall not be higher.
    pub(crate) fn at_most(what: impl Into<String>, value: f64, bound: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, bound: Some((Bound::AtMost, bound)) }
    }

    /// A figure for orientation.
    pub(crate) fn plain(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, bound: None }
    }

    fn cells(&self) -> [String; 4] {
        let (bound, verdict) = match self.bound {
            None => (String::new(), ""),
            Some((Bound::AtLeast, it)) => {
                (format!("≥ {}", figure(it)), if self.value >= it { "held" } else { "**missed**" })
            }
            Some((Bound::AtMost, it)) => {
                (format!("≤ {}", figure(it)), if self.value <= it { "held" } else { "**missed**" })
            }
        };
        [self.what.clone(), format!("{} {}", figure(self.value), self.unit), bound, verdict.to_owned()]
    }
}

fn figure(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// All figures of a run, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Table {
    sections: Vec<(String, Vec<Row>)>,
}

impl Table {
    /// Begins a section.
    pub(crate) fn section(&mut self, title: &str) {
        eprintln!("== {title}");
        self.sections.push((title.to_owned(), Vec::new()));
    }

    /// Says what is being measured.
    #[expect(clippy::unused_self, reason = "the table is who talks to the person that waits")]
    pub(crate) fn progress(&self, what: &str) {
        eprintln!("   {what} …");
    }

    /// Adds a figure to the present section, and prints it.
    pub(crate) fn push(&mut self, row: Row) {
        let [what, value, bound, verdict] = row.cells();
        eprintln!("   {what}: {value}  {bound}  {verdict}");
        if let Some((_, rows)) = self.sections.last_mut() {
            rows.push(row);
        }
    }

    /// The table in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (title, rows) in &self.sections {
            let _ = writeln!(text, "## {title}\n\n| what | measured | bound | |\n|---|---|---|---|");
            for row in rows {
                let _ = writeln!(text, "| {} |", row.cells().join(" | "));
            }
            text.push('\n');
        }
        text
    }
}
