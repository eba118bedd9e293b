//! App definitions in files: Marathon JSON, one app or a list of apps.
//!
//! What is sent is the text as written, not what was understood of it: the server sees every key, also one that stands
//! there twice.

use crate::error::{Error, Kind, Result};
use crate::session::Session;
use crate::text;
use serde_json::Value;

/// The apps of one file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The file, as people know it.
    pub(crate) file: String,
    /// The apps' ids, with their leading slashes.
    pub(crate) ids: Vec<String>,
    /// The definitions as written, with commas between them.
    pub(crate) text: String,
}

/// The apps of a file, each with an id; `-` is stdin.
pub(crate) fn apps(session: &mut Session<'_>, file: &str) -> Result<Source> {
    let (text, value) = read(session, file)?;
    let invalid = |what: String| Error::new(Kind::Invalid, what).at(shown(file));
    let form = "an app looks like {\"id\": \"/demo/web\", \"container\": …}";
    let (text, values) = match value {
        Value::Array(values) if values.is_empty() => return Err(invalid("the list of apps is empty".to_owned())),
        Value::Array(values) => (text.trim().trim_start_matches('[').trim_end_matches(']').to_owned(), values),
        value => (text, vec![value]),
    };
    let mut ids = Vec::new();
    for (n, value) in values.iter().enumerate() {
        let which = if values.len() == 1 { "the app".to_owned() } else { format!("app {} of {}", n + 1, values.len()) };
        let Value::Object(fields) = value else {
            return Err(invalid(format!("{which} is no object")).hint(form));
        };
        match fields.get("id").and_then(Value::as_str).filter(|it| !it.trim_matches('/').is_empty()) {
            Some(id) => ids.push(text::app_id(id)),
            None => return Err(invalid(format!("{which} has no id")).hint(form)),
        }
    }
    Ok(Source { file: shown(file).to_owned(), ids, text })
}

/// The one object of a file, with an id or without.
pub(crate) fn object(session: &mut Session<'_>, file: &str) -> Result<String> {
    let (text, value) = read(session, file)?;
    if value.is_object() {
        return Ok(text);
    }
    Err(Error::new(Kind::Invalid, "an object with fields to change is expected").at(shown(file)))
}

/// The one object with what to change, of a file or of stdin; but nobody is waited for to type it.
pub(crate) fn changes(session: &mut Session<'_>, file: Option<&str>) -> Result<String> {
    if file.is_none() && session.has_person() {
        let err = Error::new(Kind::Usage, "nothing to change was given");
        return Err(err.hint("write key=value, name a --file, or pipe JSON to stdin"));
    }
    object(session, file.unwrap_or("-"))
}

/// Says of a refusal of content which files it is about.
pub(crate) fn blame(err: Error, files: &str) -> Error {
    if err.kind != Kind::Invalid {
        return err;
    }
    let request = err.at.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
    let place = format!("{files}{request}");
    err.at(place)
}

fn read(session: &mut Session<'_>, file: &str) -> Result<(String, Value)> {
    let bytes = if file == "-" { session.stdin() } else { std::fs::read(file) };
    let bytes = bytes.map_err(|err| Error::new(Kind::NotFound, format!("cannot read {}: {err}", shown(file))))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Error::new(Kind::Invalid, format!("{} is no UTF-8 text", shown(file))))?;
    // The mark that some editors write before a text.
    let text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned);
    if text.trim().is_empty() {
        return Err(Error::new(Kind::Invalid, format!("{} is empty", shown(file))).hint("Marathon JSON is expected"));
    }
    let value = serde_json::from_str(&text).map_err(|err| not_json(file, &text, &err))?;
    Ok((text, value))
}

fn not_json(file: &str, text: &str, err: &serde_json::Error) -> Error {
    let (line, column) = (err.line(), err.column());
    let why = err.to_string();
    let why = why.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&why);
    let what = Error::new(Kind::Invalid, format!("{} is not JSON: {why}", shown(file)));
    let what = what.at(format!("{}:{line}:{column}", shown(file)));
    let Some(source) = line.checked_sub(1).and_then(|it| text.lines().nth(it)).filter(|it| it.len() <= 120) else {
        return what;
    };
    let source = source.replace('\t', " ");
    let caret = " ".repeat(column.saturating_sub(1).min(source.len()));
    what.detail(format!("{line:>4} | {source}")).detail(format!("     | {caret}^"))
}

/// A file's name for people.
pub(crate) fn shown(file: &str) -> &str {
    if file == "-" { "stdin" } else { file }
}
