//! The searcher on a real store, real files and, where vectors are asked, the real model.

use std::collections::HashMap;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::chunk::{ChunkOptions, chunk};
use crate::embed::{LocalEmbedder, ModelOptions, ModelSource, leg_fingerprint};
use crate::id::VectorKey;
use crate::language::Language;
use crate::lexical;
use crate::path::RepoPath;
use crate::store::{Batch, CollectionKind, EmbeddedStore, Filter, StoreError};
use crate::tenant::{Router, TenantContext};
use crate::textify::textify;

/// A folder of files, indexed.
struct Indexed {
    folder: TempDir,
    root: AbsPath,
    database: Database,
    collection: CollectionName,
}

const FILES: &[(&str, &str)] = &[
    (
        "src/retry.rs",
        "/// Waits longer after each failure.\npub fn backoff_delay(attempt: u32) -> u64 {\n    100 << attempt\n}\n",
    ),
    (
        "src/parser.rs",
        "pub struct RequestParser {\n    buffer: Vec<u8>,\n}\n\nimpl RequestParser {\n    /// Reads a request line.\n    pub fn parse_line(&mut self) -> usize {\n        self.buffer.len()\n    }\n}\n",
    ),
    (
        "tests/parser.rs",
        "#[test]\nfn request_parser_reads() {\n    let parser = RequestParser::default();\n    assert_eq!(parser.parse_line(), 0);\n}\n",
    ),
    ("tool.py", "def backoff(delay):\n    return delay * 2\n"),
];

fn indexed(files: &[(&str, &str)], embedder: Option<&mut LocalEmbedder>) -> Indexed {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = AbsPath::new(folder.path().canonicalize().expect("exists").join("tree")).expect("absolute");
    let router = Router::new(Arc::new(EmbeddedStore::new(&folder.path().join("data"))));
    let tenant = TenantContext::local(root.as_path()).expect("a tenant");
    let database = router.database(&tenant).expect("a database");
    let collection = tenant.code_collection(root.as_path()).expect("a name");
    let leg = embedder.as_ref().map(|e| (leg_fingerprint(e.fingerprint(), "textify-1"), e.dimension()));
    let schema = Schema {
        kind: CollectionKind::Codebase,
        legs: [leg, None],
        source: root.as_path().as_os_str().as_encoded_bytes().to_vec(),
    };
    database.create(&collection, &schema).expect("created");
    let mut batch = Batch::default();
    let mut texts: HashMap<VectorKey, String> = HashMap::new();
    for (path, content) in files {
        let place = root.as_path().join(path);
        std::fs::create_dir_all(place.parent().expect("has one")).expect("created");
        std::fs::write(place, content).expect("written");
        let path = RepoPath::new(*path).expect("well-formed");
        let language = Language::of(&path);
        let count = |text: &str| text.len() / 4;
        let options = ChunkOptions { count_tokens: &count, max_tokens: 256, max_file_bytes: 1 << 20 };
        let chunked = chunk(&path, language, content.as_bytes(), &options).expect("text");
        for (ordinal, chunk) in (0..).zip(chunked.chunks) {
            let text = textify(language, &chunk);
            let key = VectorKey::of(&text);
            texts.insert(key, text);
            batch.upsert.push(Point {
                id: PointId::new(path.as_bytes(), "", ordinal, &chunk.hash),
                path: path.clone(),
                language,
                kind: chunk.kind.to_owned(),
                terms: lexical::chunk_terms(&path, &chunk),
                bytes: chunk.bytes,
                lines: chunk.lines,
                hash: chunk.hash,
                symbol: chunk.symbol,
                container: chunk.container,
                signature: chunk.signature,
                text: chunk.text,
                vectors: [embedder.is_some().then_some(key), None],
                attributes: Default::default(),
                time: None,
            });
        }
    }
    if let Some(embedder) = embedder {
        for (key, text) in texts {
            batch.vectors.push((Leg::Text, key, embedder.embed(&text).expect("embedded")));
        }
    }
    database.apply(&collection, batch).expect("applied");
    Indexed { folder, root, database, collection }
}

