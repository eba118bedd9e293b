//! Typed access to JSON objects: every wrong type is noted with its place, and reading goes on.

use super::Problems;
use crate::limits;
use crate::work;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A JSON object and where it stands. A field of value `null` is an absent one.
pub(super) struct Object<'a> {
    fields: &'a Map<String, Value>,
    path: String,
}

impl<'a> Object<'a> {
    /// The whole document.
    pub(super) fn root(fields: &'a Map<String, Value>) -> Self {
        Self { fields, path: String::new() }
    }

    /// All of it.
    pub(super) fn map(&self) -> &'a Map<String, Value> {
        self.fields
    }

    /// The place of a field.
    pub(super) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// The object's own place.
    pub(super) fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// Every field, also those of value `null`.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.fields.iter()
    }

    /// A field's value, unless absent or `null`.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        work::did(1);
        self.fields.get(name).filter(|it| !it.is_null())
    }

    /// Warns of fields that nobody knows, with the nearest known one.
    pub(super) fn check_known(&self, problems: &mut Problems, known: &[&str]) {
        work::did(self.fields.len());
        for name in self.fields.keys().filter(|it| !known.contains(&it.as_str())) {
            if problems.has_warned_enough() {
                break;
            }
            let hint = nearest(name, known).map_or_else(String::new, |it| format!("; did you mean '{it}'?"));
            problems.void(&self.at(name), format!("unknown field, it has no effect{hint}"));
        }
    }

    /// A text, as long as [`limits`] lets it be.
    pub(super) fn text(&self, problems: &mut Problems, name: &str) -> Option<&'a str> {
        let value = self.get(name)?;
        text(problems, value, &self.at(name), limits::text_bytes_max(name))
    }

    /// A text that must be there.
    pub(super) fn required_text(&self, problems: &mut Problems, name: &str) -> Option<&'a str> {
        if self.get(name).is_none() {
            problems.shape(&self.at(name), "error.path.missing");
        }
        self.text(problems, name)
    }

    pub(super) fn boolean(&self, problems: &mut Problems, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        expect(problems, value.as_bool(), &self.at(name), "error.expected.jsboolean")
    }

    /// A number between two bounds, both allowed.
    pub(super) fn number(&self, problems: &mut Problems, name: &str, min: f64, max: f64) -> Option<f64> {
        let value = self.get(name)?;
        let number = expect(problems, value.as_f64(), &self.at(name), "error.expected.jsnumber")?;
        if !(min..=max).contains(&number) {
            problems.invalid(&self.at(name), format!("must be between {min} and {max}"));
            return None;
        }
        Some(number)
    }

    /// A whole number between two bounds, both allowed. A fraction of zero is accepted: some clients know no others.
    pub(super) fn int(&self, problems: &mut Problems, name: &str, min: u64, max: u64) -> Option<u64> {
        let value = self.get(name)?;
        let number = expect(problems, value.as_f64(), &self.at(name), "error.expected.jsnumber")?;
        if number.fract() != 0.0 {
            problems.shape(&self.at(name), "error.expected.int");
            return None;
        }
        if !(min as f64..=max as f64).contains(&number) {
            let error = if number < min as f64 {
                format!("must be {min} or more, it is {number}")
            } else {
                format!("must be {max} or less, it is {number}")
            };
            problems.invalid(&self.at(name), error);
            return None;
        }
        Some(number as u64)
    }

    pub(super) fn object(&self, problems: &mut Problems, name: &str) -> Option<Object<'a>> {
        let value = self.get(name)?;
        let fields = expect(problems, value.as_object(), &self.at(name), "error.expected.jsobject")?;
        Some(Object { fields, path: self.at(name) })
    }

    /// An array with as many items as [`limits`] lets it have; one with more is noted, and nobody looks at its items.
    pub(super) fn array(&self, problems: &mut Problems, name: &str) -> Option<&'a [Value]> {
        let value = self.get(name)?;
        let items = expect(problems, value.as_array().map(Vec::as_slice), &self.at(name), "error.expected.jsarray")?;
        is_short(problems, &self.at(name), items.len(), limits::items_max(name), "items").then_some(items)
    }

    /// An object whose keys are the user's own: it has as many as [`limits`] lets it have.
    pub(super) fn entries(&self, problems: &mut Problems, name: &str) -> Option<Object<'a>> {
        let object = self.object(problems, name)?;
        is_short(problems, &object.path, object.fields.len(), limits::ENTRIES_MAX, "entries").then_some(object)
    }

    /// An array of objects; items of other types are noted and left out.
    pub(super) fn objects(&self, problems: &mut Problems, name: &str) -> Option<Vec<Object<'a>>> {
        let items = self.array(problems, name)?.iter().enumerate();
        let items = items.filter_map(|(n, item)| {
            let path = format!("{}({n})", self.at(name));
            let fields = expect(problems, item.as_object(), &path, "error.expected.jsobject")?;
            Some(Object { fields, path })
        });
        Some(items.collect())
    }

    /// An array of texts; items of other types are noted and left out.
    pub(super) fn texts(&self, problems: &mut Problems, name: &str) -> Option<Vec<String>> {
        let items = self.array(problems, name)?.iter().enumerate();
        let items = items.filter_map(|(n, item)| {
            let path = format!("{}({n})", self.at(name));
            text(problems, item, &path, limits::text_bytes_max(name)).map(str::to_owned)
        });
        Some(items.collect())
    }

    /// An object whose fields are all texts; others are noted and left out.
    pub(super) fn text_map(&self, problems: &mut Problems, name: &str) -> Option<BTreeMap<String, String>> {
        let object = self.entries(problems, name)?;
        let fields = object.fields.iter().filter_map(|(key, value)| {
            let text = expect(problems, value.as_str(), &object.at(key), "error.expected.jsstring")?;
            Some((key.clone(), text.to_owned()))
        });
        Some(fields.collect())
    }

    /// One of several words, in any case, as Marathon reads its enumerations.
    pub(super) fn word(&self, problems: &mut Problems, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(problems, name)?;
        let found = words.iter().find(|it| it.eq_ignore_ascii_case(text)).copied();
        if found.is_none() {
            problems.invalid(&self.at(name), format!("must be one of {}; it is '{text}'", words.join(", ")));
        }
        found
    }
}

