#!/usr/bin/env python3
"""How many bytes must an agent read to reach an answer: with grep and read, and with search_code?

Ten questions, five each over two real repositories, chosen before any answer was looked at. Each
has one line of code that answers it. Both ways go on until that line was shown, or give up.

grep and read:
  1. The question's words of four letters or more, without words such as `where` and `which`. An agent
     that greps well knows more than that: the files are taken in the order of how many different words
     they hold, then of how many lines, which no grep prints. Words are matched within words, without case.
  2. It pays for the list: path and count of the first 20 files.
  3. It reads one window a file, in that order: 40 lines on either side of the line whose
     surroundings hold the most different words. With --whole the whole file, at most 2,000 lines.
  4. It gives up after 20 files.
search_code:
  1. One call with the question as it stands and no other argument; it pays for the whole answer.
     A signature in a hit's head is a line that was shown.
  2. It reads the hits that were not shown whole, in their order, by read_code.
  3. Without the line: once more with limit 20 and a budget of 2,000 tokens, and the hits of that.
  4. It gives up.
Nothing is counted for the questions themselves, nor for the tools' descriptions (tools/list is printed).

    benches/agent.py --repository CLONE_OF_CARGO --repository CLONE_OF_AXUM
                     [--vectors-from embeddings.sqlite ...] [--indexer PROGRAM] [--whole]

Writes the numbers to benches/results/.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import tempfile

# Repository, question, and file and text of the line that answers.
QUESTIONS = [
    ("cargo", "how long does cargo wait before it retries a failed network request", "src/util/network/retry.rs", "fn next_sleep_ms"),
    ("cargo", "how is a feature value such as dep:name or crate/feature parsed", "src/workspace/summary.rs", "pub fn new(feature: InternedString) -> FeatureValue"),
    ("cargo", "where is the lock file read and parsed", "src/ops/lockfile.rs", "pub fn load_pkg_lockfile"),
    ("cargo", "what decides whether a unit is fresh or has to be rebuilt", "src/compiler/fingerprint/mod.rs", "pub fn prepare_target("),
    ("cargo", "how is the error message made when dependency resolution fails", "src/resolver/errors.rs", "pub(super) fn activation_error("),
    ("axum", "how is the size of a request body limited", "axum-core/src/extract/default_body_limit.rs", "pub struct DefaultBodyLimit"),
    ("axum", "how are path parameters percent-decoded", "axum/src/util.rs", "pub(crate) struct PercentDecodedStr"),
    ("axum", "how does the server shut down gracefully", "axum/src/serve/mod.rs", "pub fn with_graceful_shutdown"),
    ("axum", "how does the Json extractor check the content type", "axum/src/json.rs", "fn json_content_type("),
    ("axum", "where is a websocket connection upgraded", "axum/src/extract/ws.rs", "pub fn on_upgrade"),
]
STOP = set("does what where which that this when with from into before after have such made decides whether long".split())
FILES, AROUND, WHOLE = 20, 40, 2000


class Agent:
    """An MCP client on standard input and output."""

    def __init__(self, indexer, root, data_dir):
        self.process = subprocess.Popen([indexer, "mcp", "--data-dir", str(data_dir)], cwd=root, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.last = 0
        self.request("initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                                    "clientInfo": {"name": "bench", "version": "0"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def request(self, method, params):
        self.last += 1
        self.send({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params})
        line = self.process.stdout.readline()
        return json.loads(line)["result"], len(line.encode())

    def call(self, tool, **arguments):
        """The text, and the bytes of the whole message."""
        result, size = self.request("tools/call", {"name": tool, "arguments": arguments})
        return result["content"][0]["text"], size

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)


def words(question):
    return sorted({word for word in re.findall(r"[a-z]{4,}", question.lower()) if word not in STOP})


def by_grep(root, question, path, line, whole):
    """Bytes read, files read, and whether the line was seen."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    wanted, found = words(question), []
    for name in filter(None, listed.decode(errors="surrogateescape").split("\0")):
        try:
            lines = (root / name).read_text().splitlines()
        except (UnicodeDecodeError, OSError):
            continue
        at = [{word for word in wanted if word in text.lower()} for text in lines]
        count = sum(map(bool, at))
        if count:
            found.append((-len(set().union(*at)), -count, name, lines, at))
    found.sort(key=lambda each: each[:3])
    read = sum(len(f"{name}:{-count}\n".encode()) for _, count, name, _, _ in found[:FILES])
    for number, (_, _, name, lines, at) in enumerate(found[:FILES], 1):
        if whole:
            shown = lines[:WHOLE]
        else:
            near = [len(set().union(*at[max(0, i - 10):i + 11])) if at[i] else 0 for i in range(len(lines))]
            best = near.index(max(near))
            shown = lines[max(0, best - AROUND):best + AROUND + 1]
        read += len("\n".join(shown).encode()) + 1
        if name == path and any(line in text for text in shown):
            return read, number, True
    return read, min(len(found), FILES), False


