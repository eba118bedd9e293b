//! Errors for people: what failed, and all that led to it.

use std::error::Error;

/// An error and its causes, from the outermost in; what one says that another one said already is left out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Self>>);

    #[test]
    fn every_cause_is_told_once() {
        let layer = |text, cause| Some(Box::new(Layer(text, cause)));
        let error = Layer("cannot ask", layer("no TLS: unknown issuer", layer("unknown issuer", layer("late", None))));
        assert_eq!(with_causes(&error), "cannot ask: no TLS: unknown issuer: late");
    }
}
