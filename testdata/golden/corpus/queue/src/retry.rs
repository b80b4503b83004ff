//! When a failed job is tried again.

use std::time::Duration;

/// How often a job may be tried, and how long it rests in between.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    pub max_attempts: u32,
    pub base: Duration,
    pub ceiling: Duration,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { max_attempts: 8, base: Duration::from_secs(2), ceiling: Duration::from_secs(3600) }
    }
}

impl RetryPolicy {
    /// A policy that gives up after the first failure.
    pub fn never() -> RetryPolicy {
        RetryPolicy { max_attempts: 1, ..RetryPolicy::default() }
    }

    /// The rest after the given number of attempts; `None` when there is to be no other.
    /// Doubles each time, up to the ceiling.
    pub fn delay_for(&self, attempts: u32) -> Option<Duration> {
        if attempts >= self.max_attempts {
            return None;
        }
        let factor = 2u32.saturating_pow(attempts.saturating_sub(1));
        Some(self.base.saturating_mul(factor).min(self.ceiling))
    }

    /// The time that all attempts together can take at most.
    pub fn total_rest(&self) -> Duration {
        (1..self.max_attempts).filter_map(|attempt| self.delay_for(attempt)).sum()
    }
}
