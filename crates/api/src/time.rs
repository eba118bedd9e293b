//! Points in time as Marathon prints them: `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'`, UTC, always three decimals.

use cluster::Timestamp;

/// Prints a moment. One beyond the year 9999 is printed as the last before it.
pub fn print(time: Timestamp) -> String {
    time.to_string()
}

/// Reads a moment as [`print()`] writes it; decimals may be absent or one to three. `None` for anything else.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
