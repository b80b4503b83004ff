//! What became of a segment's documents since it was written: some are deleted, and
//! some say of a point where it was before lines came or went above it.
//!
//! A point that only moved is not written again. Its document keeps its text, terms
//! and vector keys, and the place is kept here, in a log of each segment: framed
//! records, of which a later one holds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::store::Point;
use crate::store::codec::{Decoder, put_frame, put_varint};

/// Where a point is in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bytes: Range<u32>,
    pub(super) lines: (u32, u32),
}

impl Place {
    pub(super) fn of(point: &Point) -> Place {
        Place { bytes: point.bytes.clone(), lines: point.lines }
    }
}

/// Changes by document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) deleted: BTreeSet<u32>,
    /// Documents that are not deleted.
    pub(super) moved: BTreeMap<u32, Place>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.deleted.is_empty() && self.moved.is_empty()
    }

    /// The last document of which anything is said.
    pub(super) fn last(&self) -> Option<u32> {
        self.deleted.last().max(self.moved.keys().next_back()).copied()
    }

    /// Adds what came later.
    pub(super) fn extend(&mut self, later: &Changes) {
        self.deleted.extend(&later.deleted);
        self.moved.extend(later.moved.iter().map(|(document, place)| (*document, place.clone())));
        self.moved.retain(|document, _| !later.deleted.contains(document));
    }

    /// Appends a record to a log: the deleted documents, each as its distance from the one
    /// before, and the moved ones with their places, both after their number.
    pub(super) fn append(&self, log: &mut Vec<u8>) {
        let mut out = Vec::new();
        put_varint(&mut out, self.deleted.len() as u64);
        let mut next = 0;
        for document in &self.deleted {
            put_varint(&mut out, u64::from(document - next));
            next = document.saturating_add(1);
        }
        put_varint(&mut out, self.moved.len() as u64);
        for (document, Place { bytes, lines }) in &self.moved {
            for value in [*document, bytes.start, bytes.end, lines.0, lines.1] {
                put_varint(&mut out, u64::from(value));
            }
        }
        put_frame(log, &out);
    }

    /// Adds what the records in `log` say; `None` where they are damaged.
    pub(super) fn replay(mut self, log: &[u8]) -> Option<Changes> {
        let mut log = Decoder(log);
        while !log.is_empty() {
            self.extend(&Changes::read(log.frame()?)?);
        }
        Some(self)
    }

    fn read(record: &[u8]) -> Option<Changes> {
        let mut decoder = Decoder(record);
        let mut changes = Changes::default();
        let mut next = 0u32;
        for _ in 0..decoder.varint()? {
            let document = next.checked_add(decoder.varint_u32()?)?;
            changes.deleted.insert(document);
            next = document.saturating_add(1);
        }
        for _ in 0..decoder.varint()? {
            let document = decoder.varint_u32()?;
            let bytes = decoder.varint_u32()?..decoder.varint_u32()?;
            let lines = (decoder.varint_u32()?, decoder.varint_u32()?);
            changes.moved.insert(document, Place { bytes, lines });
        }
        decoder.is_empty().then_some(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changes() -> impl Strategy<Value = Changes> {
        let deleted = proptest::collection::btree_set(0u32..60, 0..20);
        let place = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>())
            .prop_map(|(start, end, first, last)| Place { bytes: start..end, lines: (first, last) });
        (deleted, proptest::collection::btree_map(60u32..90, place, 0..9))
            .prop_map(|(deleted, moved)| Changes { deleted, moved })
    }

    proptest! {
        #[test]
        fn a_log_says_what_was_appended(first in changes(), second in changes()) {
            let mut log = Vec::new();
            first.append(&mut log);
            let start = log.len();
            second.append(&mut log);
            let mut both = first.clone();
            both.extend(&second);
            prop_assert_eq!(Changes::default().replay(&log), Some(both.clone()));
            prop_assert_eq!(first.replay(&log[start..]), Some(both));
            prop_assert_eq!(Changes::default().replay(&log[..log.len() - 1]), None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Changes::default().replay(&bytes);
            let mut log = Vec::new();
            put_frame(&mut log, &bytes);
            let _ = Changes::default().replay(&log);
        }
    }

    #[test]
    fn the_later_change_holds() {
        let place = |at: u32| Place { bytes: at..at + 1, lines: (at, at) };
        let of = |deleted: &[u32], moved: &[(u32, u32)]| Changes {
            deleted: deleted.iter().copied().collect(),
            moved: moved.iter().map(|(document, at)| (*document, place(*at))).collect(),
        };
        let mut changes = of(&[1], &[(2, 10), (3, 10), (4, 10)]);
        changes.extend(&of(&[3], &[(2, 20), (9, 20)]));
        assert_eq!(changes, of(&[1, 3], &[(2, 20), (4, 10), (9, 20)]));
        assert_eq!(changes.last(), Some(9));
        assert!(!changes.is_empty() && Changes::default().is_empty());
    }
}
