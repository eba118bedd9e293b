//! Texts for people: server data made harmless, durations, ages and amounts.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::time::Duration;

/// A text on one line in which nothing can steer a terminal: control characters (C0, C1, escape sequences, line
/// ends) and marks of writing direction are shown as `\u{1b}`.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    harmless(text, steers)
}

/// The same, but line ends stay.
pub(crate) fn block(text: &str) -> Cow<'_, str> {
    harmless(text, |it| it != '\n' && steers(it))
}

fn harmless(text: &str, steers: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&steers) {
        return Cow::Borrowed(text);
    }
    let mut harmless = String::with_capacity(text.len() + 8);
    for it in text.chars() {
        if steers(it) {
            harmless.extend(it.escape_unicode());
        } else {
            harmless.push(it);
        }
    }
    Cow::Owned(harmless)
}

fn steers(it: char) -> bool {
    let direction =
        matches!(it, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let line = matches!(it, '\u{2028}' | '\u{2029}' | '\u{feff}');
    it.is_control() || direction || line
}

/// `4.2 s`, `1 m 10 s`, `2 h 5 m`.
pub(crate) fn duration(it: Duration) -> String {
    let seconds = it.as_secs();
    match seconds {
        0..60 => format!("{}.{} s", seconds, it.subsec_millis() / 100),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} m", seconds / 3600, seconds / 60 % 60),
    }
}

/// How long ago something was, in one unit: `12s`, `5m`, `3h`, `41d`; `-` where it never was, as the version of the root
/// of a new cluster.
pub(crate) fn age(now_ms: u64, then: &str) -> String {
    let Some(then) = api::time::parse(then).filter(|it| it.0 > 0) else { return "-".to_owned() };
    let seconds = now_ms.saturating_sub(then.0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The time of day in UTC: `12:04:52Z`.
pub(crate) fn clock(now_ms: u64) -> String {
    let second = now_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// A number with at most three decimals, and no more than it needs: `0.5`, `3`.
pub(crate) fn number(it: f64) -> String {
    let text = format!("{it:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// MiB as the shortest exact unit: `512M`, `1.5G`.
pub(crate) fn mebibytes(it: f64) -> String {
    if it >= 1024.0 { format!("{}G", number((it / 1024.0 * 10.0).round() / 10.0)) } else { format!("{}M", number(it)) }
}

/// An id as typed. An empty one, as of a variable that a script forgot to set, is none: it would name the root, or all.
pub(crate) fn id(typed: &str) -> Result<String, String> {
    if typed.is_empty() { Err("an id is expected, such as /demo/web".to_owned()) } else { Ok(typed.to_owned()) }
}

/// A number of instances as typed.
pub(crate) fn instances(typed: &str) -> Result<u32, String> {
    typed.parse().map_err(|_| format!("`{typed}` is no number of instances: write 3"))
}

/// `1 instance`, `3 instances`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{ending}")
}

/// An app's id as users write it: with its leading slash.
pub(crate) fn app_id(typed: &str) -> String {
    format!("/{}", typed.trim_matches('/'))
}

/// What a part of a URL's path or query has as it is; slashes and colons, which ids have, are no harm there.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b':');

/// A text as a part of a URL's path or query.
pub(crate) fn percent(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// Reads `90s`, `10m`, `1h`, `1h30m` or a bare number of seconds.
pub fn parse_duration(typed: &str) -> Result<Duration, String> {
    let wrong = || format!("`{typed}` is no duration: write 90s, 10m or 1h30m");
    if let Ok(seconds) = typed.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total: u64 = 0;
    let mut rest = typed;
    while !rest.is_empty() {
        let unit_at = rest.find(|it: char| !it.is_ascii_digit()).ok_or_else(wrong)?;
        let n: u64 = rest[..unit_at].parse().map_err(|_| wrong())?;
        rest = &rest[unit_at..];
        let unit_end = rest.find(|it: char| it.is_ascii_digit()).unwrap_or(rest.len());
        let ms = match &rest[..unit_end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        total = n.checked_mul(ms).and_then(|it| total.checked_add(it)).ok_or_else(wrong)?;
        rest = &rest[unit_end..];
    }
    if typed.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(total)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_server_says_steers_the_terminal() {
        assert_eq!(line("/demo/web"), "/demo/web");
        assert_eq!(line("a\x1b]0;x\x07b"), r"a\u{1b}]0;x\u{7}b");
        assert_eq!(line("a\r\n[ERROR] b"), r"a\u{d}\u{a}[ERROR] b");
        assert_eq!(line("exe\u{202e}txt"), r"exe\u{202e}txt");
        assert_eq!(line("\u{9b}2J"), r"\u{9b}2J");
        assert_eq!(block("a\nb\x1b"), "a\nb\\u{1b}");
        assert_eq!(line("grüße ✓"), "grüße ✓");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        let read = |it| parse_duration(it).map(|it| it.as_millis());
        assert_eq!(read("90"), Ok(90_000));
        assert_eq!(read("90s"), Ok(90_000));
        assert_eq!(read("1h30m"), Ok(5_400_000));
        assert_eq!(read("250ms"), Ok(250));
        for wrong in ["", "m", "1x", "-1s", "1.5s", "s1", "99999999999999999h"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_ages_and_amounts_are_short() {
        assert_eq!(duration(Duration::from_millis(4_260)), "4.2 s");
        assert_eq!(duration(Duration::from_secs(70)), "1 m 10 s");
        assert_eq!(duration(Duration::from_mins(125)), "2 h 5 m");
        assert_eq!(age(1_000_000_000, "1970-01-12T13:46:28.000Z"), "12s");
        assert_eq!(age(1_000_000_000, "1970-01-01T13:46:40.000Z"), "11d");
        assert_eq!(age(1_000_000_000, "1970-01-01T00:00:00.000Z"), "-");
        assert_eq!(age(0, "yesterday"), "-");
        assert_eq!(clock(1_795_238_692_000), "05:24:52Z");
        assert_eq!([number(0.5), number(3.0), number(0.1)], ["0.5", "3", "0.1"]);
        assert_eq!([mebibytes(32.0), mebibytes(1536.0), mebibytes(16_000.0)], ["32M", "1.5G", "15.6G"]);
    }
}
