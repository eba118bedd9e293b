//! JSON as strict as a control plane needs it: what is ambiguous is refused, not guessed.

use crate::limits::VALUES_MAX;
use crate::words::clip;
use crate::work;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt::{self, Write};

/// Reads one JSON document; the mark that some editors write before it (U+FEFF in UTF-8) is passed over.
///
/// # Errors
/// The parser's text with line and column: for all that is not JSON, for a key that stands twice in one object, also
/// where the object is a free map such as `env`, for nesting deeper than 127, and for more than [`VALUES_MAX`] values.
pub(crate) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut left = VALUES_MAX;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict { left: &mut left }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// The first `max` places of a document where a string or key holds a NUL character, which neither Docker nor the
/// kernel can pass on.
pub(crate) fn nuls(fields: &Map<String, Value>, max: usize) -> Vec<String> {
    let mut found = Nuls { path: String::new(), places: Vec::new(), max };
    found.look_into(fields);
    found.places
}

/// A place is told up to this length, bytes: keys may be as long as the whole document.
const PLACE_BYTES_MAX: usize = 256;

/// A search for NUL characters.
struct Nuls {
    path: String,
    places: Vec<String>,
    max: usize,
}

impl Nuls {
    fn look_at(&mut self, value: &Value) {
        let length = self.path.len();
        work::did(1);
        match value {
            Value::String(text) if text.contains('\0') => self.note(),
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    if self.places.len() >= self.max {
                        return;
                    }
                    let _ = write!(self.path, "({n})");
                    self.look_at(item);
                    self.path.truncate(length);
                }
            }
            Value::Object(fields) => self.look_into(fields),
            _ => {}
        }
    }

    fn look_into(&mut self, fields: &Map<String, Value>) {
        let length = self.path.len();
        for (name, field) in fields {
            if self.places.len() >= self.max {
                return;
            }
            work::did(name.len());
            self.path.push('/');
            if name.contains('\0') {
                self.path.push_str(&name.replace('\0', "\\u0000"));
                self.note();
            } else {
                self.path.push_str(name);
            }
            self.look_at(field);
            self.path.truncate(length);
        }
    }

    fn note(&mut self) {
        work::did(1);
        self.places.push(clip(&self.path, PLACE_BYTES_MAX));
    }
}

/// Reads a value; `left` is how many more there may be.
struct Strict<'a> {
    left: &'a mut usize,
}

impl Strict<'_> {
    const fn next(&mut self) -> Strict<'_> {
        Strict { left: &mut *self.left }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        work::did(1);
        *self.left =
            self.left.checked_sub(1).ok_or_else(|| D::Error::custom(format_args!("more than {VALUES_MAX} values")))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
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

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.next())? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{}`", name.escape_debug())));
            }
            work::did(name.len());
            let value = map.next_value_seed(self.next())?;
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
            b"\xef\xbb\xbf",
            b"\xef\xbb\xbf\xef\xbb\xbf{}",
            b"{}\xef\xbb\xbf",
            b"\xff\xfe{\0}\0",
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
        let many = |n: usize| format!("[{}0]", "0,".repeat(n - 2));
        assert!(parse(many(VALUES_MAX).as_bytes()).is_ok(), "the list is one of them");
        let error = parse(many(VALUES_MAX + 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("more than 524288 values at line 1"), "{error}");
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(parse(b"\xef\xbb\xbf{\"a\":1}").unwrap(), parse(b"{\"a\":1}").unwrap());
    }

    #[test]
    fn nul_characters_are_found_with_their_paths() {
        let value = parse(br#"{"a":["x","\u0000"],"b\u0000":{"c":"\u0000"}}"#).unwrap();
        assert_eq!(nuls(value.as_object().unwrap(), 10), ["/a(1)", "/b\\u0000", "/b\\u0000/c"]);
        assert_eq!(nuls(value.as_object().unwrap(), 2).len(), 2, "the first ones");
        let long = parse(format!(r#"{{"{}":["\u0000"]}}"#, "k".repeat(100_000)).as_bytes()).unwrap();
        assert!(nuls(long.as_object().unwrap(), 10)[0].len() < 300, "places are told in short");
    }
}
