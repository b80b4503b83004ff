//! The five fields of a crontab line.

use crate::error::QueueError;

/// Minutes, hours, days of the month, months and weekdays as bit sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronExpression {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

const FIELDS: [(&str, u32, u32); 5] =
    [("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6)];

impl CronExpression {
    /// Reads `30 6 * * 1-5` and the like: lists, ranges and steps, but no names.
    pub fn parse(expression: &str) -> Result<CronExpression, QueueError> {
        let fail = |reason: String| QueueError::Cron { expression: expression.to_owned(), reason };
        let parts: Vec<&str> = expression.split_whitespace().collect();
        if parts.len() != FIELDS.len() {
            return Err(fail(format!("expected 5 fields, found {}", parts.len())));
        }
        let mut sets = [0u64; 5];
        for ((part, (name, low, high)), set) in parts.iter().zip(FIELDS).zip(&mut sets) {
            *set = parse_field(part, low, high).map_err(|reason| fail(format!("{name}: {reason}")))?;
        }
        let [minutes, hours, days, months, weekdays] = sets;
        Ok(CronExpression { minutes, hours, days, months, weekdays })
    }

    /// The first minute after `minute` that matches.
    pub fn next_after(&self, minute: u64) -> u64 {
        // Four years and a day hold every date there is.
        (minute + 1..minute + 1 + 4 * 366 * 1440).find(|minute| self.matches(*minute)).unwrap_or(u64::MAX)
    }

    fn matches(&self, minute: u64) -> bool {
        let days = minute / 1440;
        let (_, month, day) = civil_from_days(days as i64);
        let has = |set: u64, value: u64| set >> value & 1 == 1;
        has(self.minutes, minute % 60)
            && has(self.hours, minute / 60 % 24)
            && has(self.days, u64::from(day))
            && has(self.months, u64::from(month))
            && has(self.weekdays, (days + 4) % 7)
    }
}

/// One field: `*`, `*/15`, `1-5`, `0,30`.
fn parse_field(field: &str, low: u32, high: u32) -> Result<u64, String> {
    let mut set = 0;
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().map_err(|_| format!("{step:?} is no step"))?),
            None => (item, 1),
        };
        if step == 0 {
            return Err("a step of zero never ends".to_owned());
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| format!("{text:?} is no number"));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(range)?, number(range)?),
        };
        if from < low || to > high || from > to {
            return Err(format!("{from}-{to} is outside {low}-{high}"));
        }
        for value in (from..=to).step_by(step as usize) {
            set |= 1 << value;
        }
    }
    Ok(set)
}

/// Year, month and day of a day number, in the Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekday_mornings() {
        let when = CronExpression::parse("30 6 * * 1-5").expect("well-formed");
        // 1970-01-01 was a Thursday.
        assert_eq!(when.next_after(0), 6 * 60 + 30);
    }

    #[test]
    fn nonsense_is_refused() {
        for expression in ["", "* * * *", "61 * * * *", "*/0 * * * *", "a * * * *"] {
            assert!(CronExpression::parse(expression).is_err(), "{expression}");
        }
    }
}
