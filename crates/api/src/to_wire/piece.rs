//! Long answers in parts, which are printed one after another.

use cluster::{App, AppVersion, Instance};
use std::borrow::Cow;
use std::sync::Arc;

/// A part of a long answer.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// What stands between the others.
    Text(Cow<'static, str>),
    /// An app as it is.
    App(Arc<App>),
    /// A pod as it is, with its instances.
    Pod(Arc<App>),
    /// An app as it was.
    Then(Arc<AppVersion>),
    /// An instance.
    Task(Arc<Instance>),
}

impl Piece {
    /// What is always the same.
    pub(crate) const fn fixed(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

/// Puts commas between pieces.
pub(crate) fn separated(pieces: impl Iterator<Item = Piece>) -> impl Iterator<Item = Piece> {
    pieces.enumerate().flat_map(|(n, piece)| {
        let comma = (n > 0).then_some(Piece::fixed(","));
        comma.into_iter().chain([piece])
    })
}
