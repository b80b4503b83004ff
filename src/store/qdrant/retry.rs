//! When a failed call is repeated, and when none is tried: two state machines that are told
//! the time and the luck, so that they can be tested without either.

use std::time::{Duration, Instant};

/// Waits between the attempts of one call: exponential, each a random share of at least half.
#[derive(Debug)]
pub(super) struct Backoff {
    left: u32,
    next: Duration,
    limit: Duration,
}

impl Backoff {
    pub(super) fn new(retries: u32, first: Duration, limit: Duration) -> Backoff {
        Backoff { left: retries, next: first, limit }
    }

    /// How long to wait before the next attempt; `None` where there is no further one. `luck`
    /// is any number.
    pub(super) fn wait(&mut self, luck: u64) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let whole = self.next.min(self.limit);
        self.next = whole.saturating_mul(2);
        let share = 0.5 + (luck % 1024) as f64 / 2048.0;
        Some(whole.mul_f64(share))
    }
}

/// Lets calls through until too many in a row had no answer; then none for a pause, and then
/// one, whose outcome decides.
#[derive(Debug)]
pub(super) struct Breaker {
    threshold: u32,
    pause: Duration,
    failures: u32,
    /// When the first of the failures in a row was, and the last, and what it was.
    trouble: Option<Trouble>,
}

#[derive(Clone, Debug)]
struct Trouble {
    since: Instant,
    last: Instant,
    reason: String,
    /// When the one call that may try was let through.
    probe: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(threshold: u32, pause: Duration) -> Breaker {
        Breaker { threshold: threshold.max(1), pause, failures: 0, trouble: None }
    }

    /// Whether a call may be made; the error says since when there has been no answer.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), String> {
        let Some(trouble) = self.trouble.as_mut().filter(|_| self.failures >= self.threshold) else {
            return Ok(());
        };
        let tried = trouble.probe.unwrap_or(trouble.last);
        let waited = now.saturating_duration_since(tried);
        // A probe of which nothing is heard any more is followed by another.
        if waited >= self.pause {
            trouble.probe = Some(now);
            return Ok(());
        }
        Err(format!(
            "no answer for {} s, tried again in {} s; {}",
            now.saturating_duration_since(trouble.since).as_secs(),
            (self.pause - waited).as_secs_f64().ceil(),
            trouble.reason
        ))
    }

    /// The server answered, whatever it said.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
        self.trouble = None;
    }

    /// The server did not answer.
    pub(super) fn failed(&mut self, now: Instant, reason: &str) {
        self.failures = self.failures.saturating_add(1);
        let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
        self.trouble = Some(Trouble { since, last: now, reason: reason.to_owned(), probe: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_double_up_to_the_limit_and_end() {
        for (luck, share) in [(0, 0.5), (1023, 0.9995), (512, 0.75)] {
            let mut backoff = Backoff::new(5, 100 * MS, 500 * MS);
            let waits: Vec<_> = std::iter::from_fn(|| backoff.wait(luck)).collect();
            let expected = [100.0, 200.0, 400.0, 500.0, 500.0].map(|ms| ms * share);
            assert_eq!(waits.len(), expected.len());
            for (wait, expected) in waits.iter().zip(expected) {
                assert!((wait.as_secs_f64() * 1000.0 - expected).abs() < 0.5, "{wait:?} {expected}");
            }
            assert_eq!(backoff.wait(luck), None);
        }
        assert_eq!(Backoff::new(0, MS, MS).wait(7), None);
    }

    #[test]
    fn the_breaker_opens_pauses_probes_and_closes() {
        let start = Instant::now();
        let at = |ms: u32| start + ms * MS;
        let mut breaker = Breaker::new(3, 1000 * MS);
        for ms in [0, 10] {
            breaker.failed(at(ms), "refused");
            assert!(breaker.admit(at(ms)).is_ok(), "not yet");
        }
        breaker.failed(at(20), "refused");
        let text = breaker.admit(at(500)).unwrap_err();
        assert!(text.contains("refused") && text.contains("0 s, tried again in 1 s"), "{text}");
        // One probe at a time.
        assert!(breaker.admit(at(1020)).is_ok());
        assert!(breaker.admit(at(1021)).is_err());
        // It fails: another pause, and the trouble is as old as it was.
        breaker.failed(at(1100), "still refused");
        let text = breaker.admit(at(2050)).unwrap_err();
        assert!(text.contains("no answer for 2 s") && text.contains("still refused"), "{text}");
        // The next probe is never heard of again: one more pause, not for ever.
        assert!(breaker.admit(at(2100)).is_ok());
        assert!(breaker.admit(at(3099)).is_err());
        assert!(breaker.admit(at(3100)).is_ok());
        breaker.answered();
        assert!(breaker.admit(at(3101)).is_ok() && breaker.admit(at(3101)).is_ok());
        // An answer between failures starts the count again.
        breaker.failed(at(3200), "x");
        breaker.failed(at(3201), "x");
        breaker.answered();
        breaker.failed(at(3202), "x");
        assert!(breaker.admit(at(3203)).is_ok());
    }
}
