//! Memories on a real store and a real repository, with a model of words.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::collection::Collection;
use super::draft::Draft;
use super::*;
use crate::embed::{EmbedError, Embedder, Leg};
use crate::git::Worktree;
use crate::id::{CollectionName, ContentHash, Fingerprint, PointId};
use crate::path::RepoPath;
use crate::search::{LegName, LegState, Mode, Request, SearchError};
use crate::store::{Batch, CollectionKind, EmbeddedStore, Filter, Point};
use crate::tenant::{Database, Router, TenantContext};

/// Texts with common words are near each other; counts what it is asked.
struct Words {
    fingerprint: Fingerprint,
    embedded: usize,
    broken: bool,
}

fn model(name: &str) -> Words {
    Words { fingerprint: Fingerprint(name.to_owned()), embedded: 0, broken: false }
}

impl Embedder for Words {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimension(&self) -> usize {
        256
    }

    fn max_tokens(&self) -> usize {
        20
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn embed(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        if self.broken {
            return Err(EmbedError::TooLong { tokens: 0, limit: 0 });
        }
        self.embedded += 1;
        let mut vector = vec![0f32; self.dimension()];
        for word in text.split_whitespace() {
            // Synonyms, so that words alone do not find them.
            let word = if word == "car" { "automobile" } else { word };
            vector[usize::from(blake3::hash(word.as_bytes()).as_bytes()[0])] += 1.0;
        }
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
        Ok(vector.into_iter().map(|v| v / length).collect())
    }

    fn embed_query(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let (tokens, limit) = (self.count_tokens(text), self.max_tokens());
        if tokens > limit { Err(EmbedError::TooLong { tokens, limit }) } else { self.embed(text) }
    }
}

struct Fixture {
    base: TempDir,
    database: Database,
    worktree: Worktree,
}

impl Fixture {
    fn new() -> Fixture {
        let base = tempfile::tempdir().expect("a temporary directory");
        let root = base.path().join("tree");
        let init = Command::new("git").args(["init", "-q", "-b", "main"]).arg(&root).status();
        assert!(init.expect("git runs").success());
        let worktree = Worktree::discover(&root).expect("a worktree");
        let router = Router::new(Arc::new(EmbeddedStore::new(&base.path().join("data"))));
        let tenant = TenantContext::local(worktree.project_path()).expect("a tenant");
        Fixture { database: router.database(&tenant).expect("a database"), worktree, base }
    }

    fn locks(&self) -> PathBuf {
        self.base.path().join("data/locks")
    }

    fn checkpoints(&self) -> Checkpoints<'_> {
        Checkpoints::new(&self.database, &self.worktree, &self.locks()).expect("checkpoints")
    }

    fn remediations(&self) -> Remediations<'_> {
        Remediations::new(&self.database, &self.locks()).expect("remediations")
    }

    fn collection(&self, kind: CollectionKind) -> Collection<'_> {
        Collection::new(&self.database, kind, &self.locks()).expect("a collection")
    }

    fn save(&self, summary: &str, content: &str, now: u64, model: Option<&mut Words>) -> PointId {
        let new = NewCheckpoint {
            summary: summary.to_owned(),
            content: content.to_owned(),
            ..NewCheckpoint::default()
        };
        let model = model.map(|embedder| Model { embedder, cache: None });
        self.checkpoints().save(&new, now, model).expect("saved").0.checkpoint.id
    }

    /// Summaries that answer, best first.
    fn ask(&self, query: &str, mode: Mode, model: &mut Words) -> Vec<String> {
        let answer = self.checkpoints().search(&request(query, mode), Ok(model)).expect("an answer");
        answer.hits.into_iter().map(|hit| hit.view.checkpoint.summary).collect()
    }

    fn summaries(&self, filter: &Filter) -> Vec<String> {
        let (views, total) = self.checkpoints().list(filter, None, 100).expect("a list");
        assert_eq!(views.len(), total);
        views.into_iter().map(|view| view.checkpoint.summary).collect()
    }

    fn vectors(&self) -> u64 {
        let name = CollectionName::new("checkpoints").expect("a name");
        self.database.stats(&name).expect("a collection").vectors[Leg::Text.index()]
    }
}

