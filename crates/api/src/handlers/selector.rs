//! Label selectors: `a`, `a==x`, `a!=x`, `a in (x,y)`, `a notin (x,y)`, separated by commas, all of which must hold.
//! A backslash takes the next character as it is.

use crate::error::Error;
use std::collections::BTreeMap;

/// What must hold of an app's labels; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Term>);

/// One of them. The label must be there for every kind, as in Marathon.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Exists(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    /// Reads a selector.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::Argument(format!(
                "Couldn't parse selector: '{text}'. Write 'a', 'a==x', 'a!=x', 'a in (x,y)' or 'a notin (x,y)', separated by commas"
            ))
        };
        let mut tokens = tokens(text).ok_or_else(wrong)?.into_iter().peekable();
        let mut terms = Vec::new();
        loop {
            terms.push(term(&mut tokens).ok_or_else(wrong)?);
            match tokens.next() {
                None => return Ok(Self(terms)),
                Some(Token::Comma) => {}
                Some(_) => return Err(wrong()),
            }
        }
    }

    /// Whether it holds.
    pub(crate) fn takes(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|term| match term {
            Term::Exists(key) => labels.contains_key(key),
            Term::In(key, values) => labels.get(key).is_some_and(|it| values.contains(it)),
            Term::NotIn(key, values) => labels.get(key).is_some_and(|it| !values.contains(it)),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Equal,
    Differs,
    Comma,
    Open,
    Close,
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        let token = match next {
            ' ' => continue,
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '=' => {
                chars.next_if_eq(&'=')?;
                Token::Equal
            }
            '!' => {
                chars.next_if_eq(&'=')?;
                Token::Differs
            }
            first => {
                let mut word = String::new();
                word.push(if first == '\\' { chars.next()? } else { first });
                while let Some(next) = chars.next_if(|it| !" ,()=!".contains(*it)) {
                    word.push(if next == '\\' { chars.next()? } else { next });
                }
                Token::Word(word)
            }
        };
        tokens.push(token);
    }
    Some(tokens)
}

fn term(tokens: &mut std::iter::Peekable<impl Iterator<Item = Token>>) -> Option<Term> {
    let Token::Word(key) = tokens.next()? else { return None };
    match tokens.peek() {
        None | Some(Token::Comma) => return Some(Term::Exists(key)),
        _ => {}
    }
    match tokens.next()? {
        Token::Equal => Some(Term::In(key, vec![word(tokens)?])),
        Token::Differs => Some(Term::NotIn(key, vec![word(tokens)?])),
        Token::Word(it) if it == "in" => Some(Term::In(key, set(tokens)?)),
        Token::Word(it) if it == "notin" => Some(Term::NotIn(key, set(tokens)?)),
        _ => None,
    }
}

fn set(tokens: &mut impl Iterator<Item = Token>) -> Option<Vec<String>> {
    (tokens.next()? == Token::Open).then_some(())?;
    let mut values = vec![word(tokens)?];
    loop {
        match tokens.next()? {
            Token::Comma => values.push(word(tokens)?),
            Token::Close => return Some(values),
            _ => return None,
        }
    }
}

fn word(tokens: &mut impl Iterator<Item = Token>) -> Option<String> {
    match tokens.next()? {
        Token::Word(word) => Some(word),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_take_what_they_say() {
        let labels = [("team", "pay"), ("tier", "1"), ("a b", "x,y")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        for (text, expect) in [
            ("team", Some(true)),
            ("owner", Some(false)),
            ("team==pay", Some(true)),
            ("team == ops", Some(false)),
            ("team!=ops", Some(true)),
            ("owner!=ops", Some(false)),
            ("team in (ops, pay)", Some(true)),
            ("team notin (ops,pay)", Some(false)),
            ("team, tier==1", Some(true)),
            ("team,tier==2", Some(false)),
            (r"a\ b==x\,y", Some(true)),
            ("", None),
            ("team=pay", None),
            ("team==", None),
            ("team in", None),
            ("team in ()", None),
            ("team in (a", None),
            ("team,,tier", None),
            ("==x", None),
            (r"a\", None),
        ] {
            let found = Selector::parse(text).ok().map(|it| it.takes(&labels));
            assert_eq!(found, expect, "{text}");
        }
    }
}
