#!/usr/bin/env python3
"""Retrieval quality of the built program on query packs: index, ask, score.

usage: run.py --packs DIR --mirror CLONES --work DIR [--indexer PATH] [--mode hybrid|lexical|dense]

DIR of --packs holds scorer.py, materialize.py and one folder per pack with repos.tsv and
queries.jsonl. CLONES holds one git directory per repository: OWNER+NAME/repo. Everything is
written below --work: worktrees, indexes, and run-<pack>-<mode>.jsonl for the scorer. Worktrees
and indexes that are there already are used again. Python 3 standard library only.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path


def repositories(pack):
    rows = (pack / "repos.tsv").read_text(encoding="utf8").splitlines()[1:]
    return [row.split("\t")[0] for row in rows if row]


def queries(pack):
    with open(pack / "queries.jsonl", encoding="utf8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def materialize(packs, pack, mirror, worktrees):
    if all((worktrees / name / ".git").exists() for name in repositories(pack)):
        return
    subprocess.run(
        [sys.executable, packs / "materialize.py", "--repos", pack / "repos.tsv",
         "--mirror", mirror, "--out", worktrees, "--git"],
        check=True,
    )


def ask(indexer, worktree, query, limit, mode):
    """Hits of one query; exit code 1 means that there are none."""
    done = subprocess.run(
        [*indexer, "search", "--json", "-C", worktree, "--limit", str(limit), "--mode", mode, "--", query],
        stdout=subprocess.PIPE, check=False,
    )
    if done.returncode not in (0, 1):
        sys.exit(f"search failed with {done.returncode} in {worktree}: {query!r}")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    summary = [o for o in objects if o.get("type") == "summary"]
    unavailable = [leg for s in summary for leg, state in s["legs"].items() if "unavailable" in state]
    if mode != "lexical" and unavailable:
        sys.exit(f"legs {unavailable} did not answer in {worktree}: {summary}")
    keep = ("path", "start_line", "end_line", "score")
    return [{key: o[key] for key in keep} for o in objects if o.get("type") == "hit" and "path" in o]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=Path, required=True)
    parser.add_argument("--mirror", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--indexer", type=Path, default=Path("target/release/indexer"))
    parser.add_argument("--mode", choices=("hybrid", "lexical", "dense"), default="hybrid")
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--pack", action="append", help="only this pack; default: all")
    args = parser.parse_args()
    packs = [p for p in sorted(args.packs.iterdir()) if (p / "queries.jsonl").exists()]
    for pack in packs:
        if args.pack and pack.name not in args.pack:
            continue
        worktrees = args.work / pack.name
        materialize(args.packs, pack, args.mirror, worktrees)
        indexer = [args.indexer, "--data-dir", args.work / "data"]
        once = ["once", "--lexical-only"] if args.mode == "lexical" else ["once"]
        for name in repositories(pack):
            subprocess.run([*indexer, *once, worktrees / name], check=True, stdout=subprocess.DEVNULL)
        results = args.work / f"run-{pack.name}-{args.mode}.jsonl"
        with open(results, "w", encoding="utf8") as out:
            for query in queries(pack):
                hits = ask(indexer, worktrees / query["repo"], query["query"], args.limit, args.mode)
                out.write(json.dumps({"id": query["id"], "results": hits}) + "\n")
        print(f"== {pack.name}, {args.mode}: {results}", flush=True)
        subprocess.run(
            [sys.executable, args.packs / "scorer.py", "--queries", pack / "queries.jsonl",
             "--results", results, "--by", "repo"],
            check=True,
        )


if __name__ == "__main__":
    main()
