#!/usr/bin/env python3
"""What does one search over many projects cost, beside a search of the slowest of them?

Makes --projects repositories: the clones given, and small ones out of their folders of
code. Indexes them, breaks --broken of them (an index damaged, an index dropped, a
repository gone, in turn), starts a daemon on the rest, and asks its socket the same
questions again and again: each project alone, and all at once. Wall milliseconds,
the median of --rounds.

    benches/several.py --repository CLONE [--repository CLONE ...] [--projects 50] [--broken 3]
                       [--indexer PROGRAM] [--vectors-from embeddings.sqlite]

Writes the numbers to benches/results/.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from latency import Daemon

QUESTIONS = ["where is the lock file read and parsed", "how is a request retried after a failure",
             "parse a semver requirement", "shell completion of subcommands"]


def repository(place, files):
    """A repository with these (name, source) files."""
    place.mkdir()
    for name, source in files:
        shutil.copy(source, place / name)
    git = ["git", "-C", str(place), "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "files"]):
        subprocess.run(git + command, check=True)
    return place


def slices(clones, count, place):
    """Small repositories: each of twelve files of code."""
    suffixes = {".rs", ".go", ".py", ".ts", ".js"}
    files = sorted(path for clone in clones for path in clone.rglob("*")
                   if path.suffix in suffixes and path.is_file() and not path.is_symlink() and ".git" not in path.parts)
    step = max(1, len(files) // (count * 12 or 1))
    chosen = files[::step]
    return [repository(place / f"slice-{number}", [(f"{index}{path.suffix}", path) for index, path
                                                   in enumerate(chosen[number * 12:number * 12 + 12])])
            for number in range(count)]


def ask(daemon, roots, question):
    began = time.perf_counter()
    reply = daemon.ask({"op": "search", "worktree": str(roots[0]), "also": [str(root) for root in roots[1:]],
                        "query": question, "limit": 10, "mode": "hybrid", "paths": [], "languages": [],
                        "kinds": [], "wait_ms": None})
    return (time.perf_counter() - began) * 1000, reply


def median(daemon, roots, rounds):
    walls = [ask(daemon, roots, question)[0] for _ in range(rounds) for question in QUESTIONS]
    return statistics.median(walls)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repository", type=pathlib.Path, required=True, action="append")
    parser.add_argument("--projects", type=int, default=50)
    parser.add_argument("--broken", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--indexer", type=pathlib.Path, default=pathlib.Path("target/release/indexer"))
    parser.add_argument("--vectors-from", type=pathlib.Path, help="an embedding cache to begin with")
    arguments = parser.parse_args()
    indexer = str(arguments.indexer.resolve())
    with tempfile.TemporaryDirectory(prefix="several-") as place:
        place = pathlib.Path(place)
        data_dir = place / "data"
        (data_dir / "cache").mkdir(parents=True)
        if arguments.vectors_from:
            shutil.copy(arguments.vectors_from, data_dir / "cache" / "embeddings.sqlite")
        clones = [place / f"clone-{number}" for number in range(len(arguments.repository))]
        for source, clone in zip(arguments.repository, clones):
            subprocess.run(["git", "clone", "-q", str(source), str(clone)], check=True)
        small = slices(clones, arguments.projects - len(clones), place)
        roots = clones + small
        environment = {**os.environ, "INDEXER_DATA_DIR": str(data_dir)}

        def run(*command):
            return subprocess.run([indexer, *command], check=True, env=environment, capture_output=True, text=True).stdout

        for root in roots:
            run("once", str(root))
        broken = small[-arguments.broken:] if arguments.broken else []
        whole = [root for root in roots if root not in broken]
        for number, root in enumerate(broken):
            if number % 3 == 0:
                status = json.loads(run("status", str(root), "--json"))["worktrees"][0]
                commit = data_dir / "databases" / status["database"] / status["collection"] / "commit"
                commit.write_text("no commit")
            elif number % 3 == 1:
                run("remove", "--purge", str(root))
            else:
                shutil.rmtree(root / ".git")
        run("add", *map(str, whole))
        watch = subprocess.Popen([indexer, "watch"], env=environment, stderr=subprocess.DEVNULL)
        try:
            while not (data_dir / "run" / "daemon.sock").exists():
                time.sleep(0.05)
            daemon = Daemon(data_dir)
            while any(tree["freshness"] is None or tree["queued"] for tree in daemon.status()["worktrees"]):
                time.sleep(0.2)
            alone = {root.name: median(daemon, [root], arguments.rounds) for root in whole}
            together = median(daemon, whole, arguments.rounds)
            with_broken = median(daemon, roots, arguments.rounds)
            _, reply = ask(daemon, roots, QUESTIONS[0])
        finally:
            watch.send_signal(signal.SIGTERM)
            watch.wait(timeout=20)
        searched = reply["answer"]["summary"]["worktrees"]
        slowest = max(alone, key=alone.get)
        results = {"projects": len(roots), "searched": sum("error" not in each for each in searched),
                   "errors": [each["error"] for each in searched if "error" in each],
                   "points": reply["answer"]["summary"]["dense"].get("text"),
                   "slowest": slowest, "slowest_ms": round(alone[slowest], 2),
                   "median_ms": round(statistics.median(alone.values()), 2),
                   "all_whole_ms": round(together, 2), "all_ms": round(with_broken, 2),
                   "ratio": round(with_broken / alone[slowest], 2), "us": reply["answer"]["summary"]["us"]}
        print(json.dumps(results, indent=1))
        here = pathlib.Path(__file__).resolve().parent
        date = datetime.datetime.now(datetime.timezone.utc)
        results = {"date": date.isoformat(timespec="seconds"), "machine": platform.platform(),
                   "cores": os.cpu_count(), "load_at_end": os.getloadavg()[0], **results}
        (here / "results" / f"{date:%Y-%m-%d}-several.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
