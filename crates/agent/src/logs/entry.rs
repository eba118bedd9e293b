//! One entry of a `json-file` log.

use cluster::Stream;
use serde::Deserialize;
use std::borrow::Cow;

/// One line of the file, or a piece of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) log: Cow<'a, str>,
    pub(super) stream: Stream,
    pub(super) time_ns: u64,
}

/// How every entry begins. In an entry's text it cannot be: quotes are escaped there.
const OPENING: &[u8] = br#"{"log":""#;

impl<'a> Entry<'a> {
    /// Takes a line of the file, without its line feed. `attrs`, which a container's log options ask for, are left out.
    pub(super) fn parse(raw: &'a [u8]) -> Option<Self> {
        /// As the engine writes it: in this order, an empty `log` left out.
        #[derive(Deserialize)]
        struct Written<'a> {
            #[serde(borrow, default)]
            log: Cow<'a, str>,
            stream: &'a str,
            time: &'a str,
        }
        let Written { log, stream, time } = serde_json::from_slice(raw).ok()?;
        let stream = [Stream::Stdout, Stream::Stderr].into_iter().find(|it| it.name() == stream)?;
        Some(Self { log, stream, time_ns: parse_time(time.as_bytes())? })
    }

    /// The whole entry at the end of a line that begins with the torn rest of another: what an engine writes after a
    /// power cut, it writes right behind what the disk has kept.
    pub(super) fn salvage(raw: &'a [u8]) -> Option<Self> {
        let start = raw.windows(OPENING.len()).rposition(|it| it == OPENING)?;
        Self::parse(&raw[start..])
    }
}

/// Nanoseconds since the Unix epoch, of `2026-11-28T12:27:05.96145Z`: UTC, as many decimals as it needs.
pub(super) fn parse_time(text: &[u8]) -> Option<u64> {
    let (date_and_time, rest) = text.split_at_checked("yyyy-MM-ddTHH:mm:ss".len())?;
    let number = |from: usize, to: usize| digits(&date_and_time[from..to]);
    if [4, 7, 10, 13, 16].map(|it| date_and_time[it]) != *b"--T::" {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let nanos = match rest.strip_suffix(b"Z")? {
        [] => 0,
        [b'.', decimals @ ..] if (1..=9).contains(&decimals.len()) => {
            digits(decimals)? * 10u64.pow(9 - decimals.len() as u32)
        }
        _ => return None,
    };
    let is_date = year >= 1970 && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days_before(year, month) + day - 1) * 24 + hour) * 3600 + minute * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |sum, it| it.is_ascii_digit().then(|| sum * 10 + u64::from(it - b'0')))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the epoch to the first of that month.
fn days_before(year: u64, month: u64) -> u64 {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    /// Leap days before 1970.
    const EARLIER: u64 = 477;
    let past = year - 1;
    let leap_days = past / 4 - past / 100 + past / 400 - EARLIER;
    (year - 1970) * 365 + leap_days + BEFORE[month as usize - 1] + u64::from(month > 2 && is_leap(year))
}
