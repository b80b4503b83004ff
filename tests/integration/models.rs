//! A model is changed while the former one answers: real models, a real store, the whole way.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contextd_indexer::config::{self, Flags, ModelSettings, Settings};
use contextd_indexer::embed::{self, Leg};
use contextd_indexer::engine::{Engine, Workspace, model_options};
use contextd_indexer::index::{
    ByteCounts, ChunkCounts, FileCounts, Outcome, Progress, Run, Scope, Timing, VectorCounts,
};
use contextd_indexer::search::{LegName, LegState, Mode, Request};

use crate::harness::Sandbox;

/// Functions, each in a file of its own.
const FILES: u64 = 12;

/// Settings with a folder of models of their own, in which the installed ones are linked.
fn settings(sandbox: &Sandbox) -> Settings {
    std::fs::write(sandbox.path("empty.toml"), "").expect("a file");
    let flags = Flags { config: Some(sandbox.path("empty.toml")), data_dir: Some(sandbox.data_dir()) };
    let mut settings = config::load(&flags).expect("settings");
    let models = sandbox.path("models");
    std::fs::create_dir(&models).expect("a directory");
    let installed = std::fs::read_dir(&settings.embed.model_dir);
    for entry in installed.expect("`indexer model install` before the tests") {
        let entry = entry.expect("read");
        if entry.path().is_dir() {
            std::os::unix::fs::symlink(entry.path(), models.join(entry.file_name())).expect("a link");
        }
    }
    settings.embed.model_dir = models;
    settings
}

/// The packaged model, but for how it makes one vector of many: other vectors of the same texts.
fn other_model(sandbox: &Sandbox, settings: &Settings) -> PathBuf {
    let folder = sandbox.path("by-first-token");
    std::fs::create_dir_all(folder.join("1_Pooling")).expect("a directory");
    let packaged = settings.embed.model_dir.join("all-minilm-l6-v2-1");
    for file in ["model.onnx", "tokenizer.json"] {
        std::fs::copy(packaged.join(file), folder.join(file)).expect("a copy");
    }
    let pooling = r#"{"pooling_mode_cls_token": true}"#;
    std::fs::write(folder.join("1_Pooling/config.json"), pooling).expect("a file");
    folder
}

fn repository(sandbox: &Sandbox) -> PathBuf {
    let tree = sandbox.path("repository");
    sandbox.git(&sandbox.path(""), &["init", "-q", "repository"]);
    let subjects = ["files", "sockets", "clocks", "queues", "locks", "trees"];
    for number in 0..FILES {
        let subject = subjects[number as usize % subjects.len()];
        let text =
            format!("/// Opens {subject} and waits for {number}.\npub fn open_{subject}_{number}() {{}}\n");
        std::fs::write(tree.join(format!("part_{number}.rs")), text).expect("a file");
    }
    tree
}

fn open(settings: &Settings, tree: &Path) -> Workspace {
    Arc::new(Engine::new(settings.clone()).expect("an engine")).open(tree).expect("a worktree")
}

