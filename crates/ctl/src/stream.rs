//! Streams of events, read to their end; one that is followed is opened again wherever it breaks, behind what came.

use crate::error::{Error, Kind, Result};
use crate::remote::Request;
use crate::session::Session;
use crate::sse::{Event, Reader};
use http_body_util::BodyExt;
use std::time::Duration;

/// How a stream is read.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Until Ctrl-C; otherwise to its end.
    pub(crate) follow: bool,
    /// Behind the event of this id.
    pub(crate) after: Option<String>,
    /// Where it is not followed: silence of this length is its end.
    pub(crate) quiet: Option<Duration>,
    /// It has been opened once.
    opened: bool,
}

impl Stream {
    /// One that is to be read so.
    pub(crate) fn new(follow: bool, after: Option<String>, quiet: Option<Duration>) -> Self {
        Self { follow, after, quiet, opened: false }
    }

    /// Tells all events.
    pub(crate) async fn read(
        mut self,
        session: &mut Session<'_>,
        request: &Request,
        mut tell: impl FnMut(&mut Session<'_>, &Event) -> Result<()>,
    ) -> Result<()> {
        loop {
            match self.read_once(session, request, &mut tell).await {
                Err(err) if !self.can_go_on(&err) => return Err(err),
                Ok(()) if !self.follow => return Ok(()),
                outcome => {
                    let why = outcome.err().map_or_else(|| "the stream ended".to_owned(), |err| err.what);
                    session.note(&format!("{why}; it is opened again"));
                    tokio::time::sleep(session.pace().look * 10).await;
                }
            }
        }
    }

    /// Whether it is worth another try: what never worked, and what a script waits for, ends.
    fn can_go_on(&self, err: &Error) -> bool {
        self.follow && self.opened && matches!(err.kind, Kind::Unreachable | Kind::Temporary)
    }

    async fn read_once(
        &mut self,
        session: &mut Session<'_>,
        request: &Request,
        tell: &mut impl FnMut(&mut Session<'_>, &Event) -> Result<()>,
    ) -> Result<()> {
        let mut body = session.stream(request, self.after.as_deref()).await?;
        self.opened = true;
        let mut reader = Reader::default();
        loop {
            let frame = match self.quiet.filter(|_| !self.follow) {
                None => body.frame().await,
                Some(quiet) => match tokio::time::timeout(quiet, body.frame()).await {
                    Ok(frame) => frame,
                    Err(_) => return Ok(()),
                },
            };
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(|err| Error::new(Kind::Unreachable, format!("the stream broke: {err}")))?;
            for event in frame.data_ref().map(|it| reader.take(it)).unwrap_or_default() {
                if event.id.is_some() {
                    self.after.clone_from(&event.id);
                }
                tell(session, &event)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stream_that_is_followed_and_was_there_is_opened_again() {
        for (follow, opened, kind, expect) in [
            (true, true, Kind::Unreachable, true),
            (true, true, Kind::Temporary, true),
            (true, true, Kind::Invalid, false),
            (true, false, Kind::Unreachable, false),
            (false, true, Kind::Unreachable, false),
        ] {
            let stream = Stream { opened, ..Stream::new(follow, None, None) };
            assert_eq!(stream.can_go_on(&Error::new(kind, "x")), expect, "{follow} {opened} {kind:?}");
        }
    }
}