fn request(query: &str, mode: Mode) -> Request {
    Request { query: query.to_owned(), limit: 10, mode, filter: Filter::default() }
}

fn remediation(error: &str, solution: &str) -> NewRemediation {
    NewRemediation { error: error.to_owned(), solution: solution.to_owned(), ..NewRemediation::default() }
}

#[test]
fn checkpoints_are_listed_by_time_and_restricted() {
    let fixture = Fixture::new();
    let checkpoints = fixture.checkpoints();
    assert_eq!(fixture.summaries(&Filter::default()), [""; 0], "nothing was ever saved");
    assert!(!fixture.base.path().join("data").exists(), "reading makes nothing");
    let save = |summary: &str, tags: &[&str], branch: Option<&str>, seconds: u64| {
        let new = NewCheckpoint {
            summary: summary.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            branch: branch.map(str::to_owned),
            ..NewCheckpoint::default()
        };
        checkpoints.save(&new, seconds * 1000, None).expect("saved").0
    };
    let first = save("first", &["a", "b"], None, 100);
    assert_eq!(first.checkpoint.branch.as_deref(), Some("main"));
    assert_eq!((first.checkpoint.commit.as_deref(), first.same_commit()), (None, true));
    assert!(!save("second", &["b"], Some("side"), 200).same_branch());
    save("third", &[], None, 300);
    let restricted = |tags: &[&str], branches: &[&str], time: Option<std::ops::Range<u64>>| {
        let mut filter = Filter { time, ..Filter::default() };
        require_tags(&mut filter, &tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>());
        let branches = branches.iter().map(|branch| (*branch).to_owned()).collect();
        filter.attributes.insert("branch".to_owned(), branches);
        let listed = fixture.summaries(&filter);
        // The store restricts a search as the list is restricted.
        let words = Request { filter, ..request("first second third", Mode::Lexical) };
        let hits = checkpoints.search(&words, Err(String::new())).expect("an answer").hits;
        let mut found: Vec<String> = hits.into_iter().map(|hit| hit.view.checkpoint.summary).collect();
        let mut sorted = listed.clone();
        found.sort();
        sorted.sort();
        assert_eq!(found, sorted);
        listed
    };
    assert_eq!(restricted(&[], &[], None), ["third", "second", "first"]);
    assert_eq!(restricted(&["b"], &[], None), ["second", "first"]);
    assert_eq!(restricted(&["a", "b"], &[], None), ["first"]);
    assert_eq!(restricted(&[], &["side", "other"], None), ["second"]);
    assert_eq!(restricted(&[], &[], Some(100..300)), ["second", "first"]);
    assert_eq!(restricted(&["c"], &[], None), [""; 0]);
}

#[test]
fn an_id_is_known_by_its_beginning() {
    let fixture = Fixture::new();
    let ids: Vec<PointId> = (0..3).map(|n| fixture.save("x", "", 1_700_000_000_000 + n, None)).collect();
    assert!(ids.is_sorted(), "ids are in the order of time: {ids:?}");
    assert_eq!(ids[0].to_string().as_bytes()[14], b'7', "a UUID of version 7");
    let get = |prefix: &str| fixture.checkpoints().get(prefix).map(|view| view.checkpoint.id);
    for id in &ids {
        let text = id.to_string();
        assert_eq!(get(&text).expect("there"), *id);
        assert_eq!(get(&text.to_uppercase()[..30]).expect("there"), *id);
    }
    assert!(
        matches!(get(&ids[0].to_string()[..8]), Err(MemoryError::Ambiguous { ids, .. }) if ids.len() == 3)
    );
    assert!(matches!(get("ffff"), Err(MemoryError::Unknown { .. })));
    for wrong in ["", "018", "xyz1", "--------", "018b\0"] {
        assert!(matches!(get(wrong), Err(MemoryError::NotAnId { .. })), "{wrong:?}");
    }
    let both = [ids[0].to_string(), "ffff".to_owned()];
    assert!(matches!(fixture.checkpoints().delete(&both), Err(MemoryError::Unknown { .. })));
    assert_eq!(fixture.summaries(&Filter::default()).len(), 3, "one that is not there deletes none");
    fixture.checkpoints().delete(&both[..1]).expect("deleted");
    assert!(get(&both[0]).is_err() && fixture.summaries(&Filter::default()).len() == 2);
}

