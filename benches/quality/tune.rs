//! Weights one at a time: what each is worth, and what other repositories would choose.

use contextd_indexer::search::{QueryKind, Weights};

use crate::pack::Bench;
use crate::score::{LEVELS, Row, difference, mean};
use crate::{Result, pack_names};

type Field = fn(&mut Weights) -> &mut f32;

/// Every weight by name, and the value that switches its leg or rule off.
const WEIGHTS: &[(&str, f32, Field)] = &[
    ("lexical", 0.0, |w| &mut w.lexical),
    ("text", 0.0, |w| &mut w.dense[0]),
    ("code", 0.0, |w| &mut w.dense[1]),
    ("symbol", 0.0, |w| &mut w.symbol),
    ("symbol_words", 0.0, |w| &mut w.symbol_words),
    ("path", 0.0, |w| &mut w.path),
    ("position", 0.0, |w| &mut w.position),
    ("literal", 0.0, |w| &mut w.literal),
    ("phrase", 0.0, |w| &mut w.phrase),
    ("copy", 1.0, |w| &mut w.copy),
    ("path_words", 0.0, |w| &mut w.path_words),
    ("declaration", 1.0, |w| &mut w.declaration),
    ("module", 1.0, |w| &mut w.module),
    ("join", 0.0, |w| &mut w.join),
    ("file", 0.0, |w| &mut w.file),
    ("neighbours", 0.0, |w| &mut w.neighbours),
    ("test", 1.0, |w| &mut w.test),
    ("example", 1.0, |w| &mut w.example),
    ("documentation", 1.0, |w| &mut w.documentation),
    ("configuration", 1.0, |w| &mut w.configuration),
    ("unasked", 1.0, |w| &mut w.unasked),
    ("foreign", 1.0, |w| &mut w.foreign),
    ("saturation", 1.0, |w| &mut w.saturation),
];

/// Another value of one weight, for one kind of query or for all.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    kind: Option<QueryKind>,
    field: Field,
    value: f32,
}

const KINDS: [QueryKind; QueryKind::ALL.len()] = QueryKind::ALL;

impl Change {
    /// From `KIND.WEIGHT=VALUE`.
    pub(crate) fn parse(text: &str) -> Result<Change> {
        let wrong = || format!("--set {text}: KIND.WEIGHT=VALUE is wanted");
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let (kind, name) = name.split_once('.').ok_or_else(wrong)?;
        let field = WEIGHTS.iter().find(|(other, ..)| *other == name).ok_or_else(wrong)?.2;
        let kind = match kind {
            "*" => None,
            kind => Some(KINDS.into_iter().find(|other| other.name() == kind).ok_or_else(wrong)?),
        };
        Ok(Change { kind, field, value: value.parse()? })
    }

    pub(crate) fn apply(&self, kind: QueryKind, weights: &mut Weights) {
        if self.kind.is_none_or(|own| own == kind) {
            *(self.field)(weights) = self.value;
        }
    }
}

/// Each weight switched off, against `rows`.
#[expect(clippy::print_stdout, reason = "a bench prints its result")]
pub(crate) fn ablate(bench: &mut Bench, rows: &[Row]) -> Result<()> {
    println!("\nleft out: difference of NDCG@10 with its 95 % interval");
    for (name, off, field) in WEIGHTS {
        let change = Change { kind: None, field: *field, value: *off };
        let without = bench.run(&|kind| {
            let mut weights = Weights::of(kind);
            change.apply(kind, &mut weights);
            weights
        })?;
        for pack in pack_names(rows) {
            for (at, level) in LEVELS.iter().enumerate() {
                let pairs = rows.iter().zip(&without).filter(|(row, _)| row.pack == pack);
                let deltas: Vec<f64> =
                    pairs.filter_map(|(row, other)| Some(other.ndcg(at)? - row.ndcg(at)?)).collect();
                println!("{name:14} {pack:10} {level:6} {}", difference(&deltas));
            }
        }
    }
    Ok(())
}

/// Values tried for a weight, as factors of the one that it has; a factor below 1 on a demotion is stronger.
const STEPS: [f32; 4] = [0.6, 0.8, 1.25, 1.6];
/// Weights that are zero are tried at these.
const FROM_ZERO: [f32; 3] = [0.1, 0.2, 0.4];
/// A change has to be worth this much: less is noise.
const WORTH: f64 = 0.001;

/// The weights of each kind.
type Setting = [Weights; QueryKind::ALL.len()];

fn at(setting: &Setting, kind: QueryKind) -> Weights {
    setting[KINDS.iter().position(|own| *own == kind).unwrap_or_default()]
}

/// What tuning aims at: packs alike, and levels alike within a pack.
fn aim(rows: &[Row], with: impl Fn(&Row) -> bool) -> f64 {
    let of_pack = |pack: &String| {
        let levels = (0..3).filter_map(|at| {
            mean(rows.iter().filter(|row| row.pack == *pack && with(row)).filter_map(|row| row.ndcg(at)))
        });
        mean(levels)
    };
    mean(pack_names(rows).iter().filter_map(of_pack)).unwrap_or_default()
}

