//! Counters that an operator scrapes.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the process began.
#[derive(Debug, Default)]
pub struct Counters {
    pub pushed: AtomicU64,
    pub completed: AtomicU64,
    pub failed: AtomicU64,
    pub buried: AtomicU64,
}

impl Counters {
    pub fn increment(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counters in the text format that Prometheus reads.
    pub fn render(&self, depth: usize) -> String {
        let mut text = String::new();
        let rows = [
            ("courier_jobs_pushed_total", &self.pushed),
            ("courier_jobs_completed_total", &self.completed),
            ("courier_jobs_failed_total", &self.failed),
            ("courier_jobs_buried_total", &self.buried),
        ];
        for (name, counter) in rows {
            let _ = writeln!(text, "# TYPE {name} counter\n{name} {}", counter.load(Ordering::Relaxed));
        }
        let _ = writeln!(text, "# TYPE courier_queue_depth gauge\ncourier_queue_depth {depth}");
        text
    }
}

/// Latencies in powers of two, from one millisecond up.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [u64; 20],
}

impl Histogram {
    pub fn observe(&mut self, millis: u64) {
        let bucket = (64 - millis.leading_zeros() as usize).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
    }

    /// The upper bound of the bucket below which the given share of observations lies.
    pub fn quantile(&self, share: f64) -> u64 {
        let total: u64 = self.buckets.iter().sum();
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return 1 << index;
            }
        }
        1 << self.buckets.len()
    }
}
