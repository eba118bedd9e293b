//! Logs, as typed and as meant.

use super::Violations;
use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// What is logged where nothing else is asked for: two libraries of the agent are talkative, and one logs secrets.
const FILTER: &str = "info,consulrs=warn,rustify=off";

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line, for collectors
    Json,
}

/// How a daemon logs, as meant.
#[derive(Debug)]
pub(crate) struct LogConfig {
    pub(crate) filter: EnvFilter,
    /// The same, as typed.
    pub(crate) directives: String,
    pub(crate) format: LogFormat,
}

impl LogConfig {
    pub(crate) fn check(filter: Option<&str>, format: Option<LogFormat>, violations: &mut Violations) -> Self {
        let directives = filter.unwrap_or(FILTER).to_owned();
        let filter = EnvFilter::try_new(&directives).unwrap_or_else(|err| {
            violations.add("log", format!("`{directives}` is no filter: {err}"));
            EnvFilter::default()
        });
        Self { filter, directives, format: format.unwrap_or_default() }
    }
}
