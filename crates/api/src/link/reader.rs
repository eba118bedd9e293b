//! Reading frames: each has a longest length, a time in which it must be there, and a place in what all connections
//! may hold together.

use super::Error;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Frames up to here need no place in a [`Budget`]: signs of life and acknowledgements pass while it is used up.
pub const SMALL_FRAME_BYTES: usize = 64 << 10;

/// A frame whose length was said must be there after so long …
const PATIENCE: Duration = Duration::from_secs(10);

/// … and as much more as its bytes take at this pace. Slower is no connection that anything can be done over.
const BYTES_PER_SECOND_MIN: u64 = 256 << 10;

/// What is asked of the system at once.
const READ_BYTES: usize = 8 << 10;

/// How many bytes of frames all connections that share it may be reading at once. A clone is the same budget.
///
/// A frame waits for its place before its content is read, and has it until its message was made of it; whoever waits
/// longer than a frame may take is hung up on. So what strangers send half of costs this much, however many they are.
#[derive(Clone, Debug)]
pub struct Budget {
    free: Arc<Semaphore>,
}

impl Budget {
    /// A budget of so many bytes; at least the longest frame of those that share it, or that one never comes.
    pub fn new(bytes: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes)) }
    }

    /// How many bytes are left.
    pub fn free_bytes(&self) -> usize {
        self.free.available_permits()
    }
}

/// One frame's content, with its place in the budget, which it has until it is dropped.
#[derive(Debug)]
pub struct Frame {
    /// As [`encode`](super::encode) made it.
    pub bytes: Bytes,
    _place: Option<OwnedSemaphorePermit>,
}

/// The frames of one connection. [`Reader::next`] can be cancelled: what has come of a frame is kept.
#[derive(Debug)]
pub(super) struct Reader<R> {
    from: BufReader<R>,
    pub(super) max_frame_bytes: usize,
    patience: Duration,
    budget: Option<Budget>,
    head: BytesMut,
    partial: Option<Partial>,
}

/// A frame of which the length has come.
#[derive(Debug)]
struct Partial {
    length: usize,
    until: Instant,
    place: Option<OwnedSemaphorePermit>,
    bytes: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(from: R, max_frame_bytes: usize, budget: Option<Budget>) -> Self {
        let from = BufReader::with_capacity(READ_BYTES, from);
        Self { from, max_frame_bytes, patience: PATIENCE, budget, head: BytesMut::with_capacity(4), partial: None }
    }

    pub(super) async fn next(&mut self) -> Result<Frame, Error> {
        let partial = match &mut self.partial {
            Some(it) => it,
            none => {
                while self.head.len() < 4 {
                    let missing = 4 - self.head.len();
                    if self.from.read_buf(&mut (&mut self.head).limit(missing)).await? == 0 {
                        return Err(if self.head.is_empty() { Error::Closed } else { cut_short() });
                    }
                }
                let length = self.head.get_u32() as usize;
                if length > self.max_frame_bytes {
                    return Err(Error::TooLong { bytes: length, max: self.max_frame_bytes });
                }
                let patience = self.patience + Duration::from_secs(length as u64 / BYTES_PER_SECOND_MIN);
                let until = Instant::now() + patience;
                none.insert(Partial { length, until, place: None, bytes: BytesMut::new() })
            }
        };
        let until = partial.until;
        let filled = partial.fill(&mut self.from, self.budget.as_ref());
        timeout_at(until, filled).await.map_err(|_| Error::TooSlow)??;
        let Partial { place, bytes, .. } = self.partial.take().ok_or(Error::Closed)?;
        Ok(Frame { bytes: bytes.freeze(), _place: place })
    }
}

impl Partial {
    async fn fill<R: AsyncRead + Unpin>(&mut self, from: &mut R, budget: Option<&Budget>) -> Result<(), Error> {
        if let Some(budget) = budget.filter(|_| self.length > SMALL_FRAME_BYTES)
            && self.place.is_none()
        {
            let place = Arc::clone(&budget.free).acquire_many_owned(self.length as u32).await;
            self.place = Some(place.expect("a budget is never closed"));
        }
        while self.bytes.len() < self.length {
            let missing = self.length - self.bytes.len();
            if self.bytes.len() == self.bytes.capacity() {
                // Memory comes with the bytes, not with the announcement of them.
                self.bytes.reserve(missing.min(self.bytes.len().max(READ_BYTES)));
            }
            if from.read_buf(&mut (&mut self.bytes).limit(missing)).await? == 0 {
                return Err(cut_short());
            }
        }
        Ok(())
    }
}

