//! Several rankings of points into one: pure functions of ids, ranks and scores.
//!
//! Must not look at what a point is; that is `ranking`'s business. Fusing here,
//! and not in a store, makes every provider merge alike.

use std::collections::HashMap;
use std::hash::Hash;

/// One leg's answer. `K` identifies a point among all that are fused.
#[derive(Clone, Debug, PartialEq)]
pub struct LegRanking<K> {
    /// How much the leg counts; a leg of weight 0 adds nothing.
    pub weight: f32,
    /// Ids with the leg's own scores, in any order; an id counts once, with its best score.
    pub entries: Vec<(K, f32)>,
}

/// A point after fusion.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused<K> {
    /// The point.
    pub id: K,
    /// Fused score in 0..=1: 1 is the best of every leg.
    pub score: f32,
    /// Rank from 1 in each leg, in the order of the legs given.
    pub ranks: Vec<Option<u32>>,
}

/// Rank constant of reciprocal rank fusion. The usual 60 (Cormack, Clarke and
/// Büttcher 2009) was set for runs of 1,000 documents; the runs here have some
/// 100, and a smaller one lets a clear first place count.
const RANK_CONSTANT: f32 = 20.0;

/// Share of the score that comes from the leg's own score, the rest coming from
/// the rank. Ranks alone forget by how much a hit leads; scores alone let one
/// leg's scale decide.
const SCORE_SHARE: f32 = 0.5;

/// Merges rankings, best first; equal scores by id.
///
/// Each leg gives a point `weight × (share × score/best + (1−share) × (k+1)/(k+rank))`,
/// divided by the sum of the weights. A leg that lacks the point gives nothing,
/// so raising a point in one leg never lowers it in the whole.
pub fn fuse<K: Copy + Ord + Hash>(legs: &[LegRanking<K>]) -> Vec<Fused<K>> {
    let total: f32 = legs.iter().map(|leg| leg.weight.max(0.0)).sum();
    let mut fused: HashMap<K, Fused<K>> = HashMap::new();
    for (index, leg) in legs.iter().enumerate() {
        for (rank, (id, score)) in ranked(&leg.entries).into_iter().enumerate() {
            let entry =
                fused.entry(id).or_insert_with(|| Fused { id, score: 0.0, ranks: vec![None; legs.len()] });
            let by_rank = (RANK_CONSTANT + 1.0) / (RANK_CONSTANT + 1.0 + rank as f32);
            let part = SCORE_SHARE * score + (1.0 - SCORE_SHARE) * by_rank;
            if total > 0.0 {
                entry.score += leg.weight.max(0.0) / total * part;
            }
            entry.ranks[index] = u32::try_from(rank + 1).ok();
        }
    }
    let mut fused: Vec<Fused<K>> = fused.into_values().collect();
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    fused
}

/// Distinct ids, best first, with scores as shares of the best one, in 0..=1.
fn ranked<K: Copy + Ord + Hash>(entries: &[(K, f32)]) -> Vec<(K, f32)> {
    let mut best: HashMap<K, f32> = HashMap::new();
    for (id, score) in entries {
        // NaN would make the order depend on the input's.
        let score = if score.is_finite() { score.max(0.0) } else { 0.0 };
        best.entry(*id).and_modify(|kept| *kept = kept.max(score)).or_insert(score);
    }
    let mut ranked: Vec<(K, f32)> = best.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let top = ranked.first().map_or(0.0, |(_, score)| *score);
    for (_, score) in &mut ranked {
        *score = if top > 0.0 { *score / top } else { 0.0 };
    }
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PointId;
    use proptest::prelude::*;

    fn id(n: u8) -> PointId {
        PointId([n; 16])
    }

    fn leg(weight: f32, entries: &[(u8, f32)]) -> LegRanking<PointId> {
        LegRanking { weight, entries: entries.iter().map(|(n, score)| (id(*n), *score)).collect() }
    }

    #[test]
    fn the_first_of_every_leg_scores_one() {
        let fused = fuse(&[leg(1.0, &[(1, 9.0), (2, 3.0)]), leg(0.5, &[(1, 0.7), (3, 0.6)])]);
        assert_eq!(fused[0].id, id(1));
        assert!((fused[0].score - 1.0).abs() < 1e-6, "{}", fused[0].score);
        assert_eq!(fused[0].ranks, [Some(1), Some(1)]);
        assert_eq!(fused[2].ranks, [None, Some(2)]);
    }

    #[test]
    fn nothing_in_nothing_out() {
        assert_eq!(fuse::<PointId>(&[]), []);
        assert_eq!(fuse(&[leg(1.0, &[]), leg(0.0, &[])]), []);
        assert_eq!(fuse(&[leg(0.0, &[(1, 2.0)])])[0].score, 0.0);
        assert_eq!(fuse(&[leg(1.0, &[(1, f32::NAN), (1, 2.0)])]).len(), 1);
    }

    #[test]
    fn equal_scores_are_ordered_by_id() {
        let fused = fuse(&[leg(1.0, &[(2, 1.0)]), leg(1.0, &[(1, 1.0)])]);
        assert_eq!(fused.iter().map(|f| f.id).collect::<Vec<_>>(), [id(1), id(2)]);
    }

    fn legs() -> impl Strategy<Value = Vec<LegRanking<PointId>>> {
        let entries = prop::collection::vec((0u8..30, -1.0f32..50.0), 0..25);
        prop::collection::vec((0.0f32..2.0, entries), 1..4)
            .prop_map(|legs| legs.iter().map(|(weight, entries)| leg(*weight, entries)).collect())
    }

    fn score_of(fused: &[Fused<PointId>], wanted: PointId) -> f32 {
        fused.iter().find(|f| f.id == wanted).map_or(0.0, |f| f.score)
    }

    proptest! {
        #[test]
        fn order_of_entries_does_not_matter(legs in legs(), seed in any::<u64>()) {
            let mut shuffled = legs.clone();
            for leg in &mut shuffled {
                let at = seed as usize % leg.entries.len().max(1);
                leg.entries.rotate_left(at);
                if seed % 2 == 0 { leg.entries.reverse(); }
            }
            prop_assert_eq!(fuse(&legs), fuse(&shuffled));
        }

        #[test]
        fn scores_are_bounded_and_sorted(legs in legs()) {
            let fused = fuse(&legs);
            for pair in fused.windows(2) {
                prop_assert!(pair[0].score > pair[1].score || (pair[0].score == pair[1].score && pair[0].id < pair[1].id));
            }
            for f in &fused {
                prop_assert!((0.0..=1.0 + 1e-5).contains(&f.score), "{}", f.score);
            }
        }

        #[test]
        fn a_better_score_in_a_leg_never_ranks_a_point_lower(legs in legs(), which in any::<prop::sample::Index>(), more in 0.1f32..40.0) {
            let at = which.index(legs.len());
            prop_assume!(!legs[at].entries.is_empty());
            let entry = which.index(legs[at].entries.len());
            let wanted = legs[at].entries[entry].0;
            let before = fuse(&legs);
            let mut raised = legs.clone();
            raised[at].entries[entry].1 += more;
            let after = fuse(&raised);
            prop_assert!(score_of(&after, wanted) >= score_of(&before, wanted) - 1e-6);
            let place = |fused: &[Fused<PointId>]| fused.iter().position(|f| f.id == wanted);
            prop_assert!(place(&after) <= place(&before));
        }
    }
}
