//! Jobs that come again: by the calendar, or once after a delay.

pub mod cron;
mod wheel;

pub use cron::CronExpression;
pub use wheel::TimerWheel;

use crate::error::QueueError;

/// A job that is pushed whenever its expression says so.
#[derive(Clone, Debug)]
pub struct Recurring {
    pub name: String,
    pub topic: String,
    pub when: CronExpression,
    next: u64,
}

/// Knows what is due. Times are minutes since the epoch, in UTC.
#[derive(Debug, Default)]
pub struct Scheduler {
    recurring: Vec<Recurring>,
}

impl Scheduler {
    /// Registers a recurring job under a name; an entry of the same name is replaced.
    pub fn register(&mut self, name: &str, topic: &str, expression: &str, now: u64) -> Result<(), QueueError> {
        let when = CronExpression::parse(expression)?;
        let next = when.next_after(now);
        self.recurring.retain(|entry| entry.name != name);
        self.recurring.push(Recurring { name: name.to_owned(), topic: topic.to_owned(), when, next });
        Ok(())
    }

    /// Topics of the jobs that are due, each once however long the process was asleep.
    pub fn due(&mut self, now: u64) -> Vec<String> {
        let mut topics = Vec::new();
        for entry in &mut self.recurring {
            if entry.next <= now {
                topics.push(entry.topic.clone());
                entry.next = entry.when.next_after(now);
            }
        }
        topics
    }

    /// When the next one is due: how long the caller may sleep.
    pub fn next_due(&self) -> Option<u64> {
        self.recurring.iter().map(|entry| entry.next).min()
    }

    pub fn unregister(&mut self, name: &str) -> bool {
        let before = self.recurring.len();
        self.recurring.retain(|entry| entry.name != name);
        before != self.recurring.len()
    }
}
