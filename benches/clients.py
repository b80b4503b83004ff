#!/usr/bin/env python3
"""Does the daemon's memory stay flat while many clients ask it over HTTP and somebody edits?

Clones two repositories, registers them and waits until everything is indexed. Then --clients
clients, each with a token of its own for one of the two projects, ask for --seconds: a third of
them POST /v1/search, the others call the tool search_code on /mcp. Meanwhile a file of the first
repository is edited once a second. Memory is read from /proc once a second; its first --warm
seconds are left to caches, threads and the model. An answer that is an error, or speaks of the
project that the token is not for, ends the run with code 1.

    benches/clients.py --repository CLONE --repository CLONE [--clients 16] [--seconds 150] [--warm 30]
                       [--indexer PROGRAM] [--vectors-from embeddings.sqlite]

Writes the samples to benches/results/.
"""

import argparse
import datetime
import http.client
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time

from latency import Daemon, SUFFIXES, code_files, percentile, settled

QUESTIONS = ["where is a file parsed", "how are options resolved", "where are credentials stored", "retry a request",
             "shell completion", "format a help page", "what is printed on an error", "read the configuration"]


def memory(pid):
    """Megabytes by /proc, and the number of threads."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    megabytes = lambda name: round(int(fields[name].split()[0]) / 1024, 1)
    return {"resident_mb": megabytes("VmRSS"), "anonymous_mb": megabytes("RssAnon"),
            "file_mb": megabytes("RssFile"), "threads": int(fields["Threads"])}


def client(number, address, token, other, until, took, wrong):
    """Asks until `until`; wall milliseconds to `took`, answers that are wrong to `wrong`."""
    rng = random.Random(number)
    connection = http.client.HTTPConnection(address, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    while time.monotonic() < until:
        query = rng.choice(QUESTIONS)
        path, body = "/v1/search", {"query": query, "limit": 5}
        if number % 3:
            call = {"name": "search_code", "arguments": {"query": query, "projects": ["*"], "wait_ms": 0}}
            path, body = "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        began = time.perf_counter()
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        took.append((time.perf_counter() - began) * 1000)
        if answer.status != 200 or '"isError":true' in text or f"{other}/" in text:
            wrong.append((answer.status, text[:200]))
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repository", type=pathlib.Path, required=True, action="append")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=150)
    parser.add_argument("--warm", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--indexer", type=pathlib.Path, default=pathlib.Path("target/release/indexer"))
    parser.add_argument("--vectors-from", type=pathlib.Path, help="an embedding cache to begin with")
    arguments = parser.parse_args()
    if len(arguments.repository) != 2:
        parser.error("two repositories are needed")
    indexer = str(arguments.indexer.resolve())
    with tempfile.TemporaryDirectory(prefix="clients-") as place:
        place = pathlib.Path(place)
        data_dir = place / "data"
        roots = [place / f"worktree-{number}" for number in range(2)]
        for repository, root in zip(arguments.repository, roots):
            subprocess.run(["git", "clone", "-q", str(repository), str(root)], check=True)
        if arguments.vectors_from:
            (data_dir / "cache").mkdir(parents=True)
            shutil.copy(arguments.vectors_from, data_dir / "cache" / "embeddings.sqlite")
        environment = {**os.environ, "INDEXER_DATA_DIR": str(data_dir), "INDEXER_HTTP_LISTEN": "127.0.0.1:0"}
        run = lambda *command: subprocess.run([indexer, *command], check=True, env=environment, text=True,
                                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
        run("add", *map(str, roots))
        watch = subprocess.Popen([indexer, "watch"], env=environment, stderr=subprocess.DEVNULL)
        try:
            while not (data_dir / "run" / "http.addr").exists():
                time.sleep(0.05)
            address = (data_dir / "run" / "http.addr").read_text().strip().removeprefix("http://")
            daemon = Daemon(data_dir)
            settled(daemon, 3600)
            tokens = [run("token", "create", f"client-{number}", "--project", str(roots[number % 2]))
                      for number in range(arguments.clients)]
            began = time.monotonic()
            took, wrong = [], []
            clients = [threading.Thread(target=client, args=(
                number, address, token, roots[1 - number % 2], began + arguments.seconds, took, wrong))
                for number, token in enumerate(tokens)]
            for each in clients:
                each.start()
            rng = random.Random(arguments.seed)
            files, samples = code_files(roots[0]), []
            while time.monotonic() < began + arguments.seconds:
                path = rng.choice(files)
                with path.open("a") as file:
                    file.write("\n" + SUFFIXES[path.suffix].format(f"edit_{len(samples)}", len(samples)))
                time.sleep(max(0, began + len(samples) + 1 - time.monotonic()))
                samples.append({"at_s": round(time.monotonic() - began), **memory(watch.pid)})
            for each in clients:
                each.join()
        finally:
            watch.send_signal(signal.SIGTERM)
            watch.wait(timeout=20)
        flat = [each for each in samples if each["at_s"] > arguments.warm] or samples
        halves = [flat[:len(flat) // 2] or flat, flat[len(flat) // 2:]]
        middles = {name: [statistics.median(each[name] for each in half) for half in halves] for name in memory("self")}
        results = {"clients": arguments.clients, "seconds": arguments.seconds, "requests": len(took),
                   "wrong": wrong[:5], "p50_ms": round(percentile(took, 0.5), 1),
                   "p99_ms": round(percentile(took, 0.99), 1), "edits": len(samples), "medians_of_halves": middles,
                   "most_mb": max(each["resident_mb"] for each in samples)}
        print(results)
        head = lambda at: subprocess.run(["git", "-C", str(at), "rev-parse", "HEAD"], check=True,
                                         capture_output=True, text=True).stdout.strip()
        here = pathlib.Path(__file__).resolve().parent
        date = datetime.datetime.now(datetime.timezone.utc)
        results = {"date": date.isoformat(timespec="seconds"), "machine": platform.platform(),
                   "cores": os.cpu_count(), "load_at_end": os.getloadavg()[0], "indexer": head(here.parent),
                   "repositories": [head(each) for each in arguments.repository], "seed": arguments.seed,
                   **results, "samples": samples[::10]}
        target = here / "results" / f"{date:%Y-%m-%dT%H%M}Z-clients.json"
        target.write_text(json.dumps(results, indent=1) + "\n")
        raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
