//! Pauses between attempts to reach something that is down: an iterator that never ends.
//!
//! Jobs have their own rule in `retry`; this one is for connections.

use std::time::Duration;

/// Growing pauses with jitter, so that many clients do not come back in step.
#[derive(Clone, Debug)]
pub struct Backoff {
    current: Duration,
    ceiling: Duration,
    seed: u64,
}

impl Backoff {
    pub fn new(first: Duration, ceiling: Duration, seed: u64) -> Backoff {
        Backoff { current: first, ceiling, seed: seed | 1 }
    }

    /// Starts again from the first pause after a success.
    pub fn reset(&mut self, first: Duration) {
        self.current = first;
    }

    /// A number in 0..1 (xorshift).
    fn jitter(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let spread = 0.5 + self.jitter() / 2.0;
        let pause = self.current.mul_f64(spread);
        self.current = (self.current * 2).min(self.ceiling);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_below_the_ceiling() {
        let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1), 7);
        assert!(backoff.take(50).all(|pause| pause <= Duration::from_secs(1)));
    }
}