#[test]
fn meaning_and_words_find_and_long_texts_are_never_cut() {
    let fixture = Fixture::new();
    let mut words = model("m1");
    let long = "engine ".repeat(30);
    fixture.save("the automobile is blue", "", 1, Some(&mut words));
    fixture.save("bread recipe", &long, 2, Some(&mut words));
    fixture.save(&long, "gearbox", 3, Some(&mut words));
    assert_eq!((words.embedded, fixture.vectors()), (2, 2), "the last has no text that fits");
    assert_eq!(fixture.ask("car", Mode::Dense, &mut words), ["the automobile is blue"]);
    assert_eq!(fixture.ask("car", Mode::Lexical, &mut words), [""; 0]);
    assert_eq!(fixture.ask("bread", Mode::Dense, &mut words), ["bread recipe"], "by its summary");
    assert_eq!(fixture.ask("gearbox", Mode::Hybrid, &mut words), [long.trim()], "by its words");
    let both =
        fixture.checkpoints().search(&request("blue car", Mode::Hybrid), Ok(&mut words)).expect("found");
    let dense = LegName::Dense(Leg::Text);
    assert_eq!(both.hits[0].legs, [(LegName::Lexical, 1), (dense, 1)]);

    let state = |query: &str, model: Result<&mut dyn Embedder, String>| {
        let answer = fixture.checkpoints().search(&request(query, Mode::Hybrid), model).expect("by words");
        let state = answer.legs.into_iter().find(|(leg, _)| *leg == dense).expect("a leg").1;
        let LegState::Unavailable(why) = state else { panic!("{state:?}") };
        why
    };
    assert!(state(&"word ".repeat(21), Ok(&mut words)).contains("21 tokens"));
    assert!(state("car", Ok(&mut model("m2"))).contains("another model"));
    assert_eq!(state("car", Err("no model".to_owned())), "no model");
    let refused = |query, mode| fixture.checkpoints().search(&request(query, mode), Err("none".to_owned()));
    assert!(matches!(refused("car", Mode::Dense), Err(MemoryError::Search(SearchError::NoDense { .. }))));
    assert!(matches!(refused(" ", Mode::Hybrid), Err(MemoryError::Search(SearchError::EmptyQuery))));
}

#[test]
fn what_was_kept_without_a_model_is_found_by_meaning_with_the_next() {
    let fixture = Fixture::new();
    fixture.save("the automobile is blue", "", 1, None);
    let mut broken = Words { broken: true, ..model("m1") };
    let new = NewCheckpoint { summary: "a red automobile".to_owned(), ..NewCheckpoint::default() };
    let broken = Some(Model { embedder: &mut broken, cache: None });
    let (_, written) = fixture.checkpoints().save(&new, 2, broken).expect("kept all the same");
    assert!(written.without_vector.is_some(), "and it is said");
    assert_eq!(fixture.vectors(), 0);
    for name in ["m1", "m1", "m2"] {
        let mut words = model(name);
        fixture.save(&format!("saved with {name}"), "", 3, Some(&mut words));
        let found = fixture.ask("car", Mode::Dense, &mut words);
        assert!(found.contains(&"the automobile is blue".to_owned()), "{name}: {found:?}");
        assert!(found.contains(&"a red automobile".to_owned()), "{name}: {found:?}");
    }
    // Without a model again: what is there stays as it is.
    fixture.save("the last", "", 4, None);
    assert_eq!(fixture.summaries(&Filter::default()).len(), 6);
    assert!(fixture.ask("car", Mode::Dense, &mut model("m2")).len() >= 2);
    assert_eq!(fixture.database.collections().expect("a database").len(), 1, "it is the same collection");
}

