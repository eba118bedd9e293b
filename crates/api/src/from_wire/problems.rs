//! What is wrong with an input, collected.

use crate::v2::ErrorDetail;
use crate::words::clip;
use crate::work;
use serde_json::{Map, Value};

/// So much of what is wrong is told, and as much of what is odd; the rest is counted. More than people mend at once,
/// and little enough that collecting them is never the work.
const TOLD_MAX: usize = 100;
/// Places and texts are told up to this length, bytes: both may repeat what was sent.
const PATH_BYTES_MAX: usize = 256;
const ERROR_BYTES_MAX: usize = 1024;

/// All that is wrong with an input, and what is only odd about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    shape: Vec<ErrorDetail>,
    invalid: Vec<ErrorDetail>,
    is_misshapen: bool,
    n_told: usize,
    n_untold: usize,
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
        self.is_misshapen = true;
        if self.is_room() {
            push(&mut self.shape, path, error);
        }
    }

    /// Notes a value that is not allowed.
    pub(crate) fn invalid(&mut self, path: &str, error: impl AsRef<str>) {
        if self.is_room() {
            push(&mut self.invalid, path, error.as_ref());
        }
    }

    /// Notes something without effect.
    pub(crate) fn void(&mut self, path: &str, message: impl Into<String>) {
        self.warn("", [Warning { path: path.to_owned(), message: message.into(), is_void: true }]);
    }

    /// Notes something that has its effect, but perhaps not the one that was meant.
    pub(crate) fn odd(&mut self, path: &str, message: impl Into<String>) {
        self.warn("", [Warning { path: path.to_owned(), message: message.into(), is_void: false }]);
    }

    /// Whether no more is told of what is odd: nobody need look for it.
    pub(crate) fn has_warned_enough(&self) -> bool {
        self.warnings.len() > TOLD_MAX
    }

    /// Notes every NUL character.
    pub(crate) fn nuls(&mut self, definition: &Map<String, Value>) {
        for path in crate::json::nuls(definition, TOLD_MAX) {
            self.invalid(&path, "must not contain the character U+0000");
        }
    }

    /// Takes the room for one more to be told; where there is none, it is counted.
    fn is_room(&mut self) -> bool {
        let is_room = self.n_told < TOLD_MAX;
        if is_room {
            self.n_told += 1;
        } else {
            self.n_untold += 1;
        }
        is_room
    }

    /// Whether nothing is wrong; there may be warnings.
    pub fn is_empty(&self) -> bool {
        self.n_told == 0
    }

    /// Whether a value has the wrong type.
    pub fn is_misshapen(&self) -> bool {
        self.is_misshapen
    }

    /// What is wrong, by place: wrong types first. At the end how much more there is.
    pub fn details(&self) -> Vec<ErrorDetail> {
        let more = (self.n_untold > 0).then(|| ErrorDetail::new("/", &format!("and {} more", self.n_untold)));
        self.shape.iter().chain(&self.invalid).cloned().chain(more).collect()
    }

    /// What is odd.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Adds what is wrong in a part of the input; `prefix` is the part's place.
    pub(crate) fn absorb(&mut self, prefix: &str, part: Self) {
        self.is_misshapen |= part.is_misshapen;
        self.n_untold += part.n_untold;
        for (details, more) in [(&mut self.shape, part.shape), (&mut self.invalid, part.invalid)] {
            for ErrorDetail { path, mut errors } in more {
                let n_told = errors.len().min(TOLD_MAX - self.n_told);
                self.n_told += n_told;
                self.n_untold += errors.len() - n_told;
                errors.truncate(n_told);
                if !errors.is_empty() {
                    let path =
                        if path == "/" { prefix.to_owned() } else { clip(&format!("{prefix}{path}"), PATH_BYTES_MAX) };
                    details.push(ErrorDetail { path, errors });
                }
            }
        }
        self.warn(prefix, part.warnings);
    }

    /// Adds what is odd in a part of the input; `prefix` is the part's place.
    pub(crate) fn warn(&mut self, prefix: &str, warnings: impl IntoIterator<Item = Warning>) {
        for Warning { path, message, is_void } in warnings {
            if self.has_warned_enough() {
                return;
            }
            let (path, message) = if self.warnings.len() == TOLD_MAX {
                ("/".to_owned(), "there is more that is odd, or has no effect: mend the others first".to_owned())
            } else {
                (clip(&format!("{prefix}{path}"), PATH_BYTES_MAX), clip(&message, ERROR_BYTES_MAX))
            };
            self.warnings.push(Warning { path, message, is_void });
        }
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
    let (path, error) = (clip(path, PATH_BYTES_MAX), clip(error, ERROR_BYTES_MAX));
    work::did(details.len() + path.len() + error.len());
    match details.iter_mut().find(|it| it.path == path) {
        Some(there) => there.errors.push(error),
        None => details.push(ErrorDetail::new(&path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_a_thousand_times_is_told_a_hundred_times_and_counted() {
        let mut problems = Problems::default();
        for n in 0..1000 {
            problems.invalid(&format!("/args({n})"), "wrong");
        }
        problems.shape("/cmd", "error.expected.jsstring");
        let details = problems.details();
        assert_eq!(details.len(), TOLD_MAX + 1);
        assert_eq!(details[TOLD_MAX], ErrorDetail::new("/", "and 901 more"));
        assert!(problems.is_misshapen(), "though there was no room to tell it");

        let mut whole = Problems::default();
        whole.invalid("/id", "wrong");
        whole.absorb("(3)", problems);
        let details = whole.details();
        assert_eq!((&*details[1].path, details.len()), ("(3)/args(0)", TOLD_MAX + 1));
        assert_eq!(details[TOLD_MAX], ErrorDetail::new("/", "and 902 more"));
        assert!(whole.is_misshapen());
    }

    #[test]
    fn many_errors_at_one_place_are_as_bounded() {
        let mut problems = Problems::default();
        for n in 0..1000 {
            problems.invalid("/args", format!("wrong {n}"));
        }
        let details = problems.details();
        assert_eq!(details[0].errors.len(), TOLD_MAX);
        assert_eq!(details[1], ErrorDetail::new("/", "and 900 more"));
    }

    #[test]
    fn what_is_repeated_of_an_input_is_short() {
        let mut problems = Problems::default();
        problems.invalid(&"ü".repeat(1_000_000), "ü".repeat(1_000_000));
        let told = &problems.details()[0];
        assert!(told.path.len() < 300 && told.errors[0].len() < 1100, "{}", told.path);
        for n in 0..1000 {
            problems.void(&format!("/{n}"), "unknown");
        }
        assert_eq!(problems.warnings().len(), TOLD_MAX + 1);
        assert!(problems.warnings()[TOLD_MAX].message.starts_with("there is more"));
    }
}
