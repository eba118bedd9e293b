//! One file of a log, plain or compressed, held open: it can be read to its end whatever becomes of its name.

use super::entry::Entry;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

/// Longer entries are none of the engine's: 16 KiB of NULs are 96 KiB in JSON, and labels may come on top.
pub(super) const ENTRY_LEN_MAX: usize = 256 * 1024;

/// An open file.
#[derive(Debug)]
pub(super) struct LogFile {
    bytes: Bytes,
    pub(super) inode: u64,
    beginning: Beginning,
    /// It is compressed, and could not be read to its end.
    pub(super) is_damaged: bool,
    /// Before it there may have been files that were never opened.
    pub(super) is_behind_gap: bool,
}

#[derive(Debug)]
enum Bytes {
    Plain(Arc<File>),
    Compressed { file: Arc<File>, len: u64, decoder: Option<Box<Decoder>> },
}

/// Unpacks from the beginning on.
#[derive(Debug)]
struct Decoder {
    stream: MultiGzDecoder<BufReader<FromStart>>,
    offset: u64,
}

/// A file's bytes from its start, with a position that is not shared.
#[derive(Debug)]
struct FromStart {
    file: Arc<File>,
    offset: u64,
}

/// What a file begins with.
#[derive(Clone, Copy, Debug)]
enum Beginning {
    /// Nothing yet, as far as it was looked at.
    Unwritten,
    /// Nothing that can be read.
    Unreadable,
    Entry(First),
}

/// A file's first entry.
#[derive(Clone, Copy, Debug)]
struct First {
    /// Its time.
    born_ns: u64,
    /// Where it ends, and the last bytes of it: with its time in them they are another file's never.
    end: u64,
    mark: [u8; MARK_LEN],
}

/// `"time":"2026-11-28T12:27:05Z"}` and its line feed are not shorter.
const MARK_LEN: usize = 31;

impl LogFile {
    /// Opens it, if it is there.
    pub(super) fn open(path: &Path, is_compressed: bool) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => Arc::new(file),
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        };
        let metadata = file.metadata()?;
        let bytes = if is_compressed {
            // How long it is unpacked, by its last bytes; modulo 4 GiB, of which no file of a log has so many.
            let mut trailer = [0; 4];
            let len = match metadata.len().checked_sub(4).map(|it| file.read_exact_at(&mut trailer, it)) {
                Some(Ok(())) => u64::from(u32::from_le_bytes(trailer)),
                _ => 0,
            };
            Bytes::Compressed { file, len, decoder: None }
        } else {
            Bytes::Plain(file)
        };
        Ok(Some(Self {
            bytes,
            inode: metadata.ino(),
            beginning: Beginning::Unwritten,
            is_damaged: false,
            is_behind_gap: false,
        }))
    }

    /// How long it is by now, unpacked.
    pub(super) fn len(&self) -> io::Result<u64> {
        match &self.bytes {
            Bytes::Plain(file) => Ok(file.metadata()?.len()),
            Bytes::Compressed { len, .. } => Ok(*len),
        }
    }

    /// Reads from `offset`, as much as there is room for; less at the end of the file only. Backwards in a compressed
    /// file is slow: it is unpacked again.
    pub(super) fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let Self { bytes, is_damaged, .. } = self;
        match bytes {
            Bytes::Plain(file) => fill(buf, |n, rest| file.read_at(rest, offset + n)),
            Bytes::Compressed { file, decoder, .. } => {
                if decoder.as_ref().is_some_and(|it| it.offset > offset) {
                    *decoder = None;
                }
                let decoder = decoder.get_or_insert_with(|| {
                    let file = BufReader::new(FromStart { file: file.clone(), offset: 0 });
                    Box::new(Decoder { stream: MultiGzDecoder::new(file), offset: 0 })
                });
                let read = decoder.skip_to(offset).and_then(|()| fill(buf, |_, rest| decoder.read(rest)));
                read.or_else(|err| match err.kind() {
                    // It was torn, or somebody else's: what has been unpacked is all there is.
                    io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                        *is_damaged = true;
                        Ok(0)
                    }
                    _ => Err(err),
                })
            }
        }
    }

    /// The time of its first entry, by which the files of one log are told apart; 0 as long as it has none.
    pub(super) fn born_ns(&mut self) -> io::Result<u64> {
        if let Beginning::Unwritten = self.beginning {
            self.beginning = self.read_beginning()?;
        }
        match self.beginning {
            Beginning::Entry(first) => Ok(first.born_ns),
            Beginning::Unwritten | Beginning::Unreadable => Ok(0),
        }
    }

    fn read_beginning(&mut self) -> io::Result<Beginning> {
        let mut buf = Vec::new();
        // Most first entries are short.
        for len in [4 * 1024, ENTRY_LEN_MAX] {
            buf.resize(len, 0);
            let n = self.read_at(0, &mut buf)?;
            let mut end = 0;
            for raw in buf[..n].split_inclusive(|it| *it == b'\n').filter(|it| it.ends_with(b"\n")) {
                end += raw.len();
                let Some(mark) = raw.last_chunk() else { continue };
                if let Some(entry) = Entry::parse(raw) {
                    return Ok(Beginning::Entry(First { born_ns: entry.time_ns, end: end as u64, mark: *mark }));
                }
            }
            if n < len {
                return Ok(Beginning::Unwritten);
            }
        }
        Ok(Beginning::Unreadable)
    }

    /// Whether it was emptied, or written anew, since it was read up to `offset`: programs that rotate by copying
    /// do so, and an engine that cannot rename it.
    pub(super) fn is_rewritten(&mut self, offset: u64) -> io::Result<bool> {
        if self.len()? < offset {
            self.beginning = Beginning::Unwritten;
            return Ok(true);
        }
        let Beginning::Entry(first) = self.beginning else { return Ok(false) };
        let mut mark = [0; MARK_LEN];
        let n = self.read_at(first.end - MARK_LEN as u64, &mut mark)?;
        let is_rewritten = n < MARK_LEN || mark != first.mark;
        if is_rewritten {
            self.beginning = Beginning::Unwritten;
        }
        Ok(is_rewritten)
    }
}

impl Decoder {
    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        self.offset += io::copy(&mut (&mut self.stream).take(offset - self.offset), &mut io::sink())?;
        Ok(())
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buf)?;
        self.offset += n as u64;
        Ok(n)
    }
}

impl Read for FromStart {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

/// Reads until `buf` is full or nothing comes; `read` is told how much there is already.
fn fill(buf: &mut [u8], mut read: impl FnMut(u64, &mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
    let mut n = 0;
    while n < buf.len() {
        match read(n as u64, &mut buf[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(n)
}