#[test]
fn the_same_error_and_solution_are_one_remediation() {
    let fixture = Fixture::new();
    let remediations = fixture.remediations();
    let mut words = model("m1");
    let mut record = |error: &str, solution: &str, tags: &[&str], category: Option<&str>, seconds: u64| {
        let new = NewRemediation {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            category: category.map(str::to_owned),
            ..remediation(error, solution)
        };
        let model = Some(Model { embedder: &mut words, cache: None });
        remediations.record(&new, seconds * 1000, model).expect("recorded").0
    };
    let first = record("/a/b.rs:1: port 80 is busy", "stop the\nother server", &["net"], None, 10);
    let second =
        record("/c.rs:99: port 8080 is busy", "stop the other  server", &["os"], Some("network"), 20);
    assert_eq!(second.id, first.id);
    assert_eq!(
        second,
        Remediation {
            occurrences: 2,
            tags: vec!["net".to_owned(), "os".to_owned()],
            category: Some("network".to_owned()),
            last_seen: 20,
            ..first.clone()
        }
    );
    let third = record("/c.rs:99: port 8080 is busy", "use port 8081", &[], None, 5);
    assert_ne!(third.id, first.id, "another solution");
    assert_eq!(record("port busy", "use port 8081", &[], None, 30).occurrences, 1, "another error");
    assert_eq!(words.embedded, 3, "what is met again is not embedded again");
    let (listed, total) = remediations.list(&Filter::default(), None, 2).expect("a list");
    assert_eq!((listed.len(), total, listed[0].last_seen, listed[1].last_seen), (2, 3, 30, 20));
    for (error, solution) in [("", "x"), ("x", " \n"), ("x", "a\0b")] {
        assert!(
            remediations.record(&remediation(error, solution), 0, None).is_err(),
            "{error:?} {solution:?}"
        );
    }
}

#[test]
fn feedback_moves_what_answers_a_little() {
    let fixture = Fixture::new();
    let remediations = fixture.remediations();
    let mut words = model("m1");
    let ids = ["first way", "second way"].map(|solution| {
        let model = Some(Model { embedder: &mut words, cache: None });
        remediations.record(&remediation("disk is full", solution), 1000, model).expect("recorded").0.id
    });
    let mut ranked = || {
        let hits =
            remediations.search(&request("disk is full", Mode::Hybrid), Ok(&mut words)).expect("found").hits;
        (hits[0].remediation.id, hits[0].score, hits[1].score)
    };
    let (best, before, _) = ranked();
    let other = *ids.iter().find(|id| **id != best).expect("two");
    for expected in 1..=3 {
        assert_eq!(remediations.feedback(&other.to_string(), true).expect("there").helpful, expected);
    }
    remediations.feedback(&best.to_string(), false).expect("there");
    let (first, above, below) = ranked();
    assert_eq!(first, other, "what helped comes first");
    assert!(above <= before * 1.2 && below >= before * 0.8, "{before} {above} {below}");
    let by_meaning = remediations.search(&request("disk is full", Mode::Dense), Ok(&mut words));
    assert_eq!(by_meaning.expect("found").hits.len(), 2, "feedback keeps the vectors without a model");
    assert!(matches!(remediations.feedback("ffff", true), Err(MemoryError::Unknown { .. })));
}

/// A stored point with this text.
fn stored_as(fixture: &Fixture, json: &str) -> PointId {
    let id = fixture.save("a good one", "", 5, None);
    let point = fixture.collection(CollectionKind::Checkpoints).find(&id.to_string()).expect("there");
    let name = CollectionName::new("checkpoints").expect("a name");
    let point = Point { text: json.to_owned(), ..point };
    fixture.database.apply(&name, Batch { upsert: vec![point], ..Batch::default() }).expect("written");
    id
}