impl Indexed {
    fn place(&self) -> Place<'_> {
        Place { database: &self.database, collection: &self.collection, root: &self.root }
    }

    fn ask(&self, request: &Request) -> Result<Answer, SearchError> {
        self.ask_with(None, request)
    }

    fn ask_with(
        &self,
        embedder: Option<&mut LocalEmbedder>,
        request: &Request,
    ) -> Result<Answer, SearchError> {
        let models = embedder.into_iter().map(|embedder| Ok(embedder as &mut dyn Embedder)).collect();
        Searcher::new(vec![self.place()], models).search(request)?.or_error()
    }

    fn write(&self, path: &str, content: &str) {
        std::fs::write(self.root.as_path().join(path), content).expect("written");
    }
}

fn request(query: &str, limit: usize, mode: Mode) -> Request {
    Request { query: query.to_owned(), limit, mode, filter: Filter::default() }
}

fn places(answer: &Answer) -> Vec<String> {
    answer.hits.iter().map(|hit| format!("{}:{}", hit.path, hit.lines.0)).collect()
}

fn state(answer: &Answer, leg: LegName) -> &LegState {
    &report(answer).legs.iter().find(|(name, _)| *name == leg).expect("every leg is told").1
}

fn report(answer: &Answer) -> &PlaceReport {
    answer.places[0].as_ref().expect("it was searched")
}

/// The installed model, where `indexer model install` puts it.
fn model() -> LocalEmbedder {
    let settings = crate::config::load(&crate::config::Flags::default()).expect("a configuration");
    let root = settings.embed.model_dir;
    let options = ModelOptions { root, source: ModelSource::Packages, runtime: None, threads: 1 };
    LocalEmbedder::open(&options).expect("`indexer model install` before the tests")
}

