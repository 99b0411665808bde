/// Bytes of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const IMF_FIXDATE_LEN: usize = 29;

const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// 9999-12-31 23:59:59, the last second that four digits of a year can say.
const LAST_SECOND: u64 = 253_402_300_799;

/// Formats seconds since 1970-01-01 UTC for a `Date` or `Last-Modified` header (RFC 9110 section 5.6.7).
///
/// A caller formats once a second and keeps the result. Times beyond the year 9999 are given as its last second.
pub fn imf_fixdate(unix_seconds: u64) -> [u8; IMF_FIXDATE_LEN] {
    let seconds = unix_seconds.min(LAST_SECOND);
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);

    let mut date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(field) = date.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    };
    put(0, name(&WEEKDAYS, days % 7));
    put(5, &two_digits(day));
    put(8, name(&MONTHS, month - 1));
    put(12, &two_digits(year / 100));
    put(14, &two_digits(year % 100));
    put(17, &two_digits(second_of_day / 3600));
    put(20, &two_digits(second_of_day / 60 % 60));
    put(23, &two_digits(second_of_day % 60));
    date
}

/// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Counts in years that begin in March, so that the leap day is a year's last and month lengths follow a line.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    /// From 0000-03-01 to 1970-01-01.
    const EPOCH: u64 = 719_468;

    let day = days + EPOCH;
    let (era, day) = (day / DAYS_OF_400_YEARS, day % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let january_or_february = month >= 10;
    let month = if january_or_february {
        month - 9
    } else {
        month + 3
    };
    (
        era * 400 + year + u64::from(january_or_february),
        month,
        day_of_month,
    )
}

fn name<const N: usize>(names: &[&'static [u8; 3]; N], at: u64) -> &'static [u8] {
    usize::try_from(at)
        .ok()
        .and_then(|at| names.get(at))
        .map_or(b"???", |name| *name)
}

fn two_digits(number: u64) -> [u8; 2] {
    let digit = |n: u64| b'0' + u8::try_from(n % 10).unwrap_or(0);
    [digit(number / 10), digit(number)]
}

#[cfg(test)]
mod tests {
    use super::imf_fixdate;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(imf_fixdate(seconds), text.as_bytes(), "{text}");
        }
    }

    /// Every day of two full cycles of the calendar follows the day before it.
    #[test]
    fn days_follow_each_other() {
        let mut before = (1969, 12, 31);
        for day in 0..2 * 146_097 {
            let (year, month, of_month) = super::civil(day);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            if of_month > 1 {
                assert_eq!((year, month, of_month - 1), before);
            } else if month > 1 {
                assert_eq!((year, month - 1), (before.0, before.1));
            } else {
                assert_eq!((year - 1, 12, 31), before);
            }
            let lengths = [
                31,
                28 + u64::from(leap),
                31,
                30,
                31,
                30,
                31,
                31,
                30,
                31,
                30,
                31,
            ];
            assert!(of_month <= lengths[usize::try_from(month - 1).unwrap()]);
            before = (year, month, of_month);
        }
    }
}
