//! What was read of a collection and still holds, so that a run that finds nothing changed
//! reads one point: the head. Another machine's changes show there first.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::head::Head;
use crate::id::VectorKey;
use crate::manifest::Manifest;

/// Collections that are remembered.
const COLLECTIONS: usize = 16;

/// What is known of one state of a collection.
#[derive(Clone, Default)]
pub(super) struct Known {
    pub(super) manifest: Option<Arc<Manifest>>,
    pub(super) keys: [Option<Arc<Keys>>; 2],
    /// Paths of the chunks.
    pub(super) paths: Option<Arc<Vec<Vec<u8>>>>,
    /// Number of the chunks.
    pub(super) points: Option<u64>,
}

/// The vector keys of a leg on the chunks that are there.
#[derive(Clone, Default)]
pub(super) struct Keys {
    /// Chunks that have a key, and whether all of them are known to have its vector.
    chunks: HashMap<VectorKey, (u32, bool)>,
    present: OnceLock<Arc<HashSet<VectorKey>>>,
}

impl Keys {
    /// A chunk came, with its vector or without.
    pub(super) fn add(&mut self, key: VectorKey, has_vector: bool) {
        self.present = OnceLock::new();
        let (count, complete) = self.chunks.entry(key).or_insert((0, true));
        *count += 1;
        *complete &= has_vector;
    }

    /// A chunk went.
    pub(super) fn remove(&mut self, key: &VectorKey) {
        self.present = OnceLock::new();
        if let Some((count, _)) = self.chunks.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.chunks.remove(key);
            }
        }
    }

    /// The vector was put on all chunks that have the key.
    pub(super) fn complete(&mut self, key: &VectorKey) {
        self.present = OnceLock::new();
        if let Some((_, complete)) = self.chunks.get_mut(key) {
            *complete = true;
        }
    }

    pub(super) fn contains(&self, key: &VectorKey) -> bool {
        self.chunks.get(key).is_some_and(|(_, complete)| *complete)
    }

    /// Keys whose vector is there wherever the key is.
    pub(super) fn present(&self) -> Arc<HashSet<VectorKey>> {
        let collect =
            || self.chunks.iter().filter(|(_, (_, complete))| *complete).map(|(key, _)| *key).collect();
        Arc::clone(self.present.get_or_init(|| Arc::new(collect())))
    }
}

struct Entry {
    life: String,
    generation: u64,
    vectors: u64,
    known: Known,
}

/// What is known of the collections that were used last.
#[derive(Default)]
pub(super) struct Cache(Mutex<Vec<Entry>>);

impl Cache {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the state that `head` names.
    pub(super) fn known(&self, head: &Head) -> Known {
        let mut entries = self.entries();
        let Some(at) = entries.iter().position(|entry| entry.life == head.life) else {
            return Known::default();
        };
        let entry = entries.remove(at);
        let known = entry.of(head);
        entries.push(entry);
        known
    }

    /// Adds to what is known of the state that `head` names.
    pub(super) fn learn(&self, head: &Head, learn: impl FnOnce(&mut Known)) {
        let mut entries = self.entries();
        let at = entries.iter().position(|entry| entry.life == head.life);
        let mut known = at.map(|at| entries.remove(at).of(head)).unwrap_or_default();
        learn(&mut known);
        if entries.len() >= COLLECTIONS {
            entries.remove(0);
        }
        let Head { life, generation, vectors, .. } = head.clone();
        entries.push(Entry { life, generation, vectors, known });
    }

    /// Takes out what is known of the state that `head` names, to be changed and learnt again.
    pub(super) fn take(&self, head: &Head) -> Known {
        let mut entries = self.entries();
        let at = entries.iter().position(|entry| entry.life == head.life);
        at.map(|at| entries.remove(at).of(head)).unwrap_or_default()
    }
}

impl Entry {
    fn of(&self, head: &Head) -> Known {
        if self.generation != head.generation {
            return Known::default();
        }
        let mut known = self.known.clone();
        if self.vectors != head.vectors {
            known.keys = Default::default();
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Schema;

    fn head(generation: u64, vectors: u64) -> Head {
        let schema = Schema { kind: Default::default(), legs: [None, None], source: Vec::new() };
        Head { generation, vectors, ..Head::new("life".to_owned(), &schema) }
    }

    #[test]
    fn only_what_still_holds_is_remembered() {
        let cache = Cache::default();
        cache.learn(&head(1, 1), |known| known.points = Some(7));
        cache.learn(&head(1, 1), |known| known.keys[0] = Some(Arc::default()));
        let known = cache.known(&head(1, 1));
        assert!(known.points == Some(7) && known.keys[0].is_some());
        let known = cache.known(&head(1, 2));
        assert!(known.points == Some(7) && known.keys[0].is_none());
        assert!(cache.known(&head(2, 1)).points.is_none());
        let other = Head { life: "other".to_owned(), ..head(1, 1) };
        assert!(cache.known(&other).points.is_none());
        for n in 0..COLLECTIONS {
            cache.learn(&Head { life: n.to_string(), ..head(1, 1) }, |known| known.points = Some(1));
        }
        assert!(cache.known(&head(1, 1)).points.is_none());
    }

    #[test]
    fn a_key_is_present_while_all_chunks_with_it_have_its_vector() {
        let key = VectorKey([1; 16]);
        let mut keys = Keys::default();
        keys.add(key, true);
        keys.add(key, true);
        assert!(keys.contains(&key) && keys.present().contains(&key));
        keys.add(key, false);
        assert!(!keys.contains(&key) && keys.present().is_empty());
        keys.remove(&key);
        assert!(!keys.contains(&key), "which of them went is not known");
        keys.complete(&key);
        assert!(keys.contains(&key));
        keys.remove(&key);
        keys.remove(&key);
        assert!(!keys.contains(&key));
        keys.complete(&key);
        assert!(!keys.contains(&key), "no chunk has it");
    }
}
