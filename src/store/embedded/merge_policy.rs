//! Which segments to merge into one, so that few are left to search and nothing is
//! written too often.
//!
//! Every merge writes its documents once more, so a document is merged once for each
//! size class that it passes: many segments of the smallest class may stand side by
//! side, as searching one costs microseconds, and the classes are far apart.

/// Live and deleted documents of a segment.
pub(super) type Counts = (u32, u32);

/// Segments with fewer live documents are of the smallest class …
const SMALL: u32 = 256;
/// … of which this many are merged …
const SMALL_SEGMENTS: usize = 32;
/// … and this many of each other one, which has this many times its documents.
const SEGMENTS: usize = 8;
/// Segments are made in memory: larger ones than this are not made by merging.
const LARGEST: u32 = 32_768;

/// Places of the segments to merge into one; none if all is well.
pub(super) fn candidates(segments: &[Counts]) -> Vec<usize> {
    let class = |live: u32| (live / SMALL).checked_ilog(SEGMENTS as u32).map_or(0, |log| log + 1);
    let limit = |class: u32| if class == 0 { SMALL_SEGMENTS } else { SEGMENTS };
    let members = |class_of: u32| {
        let in_class =
            move |(_, (live, _)): &(usize, &Counts)| class(*live) == class_of && *live <= LARGEST / 2;
        segments.iter().enumerate().filter(in_class)
    };
    let full = (0..=class(LARGEST)).rev().find(|class| members(*class).count() >= limit(*class));
    if let Some(full) = full {
        // The smaller ones ride along: little work, and fewer are left.
        let mut chosen: Vec<usize> = (0..=full).flat_map(members).map(|(at, _)| at).collect();
        chosen.sort_by_key(|at| segments[*at].0);
        let mut total = 0;
        let enough = chosen.iter().enumerate().position(|(count, at)| {
            let live = segments[*at].0;
            // Many small ones are not worth writing a large one again.
            let stop = total + live > LARGEST || count >= SEGMENTS && live > total;
            total += live;
            stop
        });
        chosen.truncate(enough.unwrap_or(chosen.len()));
        chosen.sort_unstable();
        return chosen;
    }
    let mostly_dead = |(live, deleted): &Counts| deleted > live && *deleted >= SMALL;
    segments.iter().position(mostly_dead).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_merged_by_size_and_when_mostly_dead() {
        let small = [(20, 0); SMALL_SEGMENTS];
        let full_class = [
            (18_000, 0),
            (300, 0),
            (400, 0),
            (500, 0),
            (600, 0),
            (700, 0),
            (20, 0),
            (800, 0),
            (900, 0),
            (901, 0),
        ];
        let cases: &[(&[Counts], &[usize])] = &[
            (&[], &[]),
            (&small[1..], &[]),
            (&small, &(0..SMALL_SEGMENTS).collect::<Vec<_>>()),
            // A full class takes the smaller segments along, and leaves larger ones alone.
            (&full_class, &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
            // No more than fit in memory.
            (&[(16_000, 0); 8], &[0, 1]),
            (&[(20_000, 0); 8], &[]),
            (&[(18_000, 17_000), (20, 0)], &[]),
            (&[(18_000, 18_001), (20, 0)], &[0]),
            (&[(10, 100)], &[]),
        ];
        for (segments, expected) in cases {
            assert_eq!(candidates(segments), *expected, "{segments:?}");
        }
    }

    /// Merging ends, and leaves few segments, whatever the sizes of the batches.
    #[test]
    fn merging_ends_and_documents_are_written_a_few_times() {
        for batch in [1, 8, 300, 3000, 20_000] {
            let (mut segments, mut written, mut added): (Vec<Counts>, u64, u64) = (Vec::new(), 0, 0);
            for _ in 0..(400_000 / batch).min(4000) {
                segments.push((batch, 0));
                added += u64::from(batch);
                loop {
                    let chosen = candidates(&segments);
                    if chosen.is_empty() {
                        break;
                    }
                    assert!(chosen.len() > 1, "{segments:?}");
                    let merged: u32 = chosen.iter().map(|at| segments[*at].0).sum();
                    written += u64::from(merged);
                    let mut at = 0;
                    segments.retain(|_| {
                        at += 1;
                        !chosen.contains(&(at - 1))
                    });
                    segments.push((merged, 0));
                }
            }
            assert!(segments.len() <= SMALL_SEGMENTS + 3 * SEGMENTS, "batches of {batch}: {segments:?}");
            assert!(written <= 4 * added, "batches of {batch}: {written} of {added}");
        }
    }
}