def heads(text):
    """Path and lines of each hit, and what was shown of it: its signature, and lines."""
    hits = []
    for each in text.splitlines():
        head = re.match(r"(\S+:\d+-\d+) (.*)\(.*by .*\)$", each)
        if head:
            hits.append((head[1], head[2], []))
        elif hits and not each.startswith("["):
            hits[-1][2].append(each)
    return hits


def by_tool(agent, question, path, line):
    """Bytes read, calls, and whether the line was seen."""
    read, calls, seen = 0, 0, set()
    for more in ({}, {"limit": 20, "token_budget": 2000}):
        text, size = agent.call("search_code", query=question, **more)
        read, calls = read + size, calls + 1
        hits = heads(text)
        if any(place.startswith(path + ":") and (line in signature or any(line in each for each in shown))
               for place, signature, shown in hits):
            return read, calls, True
        for place, _, shown in hits:
            if place in seen:
                continue
            seen.add(place)
            first, last = map(int, place.rsplit(":", 1)[1].split("-"))
            if len(shown) > last - first:
                continue
            text, size = agent.call("read_code", path=place)
            read, calls = read + size, calls + 1
            if place.startswith(path + ":") and line in text:
                return read, calls, True
    return read, calls, False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repository", type=pathlib.Path, required=True, action="append")
    parser.add_argument("--vectors-from", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--indexer", type=pathlib.Path, default=pathlib.Path("target/release/indexer"))
    parser.add_argument("--whole", action="store_true")
    arguments = parser.parse_args()
    indexer = str(arguments.indexer.resolve())
    rows, listed = [], None
    with tempfile.TemporaryDirectory(prefix="agent-") as place:
        place = pathlib.Path(place)
        for number, source in enumerate(arguments.repository):
            name, data_dir = source.resolve().name, place / f"data-{number}"
            (data_dir / "cache").mkdir(parents=True)
            if number < len(arguments.vectors_from):
                shutil.copy(arguments.vectors_from[number], data_dir / "cache" / "embeddings.sqlite")
            root = place / name
            subprocess.run(["git", "clone", "-q", str(source), str(root)], check=True)
            subprocess.run([indexer, "once", "--data-dir", str(data_dir)], cwd=root, check=True, capture_output=True)
            agent = Agent(indexer, root, data_dir)
            listed = len(json.dumps(agent.request("tools/list", {})[0], separators=(",", ":")))
            for repository, question, path, line in QUESTIONS:
                if repository != name:
                    continue
                if not any(line in text for text in (root / path).read_text().splitlines()):
                    raise SystemExit(f"{path} has no line {line!r}: another commit than the questions are of")
                grep, files, grep_found = by_grep(root, question, path, line, arguments.whole)
                tool, calls, tool_found = by_tool(agent, question, path, line)
                rows.append({"repository": name, "question": question, "grep_bytes": grep, "grep_files": files,
                             "grep_found": grep_found, "tool_bytes": tool, "tool_calls": calls, "tool_found": tool_found})
                print(f"{grep:8} {'' if grep_found else 'not found':9} {tool:8} {'' if tool_found else 'not found':9} {question}")
            agent.close()
    both = [row["grep_bytes"] / row["tool_bytes"] for row in rows if row["grep_found"] and row["tool_found"]]
    results = {"tools_list_bytes": listed, "whole_files": arguments.whole,
               "grep_bytes": sum(row["grep_bytes"] for row in rows), "tool_bytes": sum(row["tool_bytes"] for row in rows),
               "grep_found": sum(row["grep_found"] for row in rows), "tool_found": sum(row["tool_found"] for row in rows),
               "median_ratio_where_both_found": round(statistics.median(both), 2) if both else None, "questions": rows}
    print(json.dumps({key: value for key, value in results.items() if key != "questions"}, indent=1))
    here = pathlib.Path(__file__).resolve().parent
    date = datetime.datetime.now(datetime.timezone.utc)
    results = {"date": date.isoformat(timespec="seconds"), "machine": platform.platform(), **results}
    name = f"{date:%Y-%m-%d}-agent{'-whole' if arguments.whole else ''}.json"
    (here / "results" / name).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
