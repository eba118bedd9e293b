//! Answers that say no.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Body of every answer with a status from 400 on (RAML `Error`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What is wrong.
    #[serde(default)]
    pub message: String,
    /// Where, and more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// The deployments that hold an app, for a 409.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deployments: Vec<LockingDeployment>,
}

/// A deployment that holds an app: its name, as Marathon tells it, and why it still does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockingDeployment {
    /// Its id.
    pub id: String,
    /// When it was accepted; absent where it has ended meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// What it waits for, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<String>,
}

/// Marathon has two forms of details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Details {
    /// A parser's text.
    Text(String),
    /// Violations, by place.
    List(Vec<ErrorDetail>),
}

/// What is wrong at one place (RAML `ErrorDetail`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDetail {
    /// Where, as `/container/portMappings(0)/hostPort`; `/` for the whole.
    #[serde(default)]
    pub path: String,
    /// What.
    #[serde(default)]
    pub errors: Vec<String>,
}

impl ErrorDetail {
    /// One place and what is wrong there.
    pub(crate) fn new(path: &str, error: &str) -> Self {
        Self { path: path.to_owned(), errors: vec![error.to_owned()] }
    }
}
