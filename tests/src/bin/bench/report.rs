//! The figures of a run, as a table for people and as `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::path::Path;

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

/// A number with as many digits as it is worth.
pub(crate) fn figure(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// All that one section measured.
struct Section {
    title: String,
    how: String,
    rows: Vec<Row>,
    raw: String,
}

/// All figures of a run, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Table {
    sections: Vec<Section>,
}

impl Table {
    /// Begins a section.
    pub(crate) fn section(&mut self, title: &str) {
        eprintln!("== {title}");
        let title = title.to_owned();
        self.sections.push(Section { title, how: String::new(), rows: Vec::new(), raw: String::new() });
    }

    /// Says how the present section is measured: Markdown, one sentence per line.
    pub(crate) fn how(&mut self, text: &str) {
        if let Some(section) = self.sections.last_mut() {
            section.how.push_str(text.trim());
            section.how.push('\n');
        }
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
        if let Some(section) = self.sections.last_mut() {
            section.rows.push(row);
        }
    }

    /// Adds a table of what was measured on either side to the present section.
    pub(crate) fn raw(&mut self, caption: &str, heads: &[&str], lines: &[Vec<String>]) {
        let Some(section) = self.sections.last_mut() else { return };
        let _ = writeln!(section.raw, "\n{caption}:\n\n| {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len()));
        for line in lines {
            let _ = writeln!(section.raw, "| {} |", line.join(" | "));
        }
    }

    /// The sections in Markdown, each with its title. `when` says when they were measured.
    fn markdown(&self, when: &str) -> Vec<(&str, String)> {
        self.sections.iter().map(|it| (it.title.as_str(), it.markdown(when))).collect()
    }

    /// What goes to standard output: the figures alone.
    pub(crate) fn summary(&self) -> String {
        self.sections.iter().fold(String::new(), |text, it| format!("{text}## {}\n\n{}\n", it.title, it.figures()))
    }

    /// Writes the document: `head`, then all of `order` that was measured now, or else stands there already.
    pub(crate) fn write(&self, path: &Path, head: &str, when: &str, order: &[&str]) -> std::io::Result<()> {
        let before = std::fs::read_to_string(path).unwrap_or_default();
        let measured = self.markdown(when);
        let mut text = head.to_owned();
        for &title in order {
            let now = measured.iter().find(|(it, _)| *it == title).map(|(_, text)| text.clone());
            if let Some(section) = now.or_else(|| kept(&before, title)) {
                text.push('\n');
                text.push_str(section.trim_end());
                text.push('\n');
            }
        }
        std::fs::write(path, text)
    }
}

impl Section {
    fn markdown(&self, when: &str) -> String {
        format!("## {}\n\n{}Measured {when}.\n\n{}{}", self.title, self.how, self.figures(), self.raw)
    }

    fn figures(&self) -> String {
        let mut text = "| what | measured | bound | |\n|---|---|---|---|\n".to_owned();
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        text
    }
}

/// The section of that title in an earlier document, with its title.
fn kept(document: &str, title: &str) -> Option<String> {
    let start = document.find(&format!("## {title}\n"))?;
    let rest = &document[start..];
    let end = rest[3..].find("\n## ").map_or(rest.len(), |it| it + 4);
    Some(rest[..end].to_owned())
}