#[test]
fn records_that_cannot_be_read_are_named_and_can_be_deleted() {
    for (json, expected) in [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ("{\"v\":1}", "missing field"),
        ("{\"v\":2}", "newer version"),
        (
            "{\"v\":1,\"summary\":\"s\",\"content\":\"\",\"tags\":[],\"branch\":null,\"commit\":null,\
             \"worktree\":\"/w\",\"session\":null,\"created_at\":1,\"references\":[],\"mood\":\"good\"}",
            "unknown field `mood`",
        ),
    ] {
        let fixture = Fixture::new();
        let id = stored_as(&fixture, json);
        let error =
            fixture.checkpoints().list(&Filter::default(), None, 9).expect_err("not read").to_string();
        assert!(error.contains(expected) && error.contains(&id.to_string()), "{json}: {error}");
        fixture.checkpoints().delete(&[id.to_string()]).expect("deleted");
        assert_eq!(fixture.summaries(&Filter::default()), [""; 0]);
    }
}

#[test]
fn damage_is_said_and_nothing_is_begun_anew() {
    let fixture = Fixture::new();
    fixture.save("kept", "", 1, None);
    let folder =
        fixture.base.path().join("data/databases").join(fixture.database.name().as_str()).join("checkpoints");
    let record = folder.join("commit");
    let whole = std::fs::read(&record).expect("there");
    std::fs::write(&record, b"no commit record").expect("written");
    let new = NewCheckpoint { summary: "another".to_owned(), ..NewCheckpoint::default() };
    for error in [
        fixture.checkpoints().list(&Filter::default(), None, 9).expect_err("damaged"),
        fixture.checkpoints().save(&new, 2, None).expect_err("damaged"),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("is damaged") && text.contains("backup") && !text.contains("once --full"),
            "{text}"
        );
    }
    std::fs::write(&record, whole).expect("restored");
    assert_eq!(fixture.summaries(&Filter::default()), ["kept"]);
}

prop_compose! {
    fn checkpoints()(
        id: [u8; 16],
        (summary, content) in ("\\PC{1,40}", "(?s).{0,80}"),
        tags in prop::collection::btree_set("[a-z:é ]{1,8}", 0..4),
        branch in prop::option::of("[a-z/]{1,9}"),
        commit in prop::option::of("[0-9a-f]{40}"),
        worktree in prop::collection::vec(1u8.., 1..12),
        session in prop::option::of("\\PC{1,9}"),
        created_at in 0u64..1 << 40,
        references in prop::collection::vec((prop::collection::vec(0x80u8.., 1..5), any::<Option<(u32, u32)>>(), any::<u64>()), 0..3),
    ) -> Checkpoint {
        let references = references.into_iter().map(|(path, lines, bytes)| Reference {
            path: RepoPath::new(path).expect("no slash, no dot"),
            lines,
            bytes,
            hash: ContentHash::of(&bytes.to_le_bytes()),
        });
        Checkpoint {
            id: PointId(id), summary, content, tags: tags.into_iter().collect(), branch, commit,
            worktree: PathBuf::from(OsStr::from_bytes(&worktree)), session, created_at,
            references: references.collect(),
        }
    }
}

proptest! {
    #[test]
    fn a_checkpoint_is_read_as_it_was_written(checkpoint in checkpoints()) {
        let Draft { point, .. } = checkpoint.draft().expect("a draft");
        prop_assert_eq!(point.time, Some(checkpoint.created_at));
        prop_assert!(point.attributes.values().all(|value| !value.is_empty()));
        prop_assert_eq!(Checkpoint::read(&point).expect("reads"), checkpoint);
    }

    #[test]
    fn a_remediation_is_read_as_it_was_written(
        (error, solution) in ("\\PC{1,40}", "(?s).{1,80}"),
        counts: [u64; 5],
        category in prop::option::of("\\PC{1,9}"),
    ) {
        let [occurrences, helpful, unhelpful, created_at, last_seen] = counts;
        let remediation = Remediation {
            id: PointId([7; 16]), error, solution, category, tags: Vec::new(),
            occurrences, helpful, unhelpful, created_at, last_seen,
        };
        let draft = remediation.draft().expect("a draft");
        prop_assert_eq!(Remediation::read(&draft.point).expect("reads"), remediation);
    }
}