fn cut_short() -> Error {
    Error::Io(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "a frame was cut short"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    /// Not so long that its bytes bring time with them.
    const LONG: usize = (256 << 10) - 1;

    fn head(length: usize) -> [u8; 4] {
        (length as u32).to_be_bytes()
    }

    fn reader(budget: &Budget) -> (DuplexStream, Reader<DuplexStream>) {
        let (left, right) = duplex(2 * LONG);
        (left, Reader::new(right, LONG, Some(budget.clone())))
    }

    /// Polls once, as a `select!` does whose other branch was faster.
    async fn cancelled(reader: &mut Reader<DuplexStream>) {
        tokio::select! {
            biased;
            frame = reader.next() => panic!("it is not whole: {frame:?}"),
            () = tokio::task::yield_now() => {}
        }
    }

    #[tokio::test]
    async fn a_frame_may_come_in_pieces_and_its_reading_be_cancelled_between_them() {
        let budget = Budget::new(LONG);
        let (mut left, mut right) = reader(&budget);
        let content: Vec<u8> = (0..LONG).map(|it| it as u8).collect();
        let bytes = [&head(LONG)[..], &content, &head(1), b"x"].concat();
        for piece in bytes[..bytes.len() - 6].chunks(LONG / 3 - 1) {
            left.write_all(piece).await.unwrap();
            cancelled(&mut right).await;
        }
        assert_eq!(budget.free_bytes(), 0);
        left.write_all(&bytes[bytes.len() - 6..]).await.unwrap();
        assert_eq!(right.next().await.unwrap().bytes, content);
        assert_eq!(budget.free_bytes(), LONG);
        assert_eq!(&right.next().await.unwrap().bytes[..], b"x");
        drop(left);
        assert!(matches!(right.next().await, Err(Error::Closed)));
    }

    #[tokio::test]
    async fn memory_comes_with_the_bytes_not_with_their_announcement() {
        let (mut left, mut right) = reader(&Budget::new(LONG));
        left.write_all(&head(LONG)).await.unwrap();
        left.write_all(&[7; 100]).await.unwrap();
        cancelled(&mut right).await;
        assert!(right.partial.as_ref().unwrap().bytes.capacity() <= READ_BYTES);
    }

    #[tokio::test]
    async fn halves_of_frames_hold_no_more_than_the_budget_and_have_an_end() {
        let budget = Budget::new(2 * LONG);
        let mut connections: Vec<_> = (0..20).map(|_| reader(&budget)).collect();
        for (left, right) in &mut connections {
            right.patience = Duration::ZERO;
            left.write_all(&head(LONG)).await.unwrap();
            left.write_all(&vec![7; LONG - 1]).await.unwrap();
        }
        for (_, right) in &mut connections {
            assert!(matches!(right.next().await, Err(Error::TooSlow)));
        }
        let held = connections.iter().filter_map(|it| it.1.partial.as_ref()).map(|it| it.bytes.len()).sum::<usize>();
        assert_eq!((held, budget.free_bytes()), (2 * (LONG - 1), 0));
        // What is small passes meanwhile.
        let (mut left, mut right) = reader(&budget);
        left.write_all(&[&head(5)[..], b"alive"].concat()).await.unwrap();
        assert_eq!(&right.next().await.unwrap().bytes[..], b"alive");
        drop(connections);
        assert_eq!(budget.free_bytes(), 2 * LONG);
    }

    #[tokio::test]
    async fn a_frame_longer_than_allowed_is_refused_before_it_is_read() {
        let (mut left, mut right) = reader(&Budget::new(LONG));
        left.write_all(&head(LONG + 1)).await.unwrap();
        let refused = right.next().await.unwrap_err();
        assert!(matches!(refused, Error::TooLong { bytes, max: LONG } if bytes == LONG + 1), "{refused}");
    }
}
