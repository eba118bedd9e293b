//! Panics of a request stay with that request.
//!
//! A panic of the control plane itself ends the process, because nobody knows what it left behind; that is the
//! program's choice, made in its panic hook. What answers a request owns nothing that others go on with: it reads a
//! snapshot and asks for changes. So it is unwound, answered with 500, and the member goes on. The hook asks
//! [`is_contained`] which of the two it is.

use std::any::Any;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// What was answered by unwinding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it panicked")]
pub struct Panicked;

/// Whether a panic of this thread, now, would be caught and answered.
pub fn is_contained() -> bool {
    CONTAINED.get()
}

/// Runs a part of an answer.
///
/// # Errors
/// It panicked; the log says where.
pub fn contain<T>(part: impl FnOnce() -> T) -> Result<T, Panicked> {
    let before = CONTAINED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(part));
    CONTAINED.set(before);
    outcome.map_err(|panic| {
        tracing::error!(why = said(&*panic), "a request was not answered: this is a fault of the program");
        Panicked
    })
}

/// Runs an answer to its end; each step of it by itself, so that nothing else that runs on this thread is meant.
pub(crate) async fn contain_all<T>(answer: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut answer = std::pin::pin!(answer);
    poll_fn(|cx| match contain(|| answer.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => std::task::Poll::Ready(Err(panicked)),
    })
    .await
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("of unknown kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained_where_it_is_asked_for_and_nowhere_else() {
        assert!(!is_contained());
        assert_eq!(contain(is_contained), Ok(true));
        assert_eq!(contain(|| panic!("planted")), Err::<(), _>(Panicked));
        assert!(!is_contained());
    }

    #[tokio::test]
    async fn an_answer_is_contained_only_while_it_is_worked_on() {
        let mut steps = 0;
        let answer = contain_all(async {
            assert!(is_contained());
            tokio::task::yield_now().await;
            steps += 1;
            assert!(is_contained());
            assert_eq!(steps, 2, "planted");
        });
        let beside = async { assert!(!is_contained()) };
        assert_eq!(tokio::join!(answer, beside).0, Err(Panicked));
    }
}
