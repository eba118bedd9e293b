//! Points in time as Marathon prints them: `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'`, UTC, always three decimals.

use cluster::Timestamp;

const MS_PER_DAY: u64 = 86_400_000;
/// 9999-12-31T23:59:59.999Z, the last moment with a year of four digits.
const LAST_MS: u64 = 253_402_300_799_999;

/// Prints a moment. One beyond the year 9999 is printed as the last before it.
pub fn print(time: Timestamp) -> String {
    let ms = time.0.min(LAST_MS);
    let (year, month, day) = civil_from_days(ms / MS_PER_DAY);
    let in_day = ms % MS_PER_DAY;
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
    // By hand: lists print many, and formatting is the larger part of their cost.
    let mut text = String::with_capacity("yyyy-MM-ddTHH:mm:ss.SSSZ".len());
    for (number, width, after) in [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (hour, 2, ':'),
        (minute, 2, ':'),
        (second, 2, '.'),
        (milli, 3, 'Z'),
    ] {
        push_number(&mut text, number, width);
        text.push(after);
    }
    text
}

/// Appends the last `width` digits of a number.
fn push_number(text: &mut String, number: u64, width: u32) {
    for place in (0..width).rev() {
        text.push((b'0' + (number / 10_u64.pow(place) % 10) as u8) as char);
    }
}

/// Reads a moment as [`print()`] writes it; decimals may be absent or one to three. `None` for anything else.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, milli) = match time.split_once('.') {
        Some((time, decimals)) if (1..=3).contains(&decimals.len()) => (time, number(&format!("{decimals:0<3}"))?),
        Some(_) => return None,
        None => (time, 0),
    };
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let days = days_from_civil(year, month, day)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(Timestamp(days * MS_PER_DAY + hour * 3_600_000 + minute * 60_000 + second * 1000 + milli))
}

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut found = [0; 3];
    let mut parts = text.split(separator);
    for (slot, width) in found.iter_mut().zip(widths) {
        let part = parts.next().filter(|it| it.len() == width)?;
        *slot = number(part)?;
    }
    parts.next().is_none().then_some(found)
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|it| it.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Year, month and day of the n-th day since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`, for days after the epoch).
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as u64;
    (year, month, day)
}

/// The day's number since 1970-01-01; `None` where there is no such day or it was before.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    (civil_from_days(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_and_parse() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (1_440_628_404_225, "2015-08-26T22:33:24.225Z"),
            (LAST_MS, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(print(Timestamp(ms)), text);
            assert_eq!(parse(text), Some(Timestamp(ms)), "{text}");
        }
        for day in 0..400 * 366 {
            let time = Timestamp(day * MS_PER_DAY + 12_345);
            assert_eq!(parse(&print(time)), Some(time));
        }
        assert_eq!(print(Timestamp(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "now",
            "2015-08-26",
            "2015-08-26T22:33:24.225",
            "2015-02-29T00:00:00.000Z",
            "2015-13-01T00:00:00.000Z",
            "10000-01-01T00:00:00.000Z",
            "1969-12-31T00:00:00.000Z",
            "2015-08-26T24:00:00.000Z",
            "2015-08-26T22:33:24.2255Z",
            "2015-08-26T22:33:24.Z",
            "+015-08-26T22:33:24.225Z",
            "2015-08-26T22:33:24.225+02:00Z",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse("2015-08-26T22:33:24Z"), Some(Timestamp(1_440_628_404_000)));
    }
}