/// A run that is ended when `most` vectors are there; without times, and without what depends
/// on how long ago the files were written.
fn run(workspace: &Workspace, most: u64) -> Outcome {
    let outcome = workspace.run(Run::default(), Some(Scope::All), &mut |progress| match progress {
        Progress::Vectors { done, .. } if done >= most => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let outcome = outcome.expect("a run");
    let FileCounts { unchanged, touched, parsed, .. } = outcome.files;
    assert_eq!((unchanged + touched, parsed), (FILES, 0), "no file is parsed for a model");
    Outcome {
        files: FileCounts { unchanged: FILES, read: 0, touched: 0, ..outcome.files },
        bytes: ByteCounts::default(),
        commits: 0,
        timing: Timing::default(),
        ..outcome
    }
}

fn expected(of: &Outcome, vectors: VectorCounts, interrupted: bool) -> Outcome {
    Outcome {
        collection: of.collection.clone(),
        full: None,
        head: of.head.clone(),
        files: FileCounts { listed: FILES, unchanged: FILES, ..FileCounts::default() },
        chunks: ChunkCounts { total: FILES, ..ChunkCounts::default() },
        vectors: [Some(vectors), None],
        bytes: ByteCounts::default(),
        commits: 0,
        unreadable_directories: 0,
        interrupted,
        timing: Timing::default(),
    }
}

fn ask(workspace: &Workspace, mode: Mode) -> (Vec<(String, f32)>, LegState) {
    let query = "wait for a lock".to_owned();
    let answer =
        workspace.search(&Request { query, limit: 20, mode, ..Request::default() }).expect("an answer");
    let hits = answer.hits.iter().map(|hit| (hit.path.to_string(), hit.score)).collect();
    let legs = &answer.places[0].as_ref().expect("searched").legs;
    let dense = legs.iter().find(|(leg, _)| *leg == LegName::Dense(Leg::Text));
    (hits, dense.expect("every leg is told").1.clone())
}

#[test]
fn the_former_model_answers_until_the_vectors_of_the_new_one_are_all_there() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    let former = settings(&sandbox);
    let workspace = open(&former, &tree);
    let first = workspace.run(Run::default(), Some(Scope::All), &mut |_| ControlFlow::Continue(()));
    assert_eq!(first.expect("a run").files.parsed, FILES);
    let before = ask(&workspace, Mode::Dense);
    assert_eq!(before.0.len() as u64, FILES);

    let mut changed = former.clone();
    changed.embed.text = ModelSettings::Local(other_model(&sandbox, &former));
    // Named, and not installed yet: nothing is lost by it.
    let workspace = open(&changed, &tree);
    assert_eq!(ask(&workspace, Mode::Dense), before);
    let error =
        workspace.run(Run::default(), None, &mut |_| ControlFlow::Continue(())).expect_err("no model");
    assert!(error.to_string().contains("indexer model install"), "{error}");
    embed::install(&model_options(&changed.embed, &changed.embed.text), &mut |_| {}).expect("installed");

    let workspace = open(&changed, &tree);
    let cut = run(&workspace, FILES / 2);
    let replaces = cut.vectors[0].as_ref().and_then(|vectors| vectors.replaces.clone());
    assert!(replaces.as_ref().is_some_and(|former| former.starts_with("all-minilm-l6-v2@")), "{replaces:?}");
    let half = VectorCounts {
        needed: FILES,
        embedded: FILES / 2,
        pending: FILES / 2,
        replaces: replaces.clone(),
        ..VectorCounts::default()
    };
    assert_eq!(cut, expected(&cut, half, true));
    assert_eq!(ask(&workspace, Mode::Dense), before);
    let freshness = workspace.freshness().expect("read").expect("indexed");
    assert_eq!((freshness.vectors[0], &freshness.replaces[0]), (Some((FILES / 2, FILES)), &replaces));

    // Without the former model words answer, and it is said why nothing else does.
    let link = changed.embed.model_dir.join("all-minilm-l6-v2-1");
    let target = std::fs::read_link(&link).expect("a link");
    std::fs::remove_file(&link).expect("removed");
    let (hits, state) = ask(&open(&changed, &tree), Mode::Hybrid);
    assert!(!hits.is_empty());
    assert!(matches!(&state, LegState::Unavailable(why) if why.contains("is not installed")), "{state:?}");
    std::os::unix::fs::symlink(target, link).expect("a link");

    let done = run(&workspace, u64::MAX);
    let whole = VectorCounts {
        needed: FILES,
        cache_hits: FILES / 2,
        embedded: FILES - FILES / 2,
        ..VectorCounts::default()
    };
    assert_eq!(done, expected(&done, whole, false));
    let after = ask(&workspace, Mode::Dense);
    assert_ne!(after.0, before.0);
    // What an index has that never had another model.
    let mut fresh = changed.clone();
    fresh.data_dir = sandbox.path("fresh");
    let workspace = open(&fresh, &tree);
    let whole = workspace.run(Run::default(), Some(Scope::All), &mut |_| ControlFlow::Continue(()));
    assert_eq!(whole.expect("a run").vectors[0].as_ref().map(|vectors| vectors.embedded), Some(FILES));
    assert_eq!(ask(&workspace, Mode::Dense), after);
}
