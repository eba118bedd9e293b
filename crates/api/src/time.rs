//! Points in time as Marathon prints them: `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'`, UTC, always three decimals.

use cluster::Timestamp;
use std::fmt::Write as _;

/// Prints a moment. One beyond the year 9999 is printed as the last before it.
pub fn print(time: Timestamp) -> String {
    time.to_string()
}

/// Reads a moment as [`print()`] writes it; decimals may be absent or one to three. `None` for anything else.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

const NANOS_PER_MILLI: u64 = 1_000_000;

/// Prints a moment, nanoseconds since 1970, with nine decimals.
pub fn print_nanos(ns: u64) -> String {
    let mut text = print(Timestamp(ns / NANOS_PER_MILLI));
    text.truncate(text.trim_end_matches('Z').len());
    let _ = write!(text, "{:06}Z", ns % NANOS_PER_MILLI);
    text
}

/// Reads a moment as [`print_nanos`] writes it, with up to nine decimals. `None` for anything else.
pub fn parse_nanos(text: &str) -> Option<u64> {
    let (seconds, decimals) = match text.strip_suffix('Z')?.split_once('.') {
        Some(parts) => parts,
        None => (text.strip_suffix('Z')?, "0"),
    };
    if decimals.is_empty() || decimals.len() > 9 || !decimals.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let nanos: u64 = format!("{decimals:0<9}").parse().ok()?;
    parse(&format!("{seconds}Z"))?.0.checked_mul(NANOS_PER_MILLI)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_printed_and_read() {
        for (text, ns) in [
            ("2026-11-28T12:00:00.123456789Z", 1_795_867_200_123_456_789),
            ("2026-11-28T12:00:00.000000000Z", 1_795_867_200_000_000_000),
        ] {
            assert_eq!(parse_nanos(text), Some(ns), "{text}");
            assert_eq!(print_nanos(ns), text);
        }
        assert_eq!(parse_nanos("2026-11-28T12:00:00Z"), Some(1_795_867_200_000_000_000));
        assert_eq!(parse_nanos("2026-11-28T12:00:00.5Z"), Some(1_795_867_200_500_000_000));
        for text in ["", "Z", "2026-11-28T12:00:00", "2026-11-28T12:00:00.Z", "2026-11-28T12:00:00.1234567890Z", "5"] {
            assert_eq!(parse_nanos(text), None, "{text}");
        }
    }
}
