//! Scores a ranking against judged answers, as the packs' own scorer does: NDCG@10, binary
//! relevance, at three levels, and differences by paired bootstrap.

use serde::Deserialize;

/// Names of the levels, in the order of every array of three here.
pub(crate) const LEVELS: [&str; 3] = ["chunk", "file", "lines"];

/// A hit of more lines than this does not count at the level of lines.
const MAX_SPAN: u32 = 200;
const DEPTH: usize = 10;

/// A judged answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) path: String,
    pub(crate) start_line: Option<u32>,
    pub(crate) end_line: Option<u32>,
}

/// A place that was found.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) start_line: u32,
    pub(crate) end_line: u32,
    pub(crate) score: f32,
}

#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) ndcg: f64,
    pub(crate) recall_1: f64,
    pub(crate) recall_5: f64,
    pub(crate) mrr: f64,
}

/// One query's scores. A level is `None` where no answer has lines.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) pack: String,
    pub(crate) repo: String,
    pub(crate) category: String,
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) levels: [Option<Metrics>; 3],
}

impl Row {
    pub(crate) fn ndcg(&self, level: usize) -> Option<f64> {
        self.levels[level].as_ref().map(|metrics| metrics.ndcg)
    }
}

/// Scores of `found`, best first, at each level.
pub(crate) fn score(found: &[Found], targets: &[Target]) -> [Option<Metrics>; 3] {
    let covers = |hit: &Found, target: &Target| {
        let lines = target.start_line.zip(target.end_line);
        hit.path == target.path && lines.is_none_or(|(from, to)| hit.end_line >= from && hit.start_line <= to)
    };
    let first = |pick: &dyn Fn(&Found) -> bool| found.iter().position(pick).map(|at| at + 1);
    let chunk: Vec<_> = targets.iter().map(|target| first(&|hit| covers(hit, target))).collect();

    let mut files: Vec<&str> = Vec::new();
    found.iter().for_each(|hit| {
        if !files.contains(&hit.path.as_str()) {
            files.push(&hit.path)
        }
    });
    let mut wanted: Vec<&str> = Vec::new();
    targets.iter().for_each(|t| {
        if !wanted.contains(&t.path.as_str()) {
            wanted.push(&t.path)
        }
    });
    let file: Vec<_> =
        wanted.iter().map(|path| files.iter().position(|file| file == path).map(|at| at + 1)).collect();

    let narrow = |hit: &Found| hit.end_line - hit.start_line < MAX_SPAN;
    let lines: Vec<_> = (targets.iter().filter(|target| target.start_line.is_some()))
        .map(|target| first(&|hit| narrow(hit) && covers(hit, target)))
        .collect();
    [chunk, file, lines].map(|ranks| (!ranks.is_empty()).then(|| metrics(&ranks)))
}

fn metrics(ranks: &[Option<usize>]) -> Metrics {
    let gain = |rank: usize| 1.0 / (rank as f64 + 1.0).log2();
    let mut found: Vec<usize> = ranks.iter().flatten().copied().collect();
    let share = |k: usize| found.iter().filter(|rank| **rank <= k).count() as f64 / ranks.len() as f64;
    let (recall_1, recall_5) = (share(1), share(5));
    let best = found.iter().min().copied();
    // One gain a rank, also where a hit covers two targets.
    found.sort_unstable();
    found.dedup();
    let sum: f64 = found.iter().filter(|rank| **rank <= DEPTH).map(|rank| gain(*rank)).sum();
    let ideal: f64 = (1..=ranks.len().min(DEPTH)).map(gain).sum();
    let mrr = best.filter(|rank| *rank <= DEPTH).map_or(0.0, |rank| 1.0 / rank as f64);
    Metrics { ndcg: sum / ideal, recall_1, recall_5, mrr }
}

pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0u32), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

/// Mean of paired differences with its 95 % interval by bootstrap, and how many queries moved.
pub(crate) fn difference(deltas: &[f64]) -> String {
    const SAMPLES: usize = 2000;
    if deltas.is_empty() {
        return "nothing in common".to_owned();
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // xorshift64: the same samples on every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % deltas.len() as u64) as usize
    };
    let mut means: Vec<f64> = (0..SAMPLES)
        .map(|_| (0..deltas.len()).map(|_| deltas[next()]).sum::<f64>() / deltas.len() as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    let better = deltas.iter().filter(|delta| **delta > 1e-9).count();
    let worse = deltas.iter().filter(|delta| **delta < -1e-9).count();
    format!(
        "{:+.4} [{:+.4}, {:+.4}] better {better}, worse {worse}",
        mean(deltas.iter().copied()).unwrap_or_default(),
        means[SAMPLES / 40],
        means[SAMPLES - 1 - SAMPLES / 40]
    )
}
