//! Times as people write and read them, in UTC.

use super::super::registry::now;

const DAY: u64 = 86_400;

/// `90m`, `2h`, `3d`, `2w` ago, `2026-11-23`, `2026-11-23T18:10[:05]`, or `@seconds` since the
/// epoch, as seconds since the epoch.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || "not a time such as 90m, 2h, 3d, 2026-11-23 or 2026-11-23T18:10 (UTC)".to_owned();
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds.parse().map_err(|_| wrong());
    }
    let scale = |unit: char| match unit {
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(DAY),
        'w' => Some(7 * DAY),
        _ => None,
    };
    if let Some((number, scale)) =
        text.char_indices().last().and_then(|(at, unit)| Some((&text[..at], scale(unit)?)))
    {
        let ago = number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale));
        return ago.map(|ago| now().saturating_sub(ago)).ok_or_else(wrong);
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "0:0:0"));
    let numbers = |text: &str, by: char| {
        text.split(by).map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>()
    };
    let (date, clock) = (numbers(date, '-').ok_or_else(wrong)?, numbers(clock, ':').ok_or_else(wrong)?);
    let (&[year, month, day], &[hour, minute, ref second @ ..]) = (&date[..], &clock[..]) else {
        return Err(wrong());
    };
    let second = match second {
        [] => 0,
        [second] => *second,
        _ => return Err(wrong()),
    };
    let days = days_since_epoch(year, month, day).ok_or_else(wrong)?;
    if hour > 23 || minute > 59 || second > 59 {
        return Err(wrong());
    }
    Ok(days * DAY + hour * 3600 + minute * 60 + second)
}

/// `2026-11-23 18:10`.
pub(in crate::cli) fn shown(seconds: u64) -> String {
    let (year, month, day) = date(seconds / DAY);
    let of_day = seconds % DAY;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", of_day / 3600, of_day % 3600 / 60)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(is_leap(year)),
        _ => 31,
    }
}

/// Days of all years since 1970 before `year`.
fn days_before(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day);
    valid.then(|| days_before(year) + (1..month).map(|month| days_in(year, month)).sum::<u64>() + day - 1)
}

/// The date of a day since the epoch.
fn date(days: u64) -> (u64, u64, u64) {
    // A year has 365.2425 days: the guess is the year or the one after it.
    let mut year = 1970 + days * 400 / 146_097;
    if days_before(year) > days {
        year -= 1;
    } else if days_before(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before(year);
    let mut month = 1;
    while rest >= days_in(year, month) {
        rest -= days_in(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("1970-01-01", 0),
            ("2000-02-29T12:00", 951_825_600),
            ("2026-11-23T18:10:05Z", 1_795_457_405),
            ("2026-11-23 18:10", 1_795_457_400),
            ("@42", 42),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        let near = |text: &str, ago: u64| parse(text).unwrap().abs_diff(now() - ago) <= 5;
        assert!(near("90m", 5400) && near("2h", 7200) && near("3d", 3 * DAY) && near("1w", 7 * DAY));
        for text in [
            "",
            "soon",
            "h",
            "-1h",
            "2026-02-29",
            "2026-13-01",
            "2026-11-23T24:00",
            "2026-11",
            "1969-12-31",
            "٣d",
            "@-1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_is_shown_as_it_is_read() {
        assert_eq!(shown(951_825_600), "2000-02-29 12:00");
        let last = days_since_epoch(2400, 12, 31).unwrap();
        let mut previous = (1969, 12, 31);
        for day in 0..=last {
            let (year, month, of_month) = date(day);
            assert_eq!(days_since_epoch(year, month, of_month), Some(day));
            assert!((year, month, of_month) > previous, "{day}");
            previous = (year, month, of_month);
        }
    }
}
