#!/usr/bin/env python3
"""What does a daemon cost that runs for hours, idle and under a steady churn of edits?

Clones the repositories, registers them, waits until everything is indexed and there is
nothing left to do. Then: nothing happens for --idle seconds. Then: one edit a second for
--churn seconds, in random files of code of the first repository; each edit appends a
function, or takes the last ones out again. Read from /proc: CPU time, bytes written,
memory, descriptors, watches.

    benches/endurance.py --repository CLONE [--repository CLONE ...] [--idle 1800] [--churn 7200]
                         [--indexer PROGRAM] [--vectors-from embeddings.sqlite]

Writes the samples to benches/results/.
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
import statistics
import subprocess
import tempfile
import time

from latency import Daemon, SUFFIXES, code_files, settled

TICK = os.sysconf("SC_CLK_TCK")


def size_of(folder):
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def sample(pid, data_dir):
    """What /proc says of a process now."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    io = dict(line.split(": ") for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    memory = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines()
              if line.startswith(("VmRSS", "RssAnon", "VmHWM"))}
    descriptors = list(pathlib.Path(f"/proc/{pid}/fdinfo").iterdir())
    watches = 0
    for descriptor in descriptors:
        try:
            watches += descriptor.read_text().count("inotify wd:")
        except OSError:
            pass
    return {"cpu_s": (int(fields[11]) + int(fields[12])) / TICK, "write_bytes": int(io["write_bytes"]),
            "wchar": int(io["wchar"]), "rss_kb": memory["VmRSS"], "anonymous_kb": memory["RssAnon"],
            "descriptors": len(descriptors), "watches": watches, "data_bytes": size_of(data_dir)}


def difference(after, before):
    return {name: round(after[name] - before[name], 3) for name in after}


def churn(daemon, pid, data_dir, root, seconds, rng):
    """One edit a second; the samples of each minute, and the bytes of the files written."""
    files = code_files(root)
    original = {}
    changed, edits, samples = 0, 0, []
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        # A person works on a few files at a time.
        if edits % 60 == 0:
            samples.append({"at_s": round(time.monotonic() - began), **sample(pid, data_dir)})
            at_work = rng.sample(files, min(12, len(files)))
        path = rng.choice(at_work)
        text = original.setdefault(path, path.read_text(errors="surrogateescape"))
        now = path.read_text(errors="surrogateescape")
        name = f"churn_{rng.randrange(16 ** 8):08x}"
        text = text if len(now) > len(text) + 2000 else now + "\n" + SUFFIXES[path.suffix].format(name, edits)
        temporary = path.with_name(path.name + ".saving")
        temporary.write_text(text, errors="surrogateescape")
        os.replace(temporary, path)
        changed += path.stat().st_size
        edits += 1
        time.sleep(max(0, began + edits - time.monotonic()))
    settled(daemon, 600)
    samples.append({"at_s": round(time.monotonic() - began), **sample(pid, data_dir)})
    return edits, changed, samples


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repository", type=pathlib.Path, required=True, action="append")
    parser.add_argument("--idle", type=int, default=1800)
    parser.add_argument("--churn", type=int, default=7200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--indexer", type=pathlib.Path, default=pathlib.Path("target/release/indexer"))
    parser.add_argument("--vectors-from", type=pathlib.Path, help="an embedding cache to begin with")
    arguments = parser.parse_args()
    indexer = str(arguments.indexer.resolve())
    with tempfile.TemporaryDirectory(prefix="endurance-") as place:
        place = pathlib.Path(place)
        data_dir = place / "data"
        roots = [place / f"worktree-{number}" for number in range(len(arguments.repository))]
        for repository, root in zip(arguments.repository, roots):
            subprocess.run(["git", "clone", "-q", str(repository), str(root)], check=True)
        if arguments.vectors_from:
            (data_dir / "cache").mkdir(parents=True)
            shutil.copy(arguments.vectors_from, data_dir / "cache")
        environment = {**os.environ, "INDEXER_DATA_DIR": str(data_dir)}
        subprocess.run([indexer, "add", *map(str, roots)], check=True, env=environment,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        watch = subprocess.Popen([indexer, "watch"], env=environment, stderr=subprocess.DEVNULL)
        results = {}
        try:
            while not (data_dir / "run" / "daemon.sock").exists():
                time.sleep(0.05)
            daemon = Daemon(data_dir)
            settled(daemon, 3600)
            if arguments.idle:
                # What was written a moment before it was read is read once more.
                time.sleep(3)
                for root in roots * 2:
                    subprocess.run([indexer, "once", str(root)], check=True, env=environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                before = sample(watch.pid, data_dir)
                time.sleep(arguments.idle)
                after = sample(watch.pid, data_dir)
                results["idle"] = {"seconds": arguments.idle, "worktrees": len(roots), "before": before,
                                   "after": after, "difference": difference(after, before)}
                print(f"idle {arguments.idle} s, {len(roots)} worktrees: {results['idle']['difference']}")
            if arguments.churn:
                rng = random.Random(arguments.seed)
                edits, changed, samples = churn(daemon, watch.pid, data_dir, roots[0], arguments.churn, rng)
                total = difference(samples[-1], samples[0])
                written, growth = total["write_bytes"], max(0, total["data_bytes"])
                # The first tenth is left to caches and allocator.
                flat = samples[max(1, len(samples) // 10):]
                half = len(flat) // 2
                middle = lambda part: statistics.median(each["rss_kb"] for each in part)
                results["churn"] = {
                    "edits": edits, "changed_bytes": changed, "written_bytes": written, "growth_bytes": growth,
                    "ratio": round((written - growth) / changed, 2), "cpu_s": total["cpu_s"],
                    "rss_first_half_kb": middle(flat[:half] or flat), "rss_second_half_kb": middle(flat[half:]),
                    "descriptors": [flat[0]["descriptors"], flat[-1]["descriptors"]],
                    "watches": [flat[0]["watches"], flat[-1]["watches"]], "samples": samples}
                print({name: value for name, value in results["churn"].items() if name != "samples"})
            results["counters"] = [tree["counters"] for tree in daemon.status()["worktrees"]]
        finally:
            watch.send_signal(signal.SIGTERM)
            watch.wait(timeout=20)
        head = lambda at: subprocess.run(["git", "-C", str(at), "rev-parse", "HEAD"], check=True,
                                         capture_output=True, text=True).stdout.strip()
        here = pathlib.Path(__file__).resolve().parent
        date = datetime.datetime.now(datetime.timezone.utc)
        results = {"date": date.isoformat(timespec="seconds"), "machine": platform.platform(),
                   "cores": os.cpu_count(), "load_at_end": os.getloadavg()[0], "indexer": head(here.parent),
                   "repositories": [head(each) for each in arguments.repository], "seed": arguments.seed, **results}
        target = here / "results" / f"{date:%Y-%m-%dT%H%M}Z-endurance.json"
        target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