#[test]
fn a_name_is_found_where_it_is_defined() {
    let index = indexed(FILES, None);
    let answer = index.ask(&request("RequestParser", 10, Mode::Lexical)).expect("an answer");
    let hit = &answer.hits[0];
    assert_eq!(places(&answer)[0], "src/parser.rs:1");
    assert_eq!(answer.kind, QueryKind::Symbol);
    assert!(hit.reasons.contains(&super::super::Reason::Symbol), "{hit:?}");
    assert!(hit.legs.contains(&(LegName::Lexical, 1)), "{hit:?}");
    assert!(hit.snippet.text.contains("pub struct RequestParser"), "{hit:?}");
    assert!(answer.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert_eq!((answer.dropped, answer.repaired), (0, 0));
    assert_eq!(state(&answer, LegName::Dense(Leg::Text)), &LegState::Off);
}

#[test]
fn filters_restrict() {
    let index = indexed(FILES, None);
    let mut request = request("backoff delay", 10, Mode::Hybrid);
    request.filter.languages = vec![Language::Python];
    assert_eq!(places(&index.ask(&request).expect("an answer")), ["tool.py:1"]);
    request.filter = Filter { paths: vec!["src".to_owned()], ..Filter::default() };
    assert_eq!(places(&index.ask(&request).expect("an answer")), ["src/retry.rs:1"]);
}

#[test]
fn text_that_moved_is_shown_where_it_is_now() {
    let index = indexed(FILES, None);
    let (path, content) = FILES[0];
    index.write(path, &format!("//! Retries.\n\nuse std::time;\n\n{content}"));
    let answer = index.ask(&request("backoff_delay", 1, Mode::Lexical)).expect("an answer");
    let hit = &answer.hits[0];
    assert_eq!((hit.path.to_string(), hit.lines, hit.repaired), (path.to_owned(), (5, 8), true));
    assert_eq!(hit.snippet.lines.0, 5);
    assert_eq!((answer.dropped, answer.repaired), (0, 1));
}

#[test]
fn text_that_is_gone_is_dropped_and_the_next_hit_takes_its_place() {
    let index = indexed(FILES, None);
    index.write(FILES[0].0, "pub fn other() {}\n");
    let answer = index.ask(&request("backoff_delay", 1, Mode::Lexical)).expect("an answer");
    assert_eq!(places(&answer), ["tool.py:1"]);
    assert_eq!(answer.dropped, 1);
    std::fs::remove_file(index.root.as_path().join("tool.py")).expect("removed");
    let answer = index.ask(&request("backoff_delay", 1, Mode::Lexical)).expect("an answer");
    assert!(answer.hits.iter().all(|hit| hit.path.to_string() != "tool.py"), "{answer:?}");
    assert!(answer.dropped >= 2, "{answer:?}");
    std::fs::remove_dir_all(index.folder.path().join("tree")).expect("removed");
    assert_eq!(index.ask(&request("backoff_delay", 9, Mode::Lexical)).expect("an answer").hits, []);
}

#[test]
fn what_cannot_be_answered_says_why() {
    let index = indexed(FILES, None);
    for empty in ["", "  \n"] {
        assert!(matches!(index.ask(&request(empty, 1, Mode::Hybrid)), Err(SearchError::EmptyQuery)));
    }
    let error = index.ask(&request("x", 1, Mode::Dense)).expect_err("no dense leg");
    assert!(error.to_string().contains("--mode lexical"), "{error}");
    let missing = CollectionName::new("none").expect("a name");
    let place = Place { collection: &missing, ..index.place() };
    let answer = Searcher::new(vec![place], Vec::new()).search(&request("x", 1, Mode::Lexical));
    let error = answer.expect("an answer").or_error().expect_err("no collection");
    assert!(matches!(error, SearchError::Store(StoreError::NotFound { .. })), "{error}");
    let nothing = index.ask(&request("zzzyx quux", 5, Mode::Hybrid)).expect("an answer");
    assert_eq!(nothing.hits, []);
}

#[test]
fn dense_legs_answer_or_tell_why_not() {
    let mut model = model();
    let index = indexed(FILES, Some(&mut model));
    let text = LegName::Dense(Leg::Text);

    // No word in common: only meaning finds it.
    let by_meaning = request("reads what a client asks for from its input", 2, Mode::Dense);
    let answer = index.ask_with(Some(&mut model), &by_meaning).expect("an answer");
    assert!(places(&answer)[0].starts_with("src/parser.rs"), "{answer:?}");
    assert!(answer.hits[0].legs.iter().any(|(leg, _)| *leg == text), "{answer:?}");
    let coverage = report(&answer).dense[0].expect("a text leg");
    assert!(coverage.vectors > 0 && coverage.points >= coverage.vectors, "{coverage:?}");

    let hybrid = request("backoff_delay", 5, Mode::Hybrid);
    let answer = index.ask(&hybrid).expect("an answer");
    assert!(matches!(state(&answer, text), LegState::Unavailable(why) if why.contains("model install")));
    assert!(!answer.hits.is_empty());
    assert!(matches!(index.ask(&by_meaning), Err(SearchError::NoDense { .. })));

    let long = request(&"backoff delay ".repeat(280), 5, Mode::Hybrid);
    let answer = index.ask_with(Some(&mut model), &long).expect("an answer");
    assert!(
        matches!(state(&answer, text), LegState::Unavailable(why) if why.contains("tokens")),
        "{answer:?}"
    );
    assert!(!answer.hits.is_empty());
}

#[test]
fn vectors_of_another_model_are_not_asked() {
    let model = |text: &str| Fingerprint(text.to_owned());
    let leg = model("minilm@1f;384;mean;512;textify-1");
    for (name, same) in [("minilm@1f;384;mean;512", true), ("minilm@1f;384;mean;51", false), ("other", false)]
    {
        assert_eq!(is_of_model(&leg, &model(name)), same, "{name}");
    }
}

#[test]
fn several_places_are_one_ranking_and_a_broken_one_is_told_beside_them() {
    let mut model = model();
    let about_retries = indexed(FILES, Some(&mut model));
    let about_birds = indexed(
        &[
            ("src/bird.rs", "/// Sings.\npub fn sing() {}\n"),
            (
                "src/nest.rs",
                "/// Keeps eggs warm for a while.\npub fn brood(eggs: u32) -> u32 {\n    eggs\n}\n",
            ),
        ],
        Some(&mut model),
    );
    // The same files at the same paths: a second worktree.
    let twin = indexed(FILES, Some(&mut model));
    let missing = CollectionName::new("none").expect("a name");
    let broken = Place { collection: &missing, ..about_birds.place() };
    let places = vec![about_birds.place(), broken, about_retries.place(), twin.place()];
    let question = request("how long to wait after a failure", 4, Mode::Hybrid);
    let answer = Searcher::new(places, vec![Ok(&mut model)]).search(&question).expect("an answer");
    let found: Vec<(usize, String)> =
        answer.hits.iter().map(|hit| (hit.place, hit.path.to_string())).collect();
    assert_eq!(found[0], (2, "src/retry.rs".to_owned()), "{found:?}");
    assert!(found.iter().all(|(place, _)| *place != 3), "the twin's are the same chunks: {found:?}");
    assert!(found.iter().any(|(place, _)| *place == 0), "{found:?}");
    assert!(answer.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    let reports: Vec<bool> = answer.places.iter().map(Result::is_ok).collect();
    assert_eq!(reports, [true, false, true, true]);
    let error = answer.places[1].as_ref().expect_err("it is not there");
    assert!(matches!(error, SearchError::Store(StoreError::NotFound { .. })), "{error}");

    // One place among others answers as it does alone.
    let alone = about_retries.ask_with(Some(&mut model), &question).expect("an answer");
    assert_eq!(alone.hits[0].path, answer.hits[0].path);
    assert!(alone.hits[0].score >= answer.hits[0].score);
    let none = Searcher::new(vec![broken], Vec::new()).search(&question).expect("an answer").or_error();
    assert!(none.is_err());
}

#[test]
fn marks_of_a_query_decide() {
    let index = indexed(FILES, None);
    let first = |query: &str| {
        let answer = index.ask(&request(query, 10, Mode::Lexical)).expect("an answer");
        answer.hits.first().map(|hit| hit.path.to_string())
    };
    let cases = [
        ("backoff", Some("tool.py")),
        ("backoff lang:rust", Some("src/retry.rs")),
        ("backoff -lang:python", Some("src/retry.rs")),
        ("parse_line path:tests", Some("tests/parser.rs")),
        ("parse_line -path:src -path:tests", None),
        ("thread 'main' panicked at /home/x/repo/src/retry.rs:3:5:\nattempt to shift", Some("src/retry.rs")),
        ("parser.rs:2", Some("src/parser.rs")),
        ("bakcoff_delay", Some("src/retry.rs")),
    ];
    for (query, path) in cases {
        assert_eq!(first(query).as_deref(), path, "{query}");
    }
    let answer = index.ask(&request("bakcoff", 10, Mode::Lexical)).expect("an answer");
    assert_eq!(answer.respelled, [("bakcoff".to_owned(), "backoff".to_owned())]);
    // What is deleted spells nothing, whether or not its segment was merged away.
    let gone: Vec<PointId> = answer.hits.iter().map(|hit| hit.id).collect();
    index.database.apply(&index.collection, Batch { delete: gone, ..Batch::default() }).expect("applied");
    let answer = index.ask(&request("bakcoff", 10, Mode::Lexical)).expect("an answer");
    assert_eq!(answer.respelled, []);
    let refused = index.ask(&request("backoff lang:klingon", 10, Mode::Lexical));
    assert!(matches!(refused, Err(SearchError::Operator(_))), "{refused:?}");
}

#[test]
fn neighbours_are_shown_as_one_as_far_as_they_still_touch() {
    let part = |name: &str| {
        format!("/// Opens the {name} valve.\npub fn open_{name}_valve() {{\n    valve();\n}}\n")
    };
    let content = [part("first"), part("second"), part("third")].join("\n");
    let index = indexed(&[("src/valves.rs", content.as_str())], None);
    let ask =
        || index.ask(&request("Fix the valve that does not open", 10, Mode::Lexical)).expect("an answer");
    let whole = ask();
    assert_eq!(whole.hits.len(), 1, "{:?}", places(&whole));
    let hit = &whole.hits[0];
    assert_eq!(hit.lines, (1, 14));
    assert_eq!(&content[hit.bytes.start as usize..hit.bytes.end as usize].trim_end(), &hit.text.trim_end());

    // The second is gone from the disk: the others no longer touch.
    index.write("src/valves.rs", &[part("first"), "fn other() {}\n".to_owned(), part("third")].join("\n"));
    let rest = ask();
    assert!(rest.dropped > 0);
    for hit in &rest.hits {
        assert!(!hit.text.contains("second") && !hit.text.contains("other"), "{}", hit.text);
    }
}
