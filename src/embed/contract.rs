//! The contract of [`Embedder`] as functions over any implementation, run here on the
//! installed model; the token counter held to the tokenizer; and installation
//! without a network.

use half::f16;
use proptest::prelude::*;

use super::*;

/// Texts of every kind and length that the model takes.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        "a",
        "function parse manifest: reads a Cargo.toml and resolves its dependencies",
        "fn main() { println!(\"{}\", 1 + 2); }",
        "naïve café — 日本語 🦀 \u{0} control",
    ]
    .map(str::to_owned)
    .into();
    texts.extend([60, 250, 500].map(|words| "word ".repeat(words)));
    texts
}

/// A vector is a function of its text, of unit length, and survives binary16.
pub(super) fn vectors_keep_the_contract(embedder: &mut dyn Embedder) {
    let texts = texts();
    let first: Vec<Vec<f32>> = texts
        .iter()
        .map(|text| embedder.embed(text).unwrap_or_else(|error| panic!("{text:?}: {error}")))
        .collect();
    for (text, vector) in texts.iter().zip(&first).rev() {
        assert_eq!(&embedder.embed(text).expect("embedded again"), vector, "in another order: {text:?}");
        assert_eq!(vector.len(), embedder.dimension());
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-3, "length {length} of {text:?}");
        assert!(vector.iter().all(|x| f16::from_f32(*x).to_f32() == *x), "not binary16: {text:?}");
    }
}

/// What is too long is refused, at the limit exactly.
pub(super) fn nothing_is_truncated(embedder: &mut dyn Embedder) {
    let limit = embedder.max_tokens();
    let mut text = String::new();
    while embedder.count_tokens(&text) < limit {
        text.push_str("word ");
    }
    assert_eq!(embedder.count_tokens(&text), limit);
    embedder.embed(&text).expect("at the limit");
    text.push_str("word");
    match embedder.embed(&text) {
        Err(EmbedError::TooLong { tokens, limit: named }) => assert_eq!((tokens, named), (limit + 1, limit)),
        other => panic!("over the limit: {other:?}"),
    }
}

/// Near in meaning is near in space.
fn meaning_is_kept(embedder: &mut dyn Embedder) {
    let mut embed = |text: &str| embedder.embed(text).expect(text);
    let question = embed("how do we wait between failed attempts");
    let near = embed("method backoff: waits longer after each retry");
    let far = embed("class color palette: renders the icons of the toolbar");
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    assert!(cosine(&question, &near) > cosine(&question, &far) + 0.2);
}

/// The models that the user or `INDEXER_MODEL_DIR` has installed.
pub(crate) fn model_options(threads: usize) -> ModelOptions {
    let settings = crate::config::load(&crate::config::Flags::default()).expect("a configuration");
    ModelOptions { root: settings.embed.model_dir, source: ModelSource::Packages, runtime: None, threads }
}

fn installed() -> LocalEmbedder {
    LocalEmbedder::open(&model_options(1))
        .expect("the tests need the model: run scripts/test, or `indexer model install`")
}

#[test]
fn the_installed_model_keeps_the_contract() {
    let mut embedder = installed();
    vectors_keep_the_contract(&mut embedder);
    nothing_is_truncated(&mut embedder);
    meaning_is_kept(&mut embedder);
    let counter = TokenCounter::open(&model_options(1)).expect("the tokenizer");
    for text in texts() {
        assert_eq!(counter.count(&text), embedder.count_tokens(&text), "{text:?}");
    }
}

#[test]
fn threads_do_not_change_a_vector() {
    let (mut one, mut two) = (installed(), LocalEmbedder::open(&model_options(2)).expect("installed"));
    for text in texts() {
        assert_eq!(one.embed(&text).expect("one"), two.embed(&text).expect("two"), "{text:?}");
    }
}

#[test]
fn what_is_not_installed_says_how_to_install_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = ModelOptions { root: dir.path().to_owned(), ..model_options(1) };
    let error = LocalEmbedder::open(&options).err().expect("nothing is there").to_string();
    assert!(error.contains("indexer model install"), "{error}");
    let error = ModelInfo::open(&options).err().expect("nothing is there").to_string();
    assert!(error.contains("indexer model install"), "{error}");
}

#[test]
fn a_runtime_that_is_none_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().expect("a directory");
    let library = dir.path().join("libonnxruntime.so");
    std::fs::write(&library, "not a library").expect("written");
    let options = ModelOptions { runtime: Some(library.clone()), ..model_options(1) };
    let error = LocalEmbedder::open(&options).err().expect("no runtime").to_string();
    assert!(error.contains(&library.display().to_string()), "{error}");
}

#[test]
fn a_damaged_model_is_found_by_its_size_and_by_status() {
    let dir = tempfile::tempdir().expect("a directory");
    let from = model_options(1);
    copy(&from.root, dir.path());
    // A process holds one runtime: the copy uses the one that the other tests use.
    let runtime = Some(install::runtime_library(&from).expect("installed"));
    let options = ModelOptions { root: dir.path().to_owned(), runtime, ..from };
    assert!(status(&options).check.is_ok());
    let graph = dir.path().join("all-minilm-l6-v2-1/model.onnx");
    let mut bytes = std::fs::read(&graph).expect("the graph");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&graph, &bytes).expect("flipped");
    assert!(status(&options).model.is_err(), "status reads every byte");
    std::fs::write(&graph, &bytes[..middle]).expect("cut");
    let error = LocalEmbedder::open(&options).err().expect("cut").to_string();
    assert!(error.contains("model.onnx") && error.contains("indexer model install"), "{error}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

fn counter() -> &'static (TokenCounter, tokenizers::Tokenizer) {
    static COUNTER: std::sync::OnceLock<(TokenCounter, tokenizers::Tokenizer)> = std::sync::OnceLock::new();
    COUNTER.get_or_init(|| {
        let counter =
            TokenCounter::open(&model_options(1)).expect("the tests need the model: `indexer model install`");
        let mut tokenizer = tokenizers::Tokenizer::from_file(counter.path()).expect("a tokenizer");
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).expect("no truncation");
        (counter, tokenizer)
    })
}

fn assert_counts(text: &str) {
    let (counter, tokenizer) = counter();
    let expected = tokenizer.encode(text, true).expect("encoded").len();
    assert_eq!(counter.count(text), expected, "{text:?}");
}

#[test]
fn tokens_are_counted_as_the_tokenizer_counts_them_on_source() {
    for text in
        [include_str!("tokens.rs"), include_str!("../redact/tests.rs"), include_str!("../../README.md")]
    {
        text.lines().for_each(assert_counts);
        assert_counts(text);
    }
    for special in ["[CLS] a [SEP]", "[MASK]ed", "x[UNK]", "[PAD", "[cls]"] {
        assert_counts(special);
    }
}

proptest! {
    #[test]
    fn tokens_are_counted_as_the_tokenizer_counts_them(text in "\\PC{0,80}|[ -~\\n\\t]{0,200}|.{0,60}") {
        assert_counts(&text);
    }
}
