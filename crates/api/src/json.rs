//! JSON as strict as a control plane needs it: what is ambiguous is refused, not guessed.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt::{self, Write};

/// Reads one JSON document.
///
/// # Errors
/// The parser's text with line and column: for all that is not JSON, for a key that stands twice in one object, also
/// where the object is a free map such as `env`, and for nesting deeper than 127.
pub(crate) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Strict>(text).map(|it| it.0)
}

/// Every place of a document where a string or key holds a NUL character, which neither Docker nor the kernel can
/// pass on.
pub(crate) fn nuls(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_nuls(value, &mut String::new(), &mut found);
    found
}

fn collect_nuls(value: &Value, path: &mut String, found: &mut Vec<String>) {
    let length = path.len();
    match value {
        Value::String(text) if text.contains('\0') => found.push(path.clone()),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                let _ = write!(path, "({n})");
                collect_nuls(item, path, found);
                path.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                path.push('/');
                path.push_str(&name.replace('\0', "\\u0000"));
                if name.contains('\0') {
                    found.push(path.clone());
                }
                collect_nuls(field, path, found);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, it: bool) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_i64<E: Error>(self, it: i64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_u64<E: Error>(self, it: u64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_f64<E: Error>(self, it: f64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_str<E: Error>(self, it: &str) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_string<E: Error>(self, it: String) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{}`", name.escape_debug())));
            }
            let Strict(value) = map.next_value()?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ambiguous_or_not_json_is_refused() {
        for text in [
            &b""[..],
            b"{",
            b"{}x",
            b"{} {}",
            b"{/* no */}",
            b"NaN",
            b"[1e999]",
            b"\xef\xbb\xbf{}",
            b"\"\xff\"",
            br#""\ud800""#,
            br#"{"a":1,"a":2}"#,
            br#"{"env":{"A":"1","A":"2"}}"#,
            br#"{"env":{"A":"1","\u0041":"2"}}"#,
            "[".repeat(128).as_bytes(),
            "[".repeat(100_000).as_bytes(),
            "{\"a\":".repeat(100_000).as_bytes(),
        ] {
            let error = parse(text).expect_err(&String::from_utf8_lossy(&text[..text.len().min(40)]));
            assert!(error.to_string().contains(" at line "), "{error}");
        }
        let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
        assert!(parse(deep.as_bytes()).is_ok());
    }

    #[test]
    fn nul_characters_are_found_with_their_paths() {
        let value = parse(br#"{"a":["x","\u0000"],"b\u0000":{"c":"\u0000"}}"#).unwrap();
        assert_eq!(nuls(&value), ["/a(1)", "/b\\u0000", "/b\\u0000/c"]);
    }
}