/// A text of this length at most.
pub(super) fn text<'a>(problems: &mut Problems, value: &'a Value, path: &str, bytes_max: usize) -> Option<&'a str> {
    let text = expect(problems, value.as_str(), path, "error.expected.jsstring")?;
    is_short(problems, path, text.len(), bytes_max, "bytes").then_some(text)
}

/// Whether there are few enough of something; notes it where there are not.
fn is_short(problems: &mut Problems, path: &str, n: usize, max: usize, what: &str) -> bool {
    if n > max {
        problems.invalid(path, format!("is too long: {n} {what}, at most {max}"));
    }
    n <= max
}

fn expect<T>(problems: &mut Problems, value: Option<T>, path: &str, error: &str) -> Option<T> {
    work::did(path.len());
    if value.is_none() {
        problems.shape(path, error);
    }
    value
}

/// The known word that is at most a third of its letters away.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let folded = word.to_lowercase();
    known
        .iter()
        .map(|it| (distance(&folded, &it.to_lowercase()), *it))
        .filter(|(distance, it)| *distance <= it.len().div_ceil(3))
        .min()
        .map(|(_, it)| it)
}

/// How many letters must be added, dropped, replaced or swapped with their neighbour (restricted edit distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_word_is_found() {
        let known = ["instances", "cpus", "mem", "cmd", "healthChecks"];
        for (word, expect) in [
            ("instnaces", Some("instances")),
            ("Cpus", Some("cpus")),
            ("helthcheck", Some("healthChecks")),
            ("memory", None),
            ("colour", None),
        ] {
            assert_eq!(nearest(word, &known), expect, "{word}");
        }
    }
}
