//! LIKE and UNLIKE: what users write as regular expressions, compiled by one compiler, within a budget, and once.
//!
//! Who admits a definition and who places its instances ask the same function, [`compile`], and so never differ. A
//! pattern that cannot be compiled lets no instance on a node, whether it was to be LIKE or UNLIKE.
//!
//! What patterns may cost is bounded for all of a definition together, for each is asked again for every node: so much
//! to read, and so much to keep and to walk through.

use regex_lite::{Error, Regex, RegexBuilder};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// All patterns of a definition have at most so many bytes together: the names of some hundred nodes.
pub const TEXT_BYTES_MAX: usize = 4096;

/// All patterns of a definition may take so many bytes when compiled: what so much plain text takes, and as much again.
pub const COMPILED_BYTES_MAX: usize = 256 * 1024;

/// What the smallest pattern is counted as.
const COMPILED_BYTES_MIN: usize = 1024;

/// Groups in groups, at most so deep: people write no deeper ones, and they are read recursively.
const NEST_MAX: u32 = 32;

/// A pattern, anchored at both ends.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is no regular expression, or has something that is not available, such as look-around.
    #[error("'{text}' is not a valid regular expression: {why}")]
    Invalid {
        /// The pattern.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// With it the definition's patterns are too long.
    #[error("the expressions of all LIKE and UNLIKE together must not have more than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// With it the definition's patterns take too much.
    #[error(
        "'{text}' is not a valid regular expression: it repeats too much, or those of all LIKE and UNLIKE together do; \
         compiled, they must not take more than {COMPILED_BYTES_MAX} bytes"
    )]
    TooLarge {
        /// The pattern.
        text: String,
    },
}

/// What constraints compile to, each in its place; none for one without a pattern.
pub type Compiled = Vec<Option<Result<Pattern, Unusable>>>;

/// Compiles the patterns of a definition's constraints, each in its place.
pub fn compile<'a>(patterns: impl Iterator<Item = Option<&'a str>>) -> Compiled {
    let mut budget = Budget { text: TEXT_BYTES_MAX, compiled: COMPILED_BYTES_MAX };
    patterns.map(|it| it.map(|text| budget.compile(text))).collect()
}

impl Pattern {
    /// Whether it describes the value, the whole of it.
    pub fn matches(&self, value: &str) -> bool {
        self.0.is_match(value)
    }
}

/// What people search for in what containers wrote.
#[derive(Clone, Debug)]
pub struct Search {
    /// Plain words are looked for as such, which is some ten times as fast.
    word: Option<String>,
    regex: Regex,
}

impl Search {
    /// Compiles a regular expression, within the bounds of a definition's.
    ///
    /// # Errors
    /// It is none, or takes too much.
    pub fn new(text: &str) -> Result<Self, Unusable> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Unusable::TooLong);
        }
        let no_room = build("", NEST_MAX, 0).err();
        match build(text, NEST_MAX, COMPILED_BYTES_MAX) {
            Ok(regex) => {
                let is_plain = !text.contains(['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$']);
                Ok(Self { word: is_plain.then(|| text.to_owned()), regex })
            }
            Err(error) if Some(&error) == no_room.as_ref() => Err(Unusable::TooLarge { text: text.to_owned() }),
            Err(error) => Err(Unusable::Invalid { text: text.to_owned(), why: error.to_string() }),
        }
    }

    /// Whether it is found in a line.
    pub fn is_in(&self, line: &str) -> bool {
        self.word.as_ref().map_or_else(|| self.regex.is_match(line), |it| line.contains(it.as_str()))
    }
}

/// What the patterns of a definition may still take.
struct Budget {
    text: usize,
    compiled: usize,
}

impl Budget {
    /// Compiles one more. What it takes is found out by doubling its limit, which makes no more than twice the work,
    /// and is counted as the limit that was enough.
    fn compile(&mut self, text: &str) -> Result<Pattern, Unusable> {
        let Some(left) = self.text.checked_sub(text.len()) else {
            self.text = 0;
            return Err(Unusable::TooLong);
        };
        self.text = left;
        let anchored = format!("^(?:{text})$");
        let invalid = |it: Error| Unusable::Invalid { text: text.to_owned(), why: it.to_string() };
        check(text).and_then(|()| check(&anchored)).map_err(invalid)?;
        let mut limit = COMPILED_BYTES_MIN;
        while limit <= self.compiled {
            if let Ok(regex) = build(&anchored, NEST_MAX + 2, limit) {
                self.compiled -= limit;
                return Ok(Pattern(regex));
            }
            limit *= 2;
        }
        // Nor does anything behind it make work for nothing.
        self.compiled = 0;
        Err(Unusable::TooLarge { text: text.to_owned() })
    }
}

