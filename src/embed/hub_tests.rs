//! Models of a hub: pinned by their first download, mended, never fetched at load.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::embed::contract::model_options;
use crate::embed::install::{model_lock_path, runtime_library};
use crate::embed::{Embedder, LocalEmbedder, ModelOptions, ModelSource, install};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub over loopback with the files of the installed model: answers as the real
/// one does to a request for a range. Returns its address and a count of requests.
fn hub(files: HashMap<String, Vec<u8>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            let mut range = (0, usize::MAX);
            for line in lines.map(Result::unwrap).take_while(|line| !line.is_empty()) {
                if let Some(asked) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                    let (from, to) = asked.split_once('-').unwrap();
                    range = (from.parse().unwrap(), to.parse().unwrap_or(usize::MAX));
                }
            }
            counted.fetch_add(1, Ordering::Relaxed);
            let path = request.split(' ').nth(1).unwrap();
            let content = path.split_once("/resolve/").and_then(|(_, rest)| {
                let (revision, name) = rest.split_once('/')?;
                files.get(name).filter(|_| revision == "main" || revision == COMMIT)
            });
            let Some(content) = content else {
                let _ = stream
                    .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                continue;
            };
            let end = range.1.saturating_add(1).min(content.len());
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\ncontent-range: bytes {}-{}/{}\r\n\
                 etag: \"{}\"\r\nx-repo-commit: {COMMIT}\r\nconnection: close\r\n\r\n",
                end - range.0,
                range.0,
                end - 1,
                content.len(),
                blake3::hash(content).to_hex(),
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&content[range.0..end]);
        }
    });
    (address, requests)
}

fn files_of_the_model() -> HashMap<String, Vec<u8>> {
    let lock = model_lock_path(&model_options(1));
    let read = |name: &str| {
        std::fs::read(lock.with_file_name(name))
            .unwrap_or_else(|error| panic!("{name}: {error}; run `indexer model install`"))
    };
    HashMap::from([
        ("model.onnx".to_owned(), read("model.onnx")),
        ("tokenizer.json".to_owned(), read("tokenizer.json")),
        ("config.json".to_owned(), br#"{"pad_token_id": 0, "max_position_embeddings": 512}"#.to_vec()),
        ("special_tokens_map.json".to_owned(), b"{}".to_vec()),
        ("tokenizer_config.json".to_owned(), br#"{"model_max_length": 300, "pad_token": "[PAD]"}"#.to_vec()),
    ])
}

fn options(root: &Path, endpoint: &str) -> ModelOptions {
    ModelOptions {
        root: root.to_owned(),
        source: ModelSource::Hub { model: "AllMiniLML6V2".to_owned(), endpoint: Some(endpoint.to_owned()) },
        runtime: Some(runtime_library(&model_options(1)).unwrap_or_else(|error| panic!("{error}"))),
        threads: 1,
    }
}

#[test]
fn a_model_of_the_hub_is_pinned_by_its_first_download() {
    let root = tempfile::tempdir().unwrap();
    let (address, requests) = hub(files_of_the_model());
    let options = options(root.path(), &address);
    let installed = install(&options, &mut |_| {}).unwrap();
    assert_eq!(installed.made.len(), 1);
    let asked = requests.load(Ordering::Relaxed);

    let again = install(&options, &mut |_| {}).unwrap();
    assert!(again.made.is_empty());
    let mut model = LocalEmbedder::open(&options).unwrap();
    // What the model states bounds a text, below our own limit.
    assert_eq!((model.dimension(), model.max_tokens()), (384, 300));
    assert_eq!(model.lock().revision, COMMIT);
    assert_eq!(model.embed("a text").unwrap().len(), 384);
    assert_eq!(requests.load(Ordering::Relaxed), asked, "a load or a second run reached for the hub");

    let lock = ModelLock::read(&model_lock_path(&options), "model").unwrap();
    let graph = root.path().join("hub").join(&lock.file(Role::Graph).unwrap().path);
    std::fs::write(graph, "cut").unwrap();
    let error = LocalEmbedder::open(&options).err().expect("damaged").to_string();
    assert!(error.contains("indexer model install"), "{error}");
    let mended = install(&options, &mut |_| {}).unwrap();
    assert_eq!((mended.made.len(), &mended.fingerprint), (1, &installed.fingerprint));
    assert!(
        model.embed("a text").unwrap() == LocalEmbedder::open(&options).unwrap().embed("a text").unwrap()
    );
}

#[test]
fn models_of_the_hub_get_the_prompts_of_their_cards() {
    let prompts = |name: &str| {
        let Prompts { query, document } = known_prompts(&name.parse().expect("a name of fastembed's"));
        [query, document]
    };
    assert_eq!(prompts("MultilingualE5Small"), ["query: ", "passage: "]);
    assert_eq!(prompts("BGESmallENV15"), ["Represent this sentence for searching relevant passages: ", ""]);
    assert_eq!(prompts("JinaEmbeddingsV2BaseCode"), ["", ""]);
}

#[test]
fn a_hub_that_does_not_deliver_is_named() {
    let mut files = files_of_the_model();
    files.remove("config.json");
    let (lacking, _) = hub(files);
    for (endpoint, file) in [("http://127.0.0.1:1", "model.onnx"), (&lacking, "config.json")] {
        let root = tempfile::tempdir().unwrap();
        let error = install(&options(root.path(), endpoint), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains(endpoint) && error.contains(file) && error.contains("mirror"), "{error}");
    }
}
