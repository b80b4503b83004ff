//! Legs that become another model's: a real repository, store and cache, and models whose
//! vectors follow from their name and the text.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::config::{self, Flags};
use crate::embed::{
    Embedder, EmbeddingCache, Leg, ModelInfo, ModelOptions, ModelSource, is_of_model, leg_fingerprint,
};
use crate::git::Worktree;
use crate::id::{CollectionName, ContentHash};
use crate::store::{EmbeddedStore, Filter, Legs, Probe};
use crate::tenant::{Database, Router, TenantContext};

const DIMENSION: usize = 4;
/// Functions, each in a file of its own: one more than the commit that changes over takes.
const FILES: u64 = 6;

struct Named(Fingerprint);

impl Embedder for Named {
    fn fingerprint(&self) -> &Fingerprint {
        &self.0
    }

    fn dimension(&self) -> usize {
        DIMENSION
    }

    fn max_tokens(&self) -> usize {
        512
    }

    fn count_tokens(&self, _: &str) -> usize {
        1
    }

    fn embed(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let bytes = ContentHash::of(format!("{} {text}", self.0).as_bytes()).0;
        Ok((0..DIMENSION).map(|at| (f32::from(bytes[at]) - 127.5) / 128.0).collect())
    }

    fn embed_query(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        self.embed(text)
    }
}

struct Fixture {
    _base: TempDir,
    worktree: Worktree,
    database: Database,
    collection: CollectionName,
    cache: Option<EmbeddingCache>,
}

/// Options of a run with these models, by leg; `texts` stands for what decides the texts.
fn options(models: [Option<&str>; 2], texts: &str) -> Options {
    let settings = config::load(&Flags::default()).expect("a configuration");
    let root = settings.embed.model_dir;
    let installed = ModelOptions { root, source: ModelSource::Packages, runtime: None, threads: 1 };
    let info = ModelInfo::open(&installed).expect("`indexer model install` before the tests");
    let leg = |name: &str| LegOptions {
        fingerprint: leg_fingerprint(&Fingerprint(name.to_owned()), "textify-1"),
        model: Fingerprint(name.to_owned()),
        dimension: DIMENSION,
        max_tokens: 512,
        texts: texts.to_owned(),
        tokens: info.tokens.clone(),
    };
    Options {
        max_file_bytes: 1 << 20,
        max_chunk_tokens: 480,
        tokens: info.tokens.clone(),
        tokenizer: info.tokenizer.clone(),
        legs: models.map(|model| model.map(leg)),
        threads: 1,
    }
}

fn text(model: &str) -> Options {
    options([Some(model), None], "t")
}

impl Fixture {
    fn new() -> Fixture {
        let base = TempDir::new().expect("a temporary directory");
        let home = base.path().canonicalize().expect("canonical");
        let tree = home.join("tree");
        std::fs::create_dir(&tree).expect("made");
        let init = Command::new("git").args(["init", "-q"]).current_dir(&tree).status();
        assert!(init.expect("git runs").success());
        let worktree = Worktree::discover(&tree).expect("a worktree");
        let tenant = TenantContext::local(worktree.project_path()).expect("a tenant");
        let router = Router::new(Arc::new(EmbeddedStore::new(&home.join("data"))));
        let fixture = Fixture {
            database: router.database(&tenant).expect("a database"),
            collection: tenant.code_collection(worktree.root().as_path()).expect("a name"),
            cache: Some(EmbeddingCache::open(&home.join("cache.sqlite"), 1 << 30).expect("a cache")),
            worktree,
            _base: base,
        };
        (0..FILES).for_each(|n| fixture.write(n));
        fixture
    }

    fn write(&self, n: u64) {
        let content = format!("/// Answers {n}.\npub fn answer_{n}() -> u64 {{\n    {n}\n}}\n");
        std::fs::write(self.tree().join(format!("f{n}.rs")), content).expect("written");
    }

    fn tree(&self) -> PathBuf {
        self.worktree.root().as_path().to_owned()
    }

