
// --- worktrees and errors: the status as it comes

const trees = new Map();
let shownTrees = null;

/** One sentence that claims no more than is known. */
function sentence(freshness) {
  const short = (commit) => (commit ? commit.slice(0, 10) : "no commit");
  const at = short(freshness.indexed_commit);
  let text;
  if (!freshness.complete) text = `partly indexed at ${at}`;
  else if (freshness.fresh && freshness.pending === 0) text = `fresh at ${at}`;
  else if (freshness.pending === 0) text = `indexed at ${at}, and something may have changed since`;
  else text = `indexed at ${at}, ${plural(freshness.pending, "file", "files")} may have changed since`;
  if (freshness.indexed_commit !== freshness.head.commit) text += `, HEAD is ${short(freshness.head.commit)}`;
  for (const [leg, { present, needed, replaces }] of Object.entries(freshness.vectors)) {
    if (replaces) text += `, ${leg} vectors are of a former model, being replaced: ${percent(present, needed)} %`;
    else if (present < needed) text += `, ${leg} vectors ${percent(present, needed)} %`;
  }
  return text;
}

function stateOf(tree, running) {
  if (tree.state === "missing") return ["gone", "Missing"];
  if (tree.state === "retired") return ["gone", "Retired"];
  if (tree.problem) return ["fail", "Failing"];
  if (running) return ["busy", running.stage === "vectors" ? "Computing vectors" : "Indexing"];
  if (!tree.freshness) return ["wait", "Waiting"];
  if (!tree.freshness.complete) return ["wait", "Partly indexed"];
  return tree.freshness.fresh ? ["ok", "Fresh"] : ["wait", "Behind"];
}

function told(tree, running) {
  if (tree.state === "missing") return "its folder is not there; nothing of its index is deleted";
  if (tree.state === "retired") return "it was removed; its index is kept for a while";
  if (!tree.freshness && running) return "not indexed yet: its first run goes on";
  if (!tree.freshness) return tree.problem ? "not indexed yet" : "not indexed yet: its first run is to come";
  return sentence(tree.freshness);
}

function workOf(tree, running) {
  if (running) {
    const names = { list: "Listing files", files: "Reading files", vectors: "Computing vectors" };
    const counts = running.total > 0 ? `, ${number(running.done)} of ${number(running.total)}` : "";
    return `${names[running.stage] ?? running.stage}${counts}`;
  }
  if (tree.queued.length > 0) return `A run is due: ${tree.queued.join(", ")}`;
  const { runs, fills, polls, last_ms } = tree.counters;
  const all = runs + fills + polls;
  return all > 0 ? `${plural(all, "run", "runs")} since the start, the last took ${duration(last_ms)}` : "No run yet";
}

function watchOf(watch) {
  if (!watch) return "—";
  const poll = duration(watch.poll_seconds * 1000);
  const seen = `${plural(watch.watched, "directory", "directories")} watched`;
  if (watch.reason) return `${seen}, ${number(watch.unwatched)} polled every ${poll}: ${watch.reason}`;
  return `${seen}; all polled every ${poll}`;
}

/** The last part of each path, and one more where two are the same. */
function namesOf(list) {
  const parts = list.map((tree) => placeText(tree.root).split("/").filter(Boolean));
  const last = parts.map((all) => all.at(-1) ?? "/");
  return last.map((name, at) => (last.indexOf(name) === last.lastIndexOf(name) ? name : parts[at].slice(-2).join("/")));
}

function showTree(element, tree, name, running) {
  const set = (what, text) => setText(part(element, what), text);
  const { freshness, problem } = tree;
  set("name", name);
  const head = freshness?.head;
  const branch = head ? [head.branch ?? "detached", head.operation].filter(Boolean).join(", ") : "";
  set("branch", branch);
  setHidden(part(element, "branch"), !branch);
  const state = stateOf(tree, running);
  setState(part(element, "state"), state);
  set("path", placeText(tree.root));
  set("sentence", told(tree, running));
  // Of one that is not there nothing more is known.
  for (const what of ["work-row", "facts"]) setHidden(part(element, what), tree.state !== "active");
  set("work-text", workOf(tree, running));
  const bar = part(element, "work");
  bar.classList.toggle("idle", !running);
  bar.setAttribute("aria-hidden", String(!running));
  if (running) setProgress(bar, running.done, running.total);
  setHidden(part(element, "problem"), !problem);
  set("problem-text", problem?.message);
  set("problem-hint", problem?.hint ?? "");
  set("pending", freshness ? number(freshness.pending) : "—");
  set("lag", tree.lag_ms === null ? "none" : duration(tree.lag_ms));
  set("chunks", number(tree.points));
  set("bytes", bytes(Object.values(tree.bytes).reduce((sum, size) => sum + size, 0)));
  const legs = Object.entries(freshness?.vectors ?? {});
  const present = legs.reduce((sum, [, leg]) => sum + leg.present, 0);
  const needed = legs.reduce((sum, [, leg]) => sum + leg.needed, 0);
  setProgress(part(element, "vectors"), needed > 0 ? present : 0, Math.max(needed, 1));
  const known = legs.map(([leg, one]) => `${leg} ${percent(one.present, one.needed)} % of ${number(one.needed)}`);
  set("vectors-text", known.join(", ") || "none yet");
  set("watch", watchOf(freshness?.watch));
  element.dataset.words = [placeText(tree.root), branch, state[1]].join(" ").toLowerCase();
}

function filterTrees() {
  const wanted = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { element } of trees.values()) {
    const matches = wanted.every((word) => element.dataset.words.includes(word));
    setHidden(element, !matches);
    shown += Number(matches);
  }
  setHidden(byId("trees-none"), shown > 0 || trees.size === 0);
}

