#!/usr/bin/env python3
"""Measures the built program on a pinned real repository, as a user runs it.

Each step is one process: CPU-seconds (user + system), wall seconds, peak
resident memory and bytes written come from the kernel's own accounting of that
process (wait4); counts come from its --json. What each step is for, and what the
numbers do not say, is in benches/README.md.

Standard library only. Writes one dated JSON below benches/results/.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
# ru_maxrss is KiB on Linux and bytes on macOS; ru_oublock counts 512-byte blocks.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
BLOCK = 512


class Failed(Exception):
    """A command did not end as it should; the message names it and shows its words."""


def run(command, cwd=None, env=None):
    """Output of a command that must succeed, stripped."""
    done = subprocess.run(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}{done.stdout}")
    return done.stdout.strip()


def measure(command, cwd, env, codes=(0,)):
    """Runs one process to its end; its costs and its last JSON value."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        lines = out.read().decode(errors="replace").splitlines()
        words = err.read().decode(errors="replace")
    if process.returncode not in codes:
        raise Failed(f"{' '.join(map(str, command))}: exit {process.returncode}\n{words}")
    values = []
    for line in lines:
        try:
            values.append(json.loads(line))
        except ValueError:
            pass
    cost = {
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "wall_s": round(wall, 3),
        "peak_mb": round(usage.ru_maxrss * RSS_UNIT / 1e6, 1),
        "written_mb": round(usage.ru_oublock * BLOCK / 1e6, 3),
        "exit": process.returncode,
    }
    return cost, values


def embedded(outcome):
    """Texts that a run embedded, over all legs; None where the outcome does not say."""
    legs = outcome.get("vectors")
    if legs is None:
        return None
    return sum(leg["embedded"] for leg in legs.values())


