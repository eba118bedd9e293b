//! How ids and times look to containers and in Consul: as in Marathon's API.

use crate::model::{AppId, InstanceId, Timestamp};

/// Marathon's task id of an instance: `pay_api.4f3c…`, the app's path with `_` for `/`, and the instance's id.
pub fn task_id(app: &AppId, instance: InstanceId) -> String {
    format!("{}.{instance}", app.joined("_"))
}

/// A moment as Marathon prints it, in UTC: `2026-11-21T05:42:09.123Z`.
pub fn iso8601(time: Timestamp) -> String {
    let (days, ms) = (time.0 / 86_400_000, time.0 % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month and day so many days after 1 January 1970 (H. Hinnant, "chrono-compatible low-level date algorithms").
const fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + (month <= 2) as u64, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClusterId;

    #[test]
    fn moments_are_printed_as_marathon_does() {
        for (ms, expect) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_239_729_123, "2026-11-21T05:42:09.123Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso8601(Timestamp(ms)), expect);
        }
    }

    #[test]
    fn task_ids_have_the_form_that_old_clients_parse() {
        let instance = InstanceId::derive(ClusterId(0xabc), 1, 0);
        let app = AppId::parse("/pay/api").unwrap();
        assert_eq!(task_id(&app, instance), format!("pay_api.{instance}"));
    }
}