/** Rows stay where they are and are changed in place: focus and scroll are the reader's. */
function showTrees(status) {
  const list = status.worktrees;
  const names = namesOf(list);
  const running = status.daemon?.running;
  const runningOf = (tree) => (running && placeKey(running.root) === placeKey(tree.root) ? running : null);
  const keys = list.map((tree) => placeKey(tree.root));
  for (const [key, { element }] of trees) {
    if (!keys.includes(key)) {
      element.remove();
      trees.delete(key);
    }
  }
  list.forEach((tree, at) => {
    const known = trees.get(keys[at]) ?? { element: clone("tree-template") };
    trees.set(keys[at], known);
    showTree(known.element, tree, names[at], runningOf(tree));
    const here = byId("trees").children[at];
    if (here !== known.element) byId("trees").insertBefore(known.element, here ?? null);
  });
  setHidden(byId("worktrees-empty"), list.length > 0);
  setHidden(byId("worktrees-filter"), list.length < 6 && !byId("filter").value);
  filterTrees();
  const states = list.map((tree) => stateOf(tree, runningOf(tree))[1].toLowerCase());
  const counts = [...new Set(states)].map((state) => `${states.filter((one) => one === state).length} ${state}`);
  setText(byId("worktrees-summary"), counts.join(", "));
  if (shownTrees !== keys.join()) {
    shownTrees = keys.join();
    fillTreeSelects(list, names);
  }
}

/** Both choices of a worktree, with what was chosen still chosen. */
function fillTreeSelects(list, names) {
  const active = list.map((tree, at) => [tree, names[at]]).filter(([tree]) => tree.state === "active");
  for (const [id, first] of [["search-tree", [new Option("All", "")]], ["memory-tree", []]]) {
    const select = byId(id);
    const before = select.value;
    const options = active.map(([tree, name]) => new Option(name, placeKey(tree.root)));
    select.replaceChildren(...first, ...options);
    if ([...select.options].some((option) => option.value === before)) select.value = before;
  }
  showMemories();
}

function problemsOf(status) {
  const names = namesOf(status.worktrees);
  const found = [];
  status.worktrees.forEach((tree, at) => {
    const { problem, freshness } = tree;
    if (problem) {
      const next = new Date(Date.now() + problem.retry_in_s * 1000);
      const times = problem.failures > 1 ? `${problem.failures} times in a row` : "once so far";
      found.push({
        subject: names[at], state: ["fail", "Error"], text: problem.message, hint: problem.hint,
        next: `Failed ${times}; the next try is due at ${clock(next)}`,
      });
    }
    if (tree.state === "missing") {
      found.push({
        subject: names[at], state: ["warn", "Warning"], text: "its folder is not there",
        hint: `mount its disk, or forget it: indexer remove ${placeText(tree.root)}`,
      });
    }
    if (freshness?.watch?.reason) {
      found.push({
        subject: names[at], state: ["warn", "Warning"],
        text: `${plural(freshness.watch.unwatched, "directory is", "directories are")} not watched`,
        hint: freshness.watch.reason,
        next: `Looked at every ${duration(freshness.watch.poll_seconds * 1000)} instead`,
      });
    }
  });
  if (status.daemon?.backfill_paused) {
    found.push({
      subject: "Vectors", state: ["warn", "Waiting"], text: "missing vectors are not computed now",
      hint: status.daemon.backfill_paused,
    });
  }
  return found;
}

function showProblems(status) {
  const found = problemsOf(status);
  const list = byId("problems");
  found.forEach((problem, at) => {
    const element = list.children[at] ?? clone("problem-template");
    if (!element.isConnected) list.append(element);
    setState(part(element, "state"), problem.state);
    for (const what of ["subject", "text", "hint"]) setText(part(element, what), problem[what]);
    setHidden(part(element, "hint"), !problem.hint);
    setText(part(element, "next"), problem.next);
    setHidden(part(element, "next"), !problem.next);
  });
  while (list.children.length > found.length) list.lastElementChild.remove();
  const errors = found.filter((problem) => problem.state[0] === "fail").length;
  const counts = [[errors, "error", "errors"], [found.length - errors, "warning", "warnings"]];
  const told = counts.filter(([count]) => count > 0).map((count) => plural(...count));
  setText(byId("errors-summary"), told.join(", ") || "none");
  setText(byId("errors-count"), found.length > 0 ? `(${found.length})` : "");
}

function showDaemon(status) {
  const { daemon, cache } = status;
  const set = (what, text) => setText(part(byId("daemon"), what), text);
  if (!daemon) return;
  set("version", daemon.version);
  set("since", time(daemon.started_at));
  const { used, budget } = daemon.watches;
  set("watches", budget > 0 ? `${number(used)} of ${number(budget)}` : "—");
  set("cache", cache ? `${plural(cache.entries, "vector", "vectors")}, ${bytes(cache.bytes)}` : "—");
  const { running } = daemon;
  const name = running && (placeText(running.root).split("/").filter(Boolean).at(-1) ?? "/");
  const counts = running && running.total > 0 ? ` ${percent(running.done, running.total)} %` : "";
  const stages = { list: "listing", files: "reading", vectors: "computing vectors of" };
  const work = running ? `${stages[running.stage] ?? running.stage} ${name}${counts}` : "idle";
  set("now", daemon.backfill_paused ? `${work}; vectors wait: ${daemon.backfill_paused}` : work);
}

function showStatus(status) {
  showDaemon(status);
  showTrees(status);
  showProblems(status);
}