    /// Runs; ends the run once `most` vectors are there.
    fn run(&mut self, options: &Options, scope: Option<Scope>, most: u64) -> Outcome {
        let Fixture { worktree, database, collection, cache, .. } = self;
        let indexer = Indexer { database, collection, worktree, options };
        let mut vectors = Vectors {
            scope: scope.unwrap_or_default(),
            cache: cache.as_mut(),
            loaded: Box::new(|_| true),
            load: Box::new(|leg| {
                let leg = options.legs[leg.index()].as_ref().expect("only a leg that is on is filled");
                Ok(Box::new(Named(leg.model.clone())))
            }),
        };
        let mut observe = |progress: Progress<'_>| match progress {
            Progress::Vectors { done, .. } if done >= most => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let vectors = scope.is_some().then_some(&mut vectors);
        let outcome = indexer.run(Run::default(), vectors, &mut observe).expect("a run");
        Outcome { timing: Timing::default(), ..outcome }
    }

    fn fill(&mut self, options: &Options) -> Outcome {
        self.run(options, Some(Scope::All), u64::MAX)
    }

    /// Runs until the files' signatures tell that nothing has changed, which those of files that
    /// were written just now do not.
    fn settle(&mut self, options: &Options) {
        let began = Instant::now();
        while self.fill(options).files.unchanged < FILES {
            assert!(began.elapsed() < Duration::from_secs(60), "files that nobody touches stay new");
        }
    }

    /// Paths of what is near to an arbitrary vector in the text leg, with their cosines; of
    /// which model they are is told too.
    fn nearest(&self) -> (String, Vec<(String, u32)>) {
        let legs = self.legs();
        let (model, _) = legs[0].clone().expect("a text leg");
        let probe = Probe::Vector(Leg::Text, model.clone(), vec![1.0, 0.5, 0.25, 0.0]);
        let found = self.database.search(&self.collection, &[probe], &Filter::default(), 99).expect("found");
        let hits = found.concat().into_iter().map(|hit| (hit.point.path.to_string(), hit.score.to_bits()));
        (model.0, hits.collect())
    }

    fn words(&self) -> usize {
        let probe = Probe::Terms(vec![("answer".to_owned(), 1.0), ("answers".to_owned(), 1.0)]);
        let found = self.database.search(&self.collection, &[probe], &Filter::default(), 99);
        found.expect("found").concat().len()
    }

    fn legs(&self) -> Legs {
        self.database.snapshot(&self.collection).expect("read").legs
    }

    fn freshness(&self) -> Freshness {
        Freshness::of(&self.worktree, &self.database, &self.collection).expect("read").expect("indexed")
    }
}

const A: &str = "a@1;4;textify-1";
const B: &str = "b@1;4;textify-1";

fn counts(present: u64, cache_hits: u64, embedded: u64, needed: u64, replaces: Option<&str>) -> VectorCounts {
    let pending = needed - present - cache_hits - embedded;
    let replaces = replaces.map(str::to_owned);
    VectorCounts { needed, present, cache_hits, embedded, pending, over_limit: 0, replaces }
}

/// What a run over unchanged files reports, but for its vectors, bytes and commits.
fn idle(outcome: &Outcome) -> Outcome {
    let Outcome { collection, head, bytes, vectors, commits, interrupted, .. } = outcome.clone();
    Outcome {
        collection,
        full: None,
        head,
        files: FileCounts { listed: FILES, unchanged: FILES, ..FileCounts::default() },
        chunks: ChunkCounts { total: FILES, ..ChunkCounts::default() },
        vectors,
        bytes: ByteCounts { read: 0, ..bytes },
        commits,
        unreadable_directories: 0,
        interrupted,
        timing: Timing::default(),
    }
}

