#!/usr/bin/env python3
"""How long after a save is an edit found? And with a cold index being built beside it?

A daemon keeps a clone of a repository. Again and again a function with a new name is put
into a random file of code, and the daemon's socket is asked until the name is found: first by its
words, then until the run is over and no vector is missing. Wall time from the write to the answer that has it, the
asking included. The same with the index of a second repository being built meanwhile.

    benches/latency.py --repository CLONE [--other CLONE] [--edits 200] [--indexer PROGRAM]

Prints a histogram for each series and writes the numbers to benches/results/.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SUFFIXES = {".rs": "fn {0}() -> u32 {{\n    {1}\n}}\n", ".go": "func {0}() int {{\n\treturn {1}\n}}\n",
            ".py": "def {0}():\n    return {1}\n", ".ts": "export function {0}() {{\n  return {1};\n}}\n"}
BUCKETS = [50, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000, 5000]


class Daemon:
    """A connection to the daemon's socket."""

    def __init__(self, data_dir):
        self.path = data_dir / "run" / "daemon.sock"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(self.path))
        self.lines = self.socket.makefile("r")

    def ask(self, request):
        self.socket.sendall((json.dumps({"protocol": 1, "request": request}) + "\n").encode())
        while True:
            reply = json.loads(self.lines.readline())
            if "progress" not in reply:
                return reply

    def status(self):
        return self.ask({"op": "status"})["status"]

    def search(self, root, query, mode):
        reply = self.ask({"op": "search", "worktree": str(root), "query": query, "limit": 30, "mode": mode,
                          "paths": [], "languages": [], "kinds": [], "wait_ms": None})
        if "answer" not in reply:
            raise SystemExit(f"the daemon answered {reply}")
        return reply["answer"]


def code_files(root):
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True).stdout
    files = [root / name.decode() for name in listed.split(b"\0") if name]
    return [path for path in files
            if path.suffix in SUFFIXES and path.is_file() and not path.is_symlink()
            and path.stat().st_size < 200_000]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def histogram(values):
    counts, before = {}, 0
    for bound in BUCKETS:
        counts[f"<= {bound} ms"] = sum(1 for value in values if before < value <= bound)
        before = bound
    counts[f"> {BUCKETS[-1]} ms"] = sum(1 for value in values if value > BUCKETS[-1])
    return {name: count for name, count in counts.items() if count}


def edits(daemon, root, count, rng, until=lambda: False):
    """Wall milliseconds of `count` edits: found by words, and with the vector."""
    words, vectors = [], []
    files = code_files(root)
    for number in range(count):
        if until():
            break
        path = rng.choice(files)
        name = f"quokka_{rng.randrange(16 ** 8):08x}_{number}"
        text = path.read_text(errors="surrogateescape")
        edited = text + "\n" + SUFFIXES[path.suffix].format(name, rng.randrange(10 ** 6))
        temporary = path.with_name(path.name + ".saving")
        # As editors save: a new file in the place of the old one, or in place.
        began = time.monotonic()
        if number % 2:
            temporary.write_text(edited, errors="surrogateescape")
            os.replace(temporary, path)
        else:
            path.write_text(edited, errors="surrogateescape")
        found = lambda: any(name in hit["text"] for hit in daemon.search(root, name, "lexical")["hits"])
        while not found():
            if time.monotonic() - began > 60:
                raise SystemExit(f"{name} in {path} was not found in a minute: {daemon.status()}")
        words.append((time.monotonic() - began) * 1000)
        while not filled(daemon, root):
            if time.monotonic() - began > 60:
                raise SystemExit(f"vectors of {path} are missing after a minute: {daemon.status()}")
        vectors.append((time.monotonic() - began) * 1000)
        # People do not save in step with anything.
        time.sleep(rng.random() * 0.5)
    return words, vectors


def filled(daemon, root):
    """Whether no run of this worktree is at work or waits, and the last one left no vector out."""
    status = daemon.status()
    tree = next(tree for tree in status["worktrees"] if tree["root"] == str(root))
    running = status["daemon"]["running"]
    if tree["queued"] or running and running["root"] == str(root):
        return False
    return all(leg["present"] == leg["needed"] for leg in tree["freshness"]["vectors"].values())


