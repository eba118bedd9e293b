//! The words of a command as one line for `/bin/sh -c`, and back.
//!
//! A pod's check may give its command as words; agents run every check's command by a shell. The line has one form
//! only, so that it can be told from one that a user wrote and be printed as words again.

const PREFIX: &str = "exec";

/// The line that runs these words: `exec 'curl' '-f'`.
pub(crate) fn line(words: &[String]) -> String {
    let quoted = words.iter().map(|it| format!(" '{}'", it.replace('\'', r"'\''")));
    PREFIX.chars().chain(quoted.collect::<String>().chars()).collect()
}

/// The words that [`line()`] made this of; `None` for any other line.
pub(crate) fn words(text: &str) -> Option<Vec<String>> {
    let mut rest = text.strip_prefix(PREFIX)?;
    let mut words = Vec::new();
    while !rest.is_empty() {
        rest = rest.strip_prefix(" '")?;
        let mut word = String::new();
        loop {
            let (part, after) = rest.split_once('\'')?;
            word.push_str(part);
            let Some(more) = after.strip_prefix(r"\''") else {
                rest = after;
                break;
            };
            word.push('\'');
            rest = more;
        }
        words.push(word);
    }
    (!words.is_empty()).then_some(words)
}

/// A text's beginning, at most so many bytes of it.
pub(crate) fn clip(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes_max)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_runs_its_words() {
        let given = ["curl", "-f", "it's $HOME"].map(str::to_owned);
        assert_eq!(line(&given), r"exec 'curl' '-f' 'it'\''s $HOME'");
        for other in ["exec", "exec curl", "exec 'a", "exec 'a'b", "true", "exec 'a' ", ""] {
            assert_eq!(words(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn words_come_back(given in prop::collection::vec(".{0,8}|[' \\\\a]{0,6}", 1..4)) {
            prop_assert_eq!(words(&line(&given)), Some(given));
        }
    }
}