#[test]
fn the_former_vectors_answer_until_those_of_the_new_model_are_all_there() {
    let mut fixture = Fixture::new();
    fixture.settle(&text("a@1;4"));
    let (before, words) = (fixture.nearest(), fixture.words());
    assert_eq!((before.0.as_str(), before.1.len(), words), (A, FILES as usize, FILES as usize));

    let mut cut = |scope: Option<Scope>, most: u64, expected: VectorCounts, commits: u64| {
        let outcome = fixture.run(&text("b@1;4"), scope, most);
        assert_eq!(outcome.vectors, [Some(expected), None]);
        assert_eq!((outcome.commits, outcome.interrupted), (commits, scope == Some(Scope::All)));
        assert_eq!(outcome, idle(&outcome));
        assert_eq!((fixture.nearest(), fixture.words()), (before.clone(), words));
        let pending = outcome.vectors[0].as_ref().expect("counts").pending;
        let freshness = fixture.freshness();
        assert_eq!(freshness.vectors, [Some((FILES - pending, FILES)), None]);
        assert_eq!((freshness.replaces, freshness.pending), ([Some(A.to_owned()), None], 0));
    };
    // It is noted that the leg is to be another one's, and then how far that is.
    cut(None, 0, counts(0, 0, 0, FILES, Some(A)), 1);
    cut(Some(Scope::Changed), 0, counts(0, 0, 0, FILES, Some(A)), 0);
    cut(Some(Scope::All), 2, counts(0, 0, 2, FILES, Some(A)), 1);
    cut(Some(Scope::All), 4, counts(0, 2, 2, FILES, Some(A)), 1);
    let known = VectorCounts { pending: 2, ..counts(0, 0, 0, FILES, Some(A)) };
    cut(None, 0, known.clone(), 0);
    cut(Some(Scope::Changed), 0, known, 0);

    let verified = {
        let (database, collection, worktree) = (&fixture.database, &fixture.collection, &fixture.worktree);
        let indexer = Indexer { database, collection, worktree, options: &text("b@1;4") };
        indexer.verify(&mut |_| {}).expect("verified")
    };
    assert!(verified.is_clean(), "{verified:?}");
    assert_eq!(verified.pending, [Some(FILES), None]);

    // One commit takes as many as it may, and another one the rest.
    let done = fixture.fill(&text("b@1;4"));
    assert_eq!(done.vectors, [Some(counts(0, 4, 2, FILES, None)), None]);
    assert_eq!((done.commits, done.interrupted), (2, false));
    assert_eq!(done, idle(&done));
    let after = fixture.nearest();
    assert_eq!((after.0.as_str(), after.1.len(), fixture.words()), (B, FILES as usize, words));
    assert_ne!(after.1, before.1);
    let freshness = fixture.freshness();
    assert_eq!((freshness.vectors[0], freshness.replaces), (Some((FILES, FILES)), [None, None]));
    let again = fixture.fill(&text("b@1;4"));
    assert_eq!((again.vectors[0].clone(), again.commits), (Some(counts(FILES, 0, 0, FILES, None)), 0));

    // It is as if there had never been another.
    let mut fresh = Fixture::new();
    fresh.fill(&text("b@1;4"));
    assert_eq!(fresh.nearest(), after);
    // And back again: everything is in the cache.
    let back = fixture.fill(&text("a@1;4"));
    assert_eq!(back.vectors, [Some(counts(0, FILES, 0, FILES, None)), None]);
    assert_eq!(fixture.nearest(), before);
}

#[test]
fn an_edit_meanwhile_is_found_by_its_words_and_in_the_end_by_its_vector() {
    let mut fixture = Fixture::new();
    fixture.fill(&text("a@1;4"));
    let before = fixture.nearest();
    fixture.run(&text("b@1;4"), Some(Scope::All), 3);
    fixture.write(FILES);
    let edit = fixture.run(&text("b@1;4"), Some(Scope::Changed), u64::MAX);
    assert_eq!((edit.files.parsed, edit.chunks.added), (1, 1));
    assert_eq!(fixture.words(), FILES as usize + 1);
    assert_eq!(fixture.nearest(), before);
    let done = fixture.fill(&text("b@1;4"));
    assert_eq!(done.vectors[0], Some(counts(0, 3, FILES + 1 - 3, FILES + 1, None)));
    assert_eq!(fixture.nearest().1.len(), FILES as usize + 1);
}

