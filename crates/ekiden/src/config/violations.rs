//! Everything that is wrong with a configuration.

use std::fmt;

/// Keys and what is wrong with their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Violations(Vec<(String, String)>);

impl Violations {
    /// One alone.
    pub(crate) fn one(key: &str, why: impl Into<String>) -> Self {
        Self(vec![(key.to_owned(), why.into())])
    }

    /// One more.
    pub(crate) fn add(&mut self, key: &str, why: impl Into<String>) {
        self.0.push((key.to_owned(), why.into()));
    }

    /// The value, if nothing is wrong.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = if self.0.len() == 1 { "problem" } else { "problems" };
        let heading = format!("error: the configuration has {} {problems}", self.0.len());
        f.write_str(&listed(
            &heading,
            self.0.iter().map(|(key, why)| format!("{key}: {}", why.replace('\n', "\n    "))),
        ))
    }
}

/// Several lines under a heading, as text.
fn listed(heading: &str, lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().fold(format!("{heading}\n"), |text, line| text + "  " + &line + "\n")
}