/// Coordinate ascent, one pass over all weights of all kinds, from `start`.
fn ascend(
    bench: &mut Bench,
    start: Setting,
    rounds: usize,
    with: &dyn Fn(&Row) -> bool,
    mut told: impl FnMut(&str),
) -> Result<Setting> {
    let mut best = start;
    let mut reached = aim(&bench.run(&|kind| at(&best, kind))?, with);
    for _ in 0..rounds {
        let before = reached;
        for (index, kind) in KINDS.iter().enumerate() {
            for (name, off, field) in WEIGHTS {
                let own = *field(&mut best[index]);
                let mut chosen = None;
                for value in values(own, *off) {
                    let mut tried = best;
                    *field(&mut tried[index]) = value;
                    let score = aim(&bench.run(&|kind| at(&tried, kind))?, with);
                    if score > reached + WORTH {
                        reached = score;
                        chosen = Some(value);
                    }
                }
                if let Some(value) = chosen {
                    *field(&mut best[index]) = value;
                    told(&format!("{}.{name} {own} -> {value}: {reached:.4}", kind.name()));
                }
            }
        }
        if reached < before + WORTH {
            break;
        }
    }
    Ok(best)
}

/// Tunes on everything.
#[expect(clippy::print_stdout, reason = "a bench prints its result")]
pub(crate) fn tune_all(bench: &mut Bench) -> Result<()> {
    let tuned = ascend(bench, KINDS.map(Weights::of), 2, &|_| true, |line| println!("{line}"))?;
    println!("{tuned:#?}");
    let rows = bench.run(&|kind| at(&tuned, kind))?;
    crate::report(&rows);
    Ok(())
}

/// One weight changed, and what came of it.
struct Tried {
    name: String,
    change: Change,
    rows: Vec<Row>,
}

/// Every change of one weight alone, chosen on all repositories but one, and scored on that one.
#[expect(clippy::print_stdout, reason = "a bench prints its result")]
pub(crate) fn leave_one_out(bench: &mut Bench) -> Result<()> {
    let rows = bench.run(&Weights::of)?;
    let whole = aim(&rows, |_| true);
    println!("\none weight alone, difference of the mean of all NDCG, {whole:.4}");
    let mut tried: Vec<Tried> = Vec::new();
    for kind in [QueryKind::Symbol, QueryKind::Question, QueryKind::Change] {
        for (name, off, field) in WEIGHTS {
            for value in values(*field(&mut Weights::of(kind)), *off) {
                let change = Change { kind: Some(kind), field: *field, value };
                let rows = bench.run(&|kind| {
                    let mut weights = Weights::of(kind);
                    change.apply(kind, &mut weights);
                    weights
                })?;
                println!("{}.{name} = {value:.3}: {:+.4}", kind.name(), aim(&rows, |_| true) - whole);
                tried.push(Tried { name: format!("{}.{name}", kind.name()), change, rows });
            }
        }
    }
    let mut repositories: Vec<(String, String)> =
        rows.iter().map(|row| (row.pack.clone(), row.repo.clone())).collect();
    repositories.dedup();
    let mut left_out = Vec::new();
    for (pack, repo) in &repositories {
        let others = |row: &Row| row.repo != *repo;
        let before = aim(&rows, others);
        let mut chosen: Vec<(f64, &Tried)> = Vec::new();
        for one in &tried {
            let gain = aim(&one.rows, others) - before;
            let same = chosen.iter_mut().find(|(_, other)| other.name == one.name);
            match same {
                _ if gain < WORTH => {}
                Some(known) if known.0 < gain => *known = (gain, one),
                Some(_) => {}
                None => chosen.push((gain, one)),
            }
        }
        let after = bench.run(&|kind| {
            let mut weights = Weights::of(kind);
            for (_, one) in &chosen {
                one.change.apply(kind, &mut weights);
            }
            weights
        })?;
        let own = |row: &Row| row.pack == *pack && row.repo == *repo;
        let names: Vec<String> =
            chosen.iter().map(|(_, one)| format!("{}={:.2}", one.name, one.change.value)).collect();
        println!(
            "without {pack} {repo}: the others {before:.4} -> {:.4}, it {:.4} -> {:.4}: {}",
            aim(&after, others),
            aim(&rows, own),
            aim(&after, own),
            names.join(" ")
        );
        left_out.extend(after.into_iter().filter(own));
    }
    println!("each repository with weights chosen on the others:");
    crate::report(&left_out);
    Ok(())
}

/// Values tried beside `own`, the weight's own one.
fn values(own: f32, off: f32) -> Vec<f32> {
    let values: Vec<f32> = match own {
        0.0 => FROM_ZERO.to_vec(),
        own => STEPS.iter().map(|step| own * step).chain([off]).collect(),
    };
    let values = values.into_iter().map(|value| if off == 1.0 { value.min(1.0) } else { value });
    values.filter(|value| *value != own).collect()
}
