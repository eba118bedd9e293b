//! What is wrong with an input, collected.

use crate::error::detail;
use crate::v2::ErrorDetail;
use serde_json::{Map, Value};

/// All that is wrong with an input, and what is only odd about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    shape: Vec<ErrorDetail>,
    invalid: Vec<ErrorDetail>,
    warnings: Vec<Warning>,
}

/// Something in an input that is accepted, but perhaps not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub path: String,
    /// What is odd, and what was perhaps meant.
    pub message: String,
    /// It has no effect at all: refused where a request is to be read strictly.
    pub is_void: bool,
}

impl Problems {
    /// Notes a value of the wrong type. `error` is one of Marathon's codes, such as `error.expected.jsstring`.
    pub(crate) fn shape(&mut self, path: &str, error: &str) {
        push(&mut self.shape, path, error);
    }

    /// Notes a value that is not allowed.
    pub(crate) fn invalid(&mut self, path: &str, error: impl AsRef<str>) {
        push(&mut self.invalid, path, error.as_ref());
    }

    /// Notes something without effect.
    pub(crate) fn void(&mut self, path: &str, message: impl Into<String>) {
        self.warnings.push(Warning { path: path.to_owned(), message: message.into(), is_void: true });
    }

    /// Notes something that has its effect, but perhaps not the one that was meant.
    pub(crate) fn odd(&mut self, path: &str, message: impl Into<String>) {
        self.warnings.push(Warning { path: path.to_owned(), message: message.into(), is_void: false });
    }

    /// Notes every NUL character.
    pub(crate) fn nuls(&mut self, definition: &Map<String, Value>) {
        for path in crate::json::nuls(&Value::Object(definition.clone())) {
            self.invalid(&path, "must not contain the character U+0000");
        }
    }

    /// Whether nothing is wrong; there may be warnings.
    pub fn is_empty(&self) -> bool {
        self.shape.is_empty() && self.invalid.is_empty()
    }

    /// Whether a value has the wrong type.
    pub fn is_misshapen(&self) -> bool {
        !self.shape.is_empty()
    }

    /// What is wrong, by place: wrong types first.
    pub fn details(&self) -> Vec<ErrorDetail> {
        self.shape.iter().chain(&self.invalid).cloned().collect()
    }

    /// What is odd.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Adds what is wrong in a part of the input; `prefix` is the part's place.
    pub(crate) fn absorb(&mut self, prefix: &str, part: Self) {
        let moved = |it: ErrorDetail| {
            let path = if it.path == "/" { prefix.to_owned() } else { format!("{prefix}{}", it.path) };
            ErrorDetail { path, errors: it.errors }
        };
        self.shape.extend(part.shape.into_iter().map(moved));
        self.invalid.extend(part.invalid.into_iter().map(moved));
        self.warn(prefix, part.warnings);
    }

    /// Adds what is odd in a part of the input; `prefix` is the part's place.
    pub(crate) fn warn(&mut self, prefix: &str, warnings: Vec<Warning>) {
        self.warnings.extend(warnings.into_iter().map(|it| Warning { path: format!("{prefix}{}", it.path), ..it }));
    }

    /// The value with the warnings, if nothing is wrong.
    pub(crate) fn into_result<T>(self, value: T) -> Result<(T, Vec<Warning>), Self> {
        if self.is_empty() { Ok((value, self.warnings)) } else { Err(self) }
    }

    /// Makes errors of what has no effect.
    pub(crate) fn of_void(warnings: &[Warning]) -> Self {
        let mut problems = Self::default();
        for it in warnings.iter().filter(|it| it.is_void) {
            problems.invalid(&it.path, &it.message);
        }
        problems
    }
}

fn push(details: &mut Vec<ErrorDetail>, path: &str, error: &str) {
    match details.iter_mut().find(|it| it.path == path) {
        Some(there) => there.errors.push(error.to_owned()),
        None => details.push(detail(path, error)),
    }
}
