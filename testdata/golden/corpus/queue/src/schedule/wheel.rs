//! Many timers at little cost: a ring of slots, one a tick.

use std::mem;

const SLOTS: usize = 512;

/// Entries that fire after a number of ticks.
#[derive(Debug)]
pub struct TimerWheel<T> {
    slots: Vec<Vec<(u32, T)>>,
    hand: usize,
}

impl<T> Default for TimerWheel<T> {
    fn default() -> TimerWheel<T> {
        TimerWheel { slots: (0..SLOTS).map(|_| Vec::new()).collect(), hand: 0 }
    }
}

impl<T> TimerWheel<T> {
    /// Lets `entry` fire after `ticks`, at least one.
    pub fn insert(&mut self, ticks: u32, entry: T) {
        let ticks = ticks.max(1) as usize;
        let slot = (self.hand + ticks) % SLOTS;
        let rounds = ((ticks - 1) / SLOTS) as u32;
        self.slots[slot].push((rounds, entry));
    }

    /// Moves the hand by one slot; what fires.
    pub fn tick(&mut self) -> Vec<T> {
        self.hand = (self.hand + 1) % SLOTS;
        let mut fired = Vec::new();
        for (rounds, entry) in mem::take(&mut self.slots[self.hand]) {
            if rounds == 0 {
                fired.push(entry);
            } else {
                self.slots[self.hand].push((rounds - 1, entry));
            }
        }
        fired
    }

    pub fn len(&self) -> usize {
        self.slots.iter().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