/// Whether a text is a regular expression: by itself, so that nothing in it reaches out of the group that it is put
/// in, and in that group. Nothing fits into no room; what is wrong besides that is wrong with the text.
fn check(text: &str) -> Result<(), Error> {
    let no_room = build("", NEST_MAX, 0).err();
    match build(text, NEST_MAX + 2, 0) {
        Err(error) if Some(&error) != no_room.as_ref() => Err(error),
        _ => Ok(()),
    }
}

fn build(text: &str, nest: u32, bytes: usize) -> Result<Regex, Error> {
    RegexBuilder::new(text).nest_limit(nest).size_limit(bytes).build()
}

/// The patterns of a version, compiled when they are first asked for. A copy shares them.
#[derive(Clone, Default)]
pub struct Patterns(Arc<OnceLock<Compiled>>);

impl Patterns {
    /// What the version's constraints compile to. They must be the same at every call.
    pub(crate) fn of<'a>(&self, patterns: impl Iterator<Item = Option<&'a str>>) -> &Compiled {
        self.0.get_or_init(|| compile(patterns))
    }
}

impl PartialEq for Patterns {
    /// They follow from what stands beside them, and make no difference.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Patterns {}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "compiled" } else { "not compiled" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(texts: &[&str]) -> Compiled {
        compile(texts.iter().map(|it| Some(*it)))
    }

    fn one(text: &str) -> Result<Pattern, Unusable> {
        like(&[text]).pop().flatten().expect("it has a pattern")
    }

    #[test]
    fn a_pattern_describes_the_whole_value() {
        for (text, value, expect) in [
            ("n[12]", "n1", true),
            ("n[12]", "n12", false),
            ("a|b", "b", true),
            ("a|b", "ab", false),
            ("rack-\\d+", "rack-07", true),
            (".", "é", true),
            ("\\w{60}", &"x".repeat(60), true),
            ("(?i)node", "NODE", true),
            ("", "", true),
        ] {
            assert_eq!(one(text).expect(text).matches(value), expect, "{text} of {value}");
        }
    }

    #[test]
    fn what_is_no_expression_by_itself_is_refused() {
        for text in ["(", "a)|(?:b", "a(?=b)", "(a)\\1", "*", "[", "(?x)a#", &"(".repeat(99), "\\p{L}"] {
            assert!(matches!(one(text), Err(Unusable::Invalid { .. })), "{text}: {:?}", one(text));
        }
    }

    #[test]
    fn the_patterns_of_a_definition_share_a_budget() {
        let fits = |texts: &[&str]| like(texts).iter().flatten().filter(|it| it.is_ok()).count();
        // The names of as many nodes as fit into the text.
        let names: Vec<String> = (0..160).map(|n| format!("node-{n:03}.dc1.example.org")).collect();
        assert_eq!(fits(&[&names.join("|")]), 1, "{} bytes", names.join("|").len());
        assert_eq!(fits(&["[a-z]+-[0-9]+"; 100]), 100);
        for text in ["\\w{100000}", "((a{99}){99}){99}", "(?:){4294967295}"] {
            assert_eq!(one(text).err(), Some(Unusable::TooLarge { text: text.to_owned() }));
        }
        assert_eq!(one(&"a".repeat(TEXT_BYTES_MAX + 1)).err(), Some(Unusable::TooLong));
        assert!(fits(&["\\w{500}"; 500]) < 20, "those that come last have nothing left");
        assert_eq!(like(&["\\w{100000}", "a"])[1].as_ref().map(Result::is_err), Some(true));
    }

    #[test]
    fn a_search_finds_words_and_expressions_anywhere_in_a_line() {
        for (text, line, expect) in [
            ("error", "an error occurred", true),
            ("error", "an Error occurred", false),
            ("(?i)error", "an Error occurred", true),
            ("a.b", "a+b", true),
            ("a+b", "a+b", false),
            ("a\\+b", "a+b", true),
            ("^an", "an error", true),
            ("[0-9]{3}$", "status 503", true),
            ("", "anything", true),
        ] {
            assert_eq!(Search::new(text).expect(text).is_in(line), expect, "{text} in {line}");
        }
        assert!(matches!(Search::new("("), Err(Unusable::Invalid { .. })));
        assert!(matches!(Search::new("\\w{100000}"), Err(Unusable::TooLarge { .. })));
        assert!(matches!(Search::new(&"a".repeat(TEXT_BYTES_MAX + 1)), Err(Unusable::TooLong)));
    }
}