def directory_mb(path):
    """Megabytes that the files below a directory occupy."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return round(total / 1e6, 1)


def machine():
    """What the numbers depend on."""
    facts = {
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }
    for path, key, name in (("/proc/cpuinfo", "model name", "cpu"), ("/proc/meminfo", "MemTotal", "memory")):
        try:
            with open(path, encoding="ascii", errors="replace") as lines:
                facts[name] = next(line.split(":", 1)[1].strip() for line in lines if line.startswith(key))
        except (OSError, StopIteration):
            facts[name] = None
    return facts


class Bench:
    """One repository, one scratch directory, one data directory."""

    def __init__(self, binary, pin, repository, scratch, repeat):
        self.binary, self.pin, self.repeat = binary, pin, repeat
        self.scratch = pathlib.Path(scratch)
        self.data = self.scratch / "data"
        self.tree = self.scratch / "worktree"
        self.steps = {}
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        # The embedding cache must be as cold as the step says; the model is installed already.
        cache = pathlib.Path(self.env.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
        self.env.setdefault("INDEXER_MODEL_DIR", str(cache / "contextd-indexer" / "models"))
        self.env["XDG_CACHE_HOME"] = str(self.scratch / "cache")
        self.env.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
        for role in ("AUTHOR", "COMMITTER"):
            self.env[f"GIT_{role}_NAME"] = "Ada"
            self.env[f"GIT_{role}_EMAIL"] = "ada@example.org"
        run(["git", "clone", "-q", "--shared", "--no-checkout", repository, self.tree], env=self.env)
        self.git("checkout", "-q", "-B", "bench", pin["commit"])

    def git(self, *arguments, cwd=None):
        return run(["git", *arguments], cwd=cwd or self.tree, env=self.env)

    def index(self, name, *flags, cwd=None, repeat=1):
        """One step of `once`; repeated ones keep every run and report the median."""
        runs = []
        for _ in range(repeat):
            command = [self.binary, "once", "--json", *flags, "--data-dir", self.data]
            cost, values = measure(command, cwd or self.tree, self.env)
            if not values:
                raise Failed(f"{name}: `once --json` printed no JSON")
            runs.append({**cost, "outcome": values[-1]})
        middle = sorted(runs, key=lambda one: one["cpu_s"])[len(runs) // 2]
        self.record(name, {**middle, "runs_cpu_s": [one["cpu_s"] for one in runs], "data_mb": directory_mb(self.data)})

    def record(self, name, result):
        self.steps[name] = result
        count = embedded(result.get("outcome", {}))
        print(
            f"{name:18} {result['cpu_s']:9.3f} {result['wall_s']:9.3f} {result['peak_mb']:8.1f}"
            f" {result['written_mb']:10.3f} {'-' if count is None else count:>9}",
            flush=True,
        )

    def append(self, number):
        with open(self.tree / self.pin["edit"], "a", encoding="utf-8") as file:
            file.write(self.pin["append"].format(n=number))

    def search(self, name, mode):
        """Every query as a process of its own: what a script or a person pays."""
        costs, empty = [], []
        for query in self.pin["queries"]:
            command = [self.binary, "search", query, "--json", "--limit", "10", "--mode", mode]
            cost, values = measure([*command, "--data-dir", self.data], self.tree, self.env, codes=(0, 1))
            costs.append(cost)
            if not values or cost["exit"] == 1:
                empty.append(query)
        middle = {key: statistics.median(cost[key] for cost in costs) for key in ("cpu_s", "wall_s", "written_mb")}
        peak = max(cost["peak_mb"] for cost in costs)
        self.record(name, {**middle, "peak_mb": peak, "queries": len(costs), "without_hits": empty})

    def lexical(self):
        self.index("cold_lexical", "--lexical-only")
        # Files checked out moments before the first run have no trusted signature yet:
        # this run reads them once more, the following ones do not.
        self.index("settle", "--lexical-only")
        self.index("noop", "--lexical-only", repeat=self.repeat)
        self.append(1)
        self.index("edit_lexical", "--lexical-only")
        self.git("checkout", "-q", "--", self.pin["edit"])
        self.index("edit_undone", "--lexical-only")
        self.search("query_lexical", "lexical")

    def dense(self):
        self.index("cold_dense")
        self.index("noop_dense", repeat=self.repeat)
        self.append(2)
        self.index("edit_dense")
        self.git("checkout", "-q", "--", self.pin["edit"])
        self.index("edit_dense_undone")
        self.changes()
        self.search("query_hybrid", "hybrid")
        self.search("query_dense", "dense")

    def changes(self, *flags):
        """What git does to many files at once; of these only the way there embeds."""
        pin = self.pin
        self.git("checkout", "-q", "--detach", pin["other"])
        self.index("switch_there", *flags)
        self.git("checkout", "-q", "bench")
        self.index("switch_back", *flags)

        second = self.scratch / "second"
        self.git("worktree", "add", "-q", "--detach", str(second), pin["commit"])
        self.index("second_worktree", *flags, cwd=second)

        self.git("mv", *pin["move"])
        self.index("rename", *flags)
        self.git("reset", "-q", "--hard", pin["commit"])
        self.index("rename_undone", *flags)

        self.git("checkout", "-q", "-b", "topic", pin["other"])
        (self.tree / "topic.md").write_text("# Topic\n\nA note that only this branch has.\n", encoding="utf-8")
        self.git("add", "topic.md")
        self.git("commit", "-q", "-m", "topic")
        self.index("topic", *flags)
        self.git("rebase", "-q", "bench")
        self.index("rebase", *flags)
        self.git("checkout", "-q", "bench")
        self.index("rebase_left", *flags)

    def verify(self):
        cost, _ = measure([self.binary, "verify", "--data-dir", self.data], self.tree, self.env)
        self.record("verify", cost)


def over_limits(steps, limits):
    """(hard, soft): counts that are wrong on any machine; costs that are over on this one."""
    hard, soft = [], []
    for name, wanted in limits.items():
        step = steps.get(name)
        if step is None:
            continue
        for what, limit in wanted.items():
            value = embedded(step["outcome"]) if what == "embedded" else step[what]
            if value is None:
                hard.append(f"{name}: the outcome has no counter {what!r}")
            elif value > limit:
                (hard if what == "embedded" else soft).append(f"{name}: {what} {value}, over {limit}")
    return hard, soft


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", required=True, help="a clone (bare or not) that has the pinned commits")
    parser.add_argument("--name", default="rust-lang/cargo", help="its entry in repositories.json")
    parser.add_argument("--binary", help="the program (default: a release build of this checkout)")
    parser.add_argument("--lexical-only", action="store_true", help="leave the steps out that need the model")
    parser.add_argument("--repeat", type=int, default=5, help="runs of the steps that change nothing")
    parser.add_argument("--scratch", help="where to work (default: the system's temporary directory)")
    parser.add_argument("--results", default=HERE / "results", type=pathlib.Path, help="where the JSON goes")
    arguments = parser.parse_args()

    pins = json.loads((HERE / "repositories.json").read_text(encoding="utf-8"))
    if arguments.name not in pins:
        parser.error(f"--name {arguments.name}: repositories.json has {', '.join(pins)}")
    pin = pins[arguments.name]
    for commit in (pin["commit"], pin["other"]):
        run(["git", "-C", arguments.repository, "cat-file", "-e", f"{commit}^{{commit}}"])

    binary = arguments.binary
    if binary is None:
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
        metadata = json.loads(run(["cargo", "metadata", "--no-deps", "--locked", "--format-version=1"], cwd=ROOT))
        binary = pathlib.Path(metadata["target_directory"]) / "release" / "indexer"
    binary = str(pathlib.Path(binary).resolve(strict=True))

    started = datetime.datetime.now(datetime.timezone.utc)
    result = {
        "date": started.isoformat(timespec="seconds"),
        "machine": machine(),
        "indexer": {
            "version": run([binary, "--version"]),
            "commit": run(["git", "rev-parse", "HEAD"], cwd=ROOT),
            "modified": bool(run(["git", "status", "--porcelain"], cwd=ROOT)),
        },
        "repository": {"name": arguments.name, "commit": pin["commit"], "other": pin["other"]},
    }
    print(f"{'step':18} {'CPU s':>9} {'wall s':>9} {'peak MB':>8} {'written MB':>10} {'embedded':>9}")
    with tempfile.TemporaryDirectory(prefix="indexer-bench-", dir=arguments.scratch) as scratch:
        bench = Bench(binary, pin, str(pathlib.Path(arguments.repository).resolve()), scratch, arguments.repeat)
        bench.lexical()
        if arguments.lexical_only:
            bench.changes("--lexical-only")
        else:
            bench.dense()
        bench.verify()
    result["steps"] = bench.steps
    hard, soft = over_limits(bench.steps, pin.get("limits", {}))
    result["broken"], result["over"] = hard, soft

    arguments.results.mkdir(parents=True, exist_ok=True)
    name = f"{started:%Y-%m-%dT%H%M%SZ}-{arguments.name.replace('/', '-')}-{result['indexer']['commit'][:8]}.json"
    path = arguments.results / name
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {path}")
    for line in soft:
        print(f"over on this machine: {line}")
    for line in hard:
        print(f"BROKEN: {line}")
    return 1 if hard else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"error: {failure}")