#[test]
fn another_model_still_begins_at_nothing_and_the_former_one_needs_nothing() {
    let mut fixture = Fixture::new();
    fixture.fill(&text("a@1;4"));
    let before = fixture.nearest();
    fixture.run(&text("b@1;4"), Some(Scope::All), 4);
    fixture.run(&text("c@1;4"), None, 0);
    assert_eq!(fixture.freshness().vectors[0], Some((0, FILES)), "what b has is not c's");
    assert_eq!(fixture.nearest(), before);
    let same = fixture.fill(&text("a@1;4"));
    assert_eq!(same.vectors[0], Some(counts(FILES, 0, 0, FILES, None)));
    let freshness = fixture.freshness();
    assert_eq!((freshness.vectors[0], freshness.replaces), (Some((FILES, FILES)), [None, None]));
}

#[test]
fn without_a_cache_few_vectors_wait_and_many_do_not() {
    for (files, waits) in [(FILES - 1, true), (FILES, false)] {
        let mut fixture = Fixture::new();
        fixture.cache = None;
        (files..FILES)
            .for_each(|n| std::fs::remove_file(fixture.tree().join(format!("f{n}.rs"))).expect("gone"));
        fixture.fill(&text("a@1;4"));
        let before = fixture.nearest();
        let cut = fixture.run(&text("b@1;4"), Some(Scope::All), 3);
        let replaces = waits.then_some(A);
        assert_eq!(cut.vectors[0], Some(counts(0, 0, 3, files, replaces)));
        let now = fixture.nearest();
        match waits {
            true => assert_eq!(now, before),
            false => assert_eq!((now.0.as_str(), now.1.len()), (B, 3)),
        }
        let done = fixture.fill(&text("b@1;4"));
        let (present, embedded) = if waits { (0, files) } else { (3, files - 3) };
        assert_eq!(done.vectors[0], Some(counts(present, 0, embedded, files, None)));
        assert_eq!(fixture.nearest().1.len() as u64, files);
    }
}

#[test]
fn legs_go_on_and_off_at_once_and_two_are_replaced_one_after_the_other() {
    let mut fixture = Fixture::new();
    let both = |text, code| options([text, code], "t");
    fixture.fill(&text("a@1;4"));
    let models = |fixture: &Fixture| fixture.legs().map(|leg| leg.map(|(model, _)| model.0));
    let on = fixture.run(&both(Some("a@1;4"), Some("a@1;4")), None, 0);
    assert_eq!(on.full, Some(FullReason::Options), "the chunks' texts for it are not known yet");
    assert_eq!(models(&fixture), [Some(A.to_owned()), Some(A.to_owned())]);
    assert_eq!(fixture.nearest().1.len() as u64, FILES, "the other leg is as it was");
    fixture.fill(&both(Some("a@1;4"), Some("a@1;4")));

    // The code leg is half-way: the text leg has changed over already.
    let cut = fixture.run(&both(Some("b@1;4"), Some("b@1;4")), Some(Scope::All), FILES);
    assert_eq!(cut.vectors[0], Some(counts(0, 0, FILES, FILES, Some(A))), "ended before the commit");
    let done = fixture.fill(&both(Some("b@1;4"), Some("b@1;4")));
    assert_eq!(
        done.vectors,
        [Some(counts(0, FILES, 0, FILES, None)), Some(counts(0, 0, FILES, FILES, None))]
    );
    assert_eq!(models(&fixture), [Some(B.to_owned()), Some(B.to_owned())]);

    let off = fixture.run(&text("b@1;4"), None, 0);
    assert_eq!(off.vectors[1], None);
    assert_eq!(models(&fixture), [Some(B.to_owned()), None]);
    assert_eq!(fixture.nearest().1.len() as u64, FILES);
}

#[test]
fn a_model_that_is_given_other_texts_has_all_files_read_and_keeps_what_is_the_same() {
    let mut fixture = Fixture::new();
    fixture.fill(&text("a@1;4"));
    let before = fixture.nearest();
    let other = options([Some("b@1;4"), None], "another limit");
    let run = fixture.run(&other, None, 0);
    assert_eq!((run.full, run.files.parsed), (Some(FullReason::Options), FILES));
    assert_eq!(fixture.nearest(), before, "the texts are the same ones after all");
    assert_eq!(fixture.freshness().replaces, [Some(A.to_owned()), None]);
    assert!(is_of_model(&Fingerprint(before.0), &Fingerprint("a@1;4".to_owned())));
}