def report(name, values):
    p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
    print(f"{name}: {len(values)} edits, p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {max(values):.0f} ms")
    for bucket, count in histogram(values).items():
        print(f"  {bucket:>10} {count:4} {'#' * count}")
    return {"edits": len(values), "p50_ms": round(p50, 1), "p99_ms": round(p99, 1),
            "max_ms": round(max(values), 1), "histogram": histogram(values)}


def settled(daemon, patience):
    """Waits until nothing is left to do."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        status = daemon.status()
        trees = status["worktrees"]
        full = lambda tree: tree["freshness"] and all(
            leg["present"] == leg["needed"] for leg in tree["freshness"]["vectors"].values())
        if trees and not status["daemon"]["running"] and all(tree["indexed"] and full(tree) for tree in trees):
            return
        time.sleep(0.5)
    raise SystemExit(f"not settled: {daemon.status()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repository", type=pathlib.Path, required=True)
    parser.add_argument("--other", type=pathlib.Path)
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--indexer", type=pathlib.Path, default=pathlib.Path("target/release/indexer"))
    parser.add_argument("--vectors-from", type=pathlib.Path, help="an embedding cache to begin with")
    arguments = parser.parse_args()
    indexer = str(arguments.indexer.resolve())
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="latency-") as place:
        place = pathlib.Path(place)
        data_dir, root = place / "data", place / "worktree"
        for source, to in [(arguments.repository, root), (arguments.other, place / "other")]:
            if source:
                subprocess.run(["git", "clone", "-q", str(source), str(to)], check=True)
        if arguments.vectors_from:
            (data_dir / "cache").mkdir(parents=True)
            shutil.copy(arguments.vectors_from, data_dir / "cache")
        environment = {**os.environ, "INDEXER_DATA_DIR": str(data_dir)}
        run = lambda *command: subprocess.run([indexer, *command], check=True, env=environment,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run("add", str(root))
        watch = subprocess.Popen([indexer, "watch"], env=environment, stderr=subprocess.DEVNULL)
        try:
            while not (data_dir / "run" / "daemon.sock").exists():
                time.sleep(0.05)
            daemon = Daemon(data_dir)
            settled(daemon, 1800)
            daemon.search(root, "warm", "hybrid")
            words, vectors = edits(daemon, root, arguments.edits, rng)
            results = {"words": report("found by words", words),
                       "vectors": report("found by its vector too", vectors)}
            if arguments.other:
                run("add", str(place / "other"))
                busy = lambda: daemon.status()["daemon"]["running"] is not None
                deadline = time.monotonic() + 30
                while not busy() and time.monotonic() < deadline:
                    time.sleep(0.05)
                words, vectors = edits(daemon, root, arguments.edits, rng)
                other = next(tree for tree in daemon.status()["worktrees"] if tree["root"].endswith("/other"))
                results["words_beside_backfill"] = report("found by words, beside a cold index", words)
                results["vectors_beside_backfill"] = report("found by its vector too, beside a cold index", vectors)
                results["other_at_end"] = other["freshness"] and other["freshness"]["vectors"]
                print(f"the other worktree at the end: {results['other_at_end']}")
            tree = next(tree for tree in daemon.status()["worktrees"] if tree["root"].endswith("/worktree"))
            results["counters"] = tree["counters"]
            print(tree["counters"])
        finally:
            watch.send_signal(signal.SIGTERM)
            watch.wait(timeout=20)
        commit = lambda at: subprocess.run(["git", "-C", str(at), "rev-parse", "HEAD"], check=True,
                                           capture_output=True, text=True).stdout.strip()
        here = pathlib.Path(__file__).resolve().parent
        date = datetime.datetime.now(datetime.timezone.utc)
        results = {"date": date.isoformat(timespec="seconds"), "machine": platform.platform(),
                   "cores": os.cpu_count(), "load_at_end": os.getloadavg()[0], "indexer": commit(here.parent),
                   "repository": commit(arguments.repository), "seed": arguments.seed, **results}
        target = here / "results" / f"{date:%Y-%m-%d}-latency.json"
        target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
