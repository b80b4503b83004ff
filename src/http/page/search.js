
// --- search

/** Lines of a hit that is not expanded. */
const BRIEF = 6;

let searching = null;

const listOf = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);

function searchBody() {
  const tree = byId("search-tree").value;
  const language = byId("language").value;
  return {
    query: byId("query").value,
    mode: byId("mode").value,
    limit: Number(byId("limit").value),
    worktrees: tree ? [JSON.parse(tree)] : [],
    languages: language ? [language] : [],
    kinds: listOf(byId("kind").value),
    paths: listOf(byId("paths").value),
  };
}

async function search() {
  const body = searchBody();
  if (!body.query.trim()) return;
  searching?.abort();
  const mine = new AbortController();
  searching = mine;
  const status = byId("search-status");
  status.dataset.state = "";
  setText(status, "Searching…");
  byId("hits").setAttribute("aria-busy", "true");
  const began = performance.now();
  try {
    const answer = await ask("/v1/search", { body, signal: mine.signal });
    const took = Math.round(performance.now() - began);
    showHits(answer, body, took);
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("hits").replaceChildren();
    byId("search-notes").replaceChildren();
    status.dataset.state = "fail";
    setText(status, error instanceof Refusal ? `No answer: ${error.text()}` : String(error));
  } finally {
    if (searching === mine) byId("hits").removeAttribute("aria-busy");
  }
}

/** What the answer can be trusted for. */
function notesOf(summary, body) {
  const notes = [];
  if (summary.freshness) notes.push(sentence(summary.freshness));
  for (const tree of summary.worktrees ?? []) {
    const name = placeText(tree.root).split("/").at(-1);
    if (tree.error) notes.push(`${name} was not searched: ${tree.error}`);
    else if (tree.freshness) notes.push(`${name}: ${sentence(tree.freshness)}`);
  }
  for (const [leg, report] of Object.entries(summary.legs)) {
    if (report.unavailable) notes.push(`${LEGS[leg] ?? leg} could not be asked: ${report.unavailable}`);
  }
  if (summary.dropped > 0) notes.push(`${plural(summary.dropped, "hit", "hits")} left out: the disk has another text`);
  if (summary.repaired > 0) notes.push(`${plural(summary.repaired, "hit", "hits")} had moved, found again`);
  if (body.mode === "lexical") notes.push("by words alone, as chosen");
  return notes;
}

const LEGS = { lexical: "words", symbol: "name", text: "meaning", code: "meaning of code" };

/** Why it is where it is: its place by each way of looking, and what moved it. */
function whyOf(hit) {
  const legs = Object.entries(hit.legs).map(([leg, rank]) => `${LEGS[leg] ?? leg} ${rank}`);
  const reasons = hit.reasons.map((reason) => reason.replaceAll("_", " "));
  const moved = reasons.length > 0 ? ` · moved by ${reasons.join(", ")}` : "";
  return `Rank by ${legs.join(", ")}${moved}${hit.repaired ? " · had moved in its file" : ""}`;
}

function showHits(answer, body, took) {
  const { hits, summary } = answer;
  const words = wordsOf(body.query);
  byId("hits").replaceChildren(...hits.map((hit) => hitElement(hit, body, words)));
  byId("search-notes").replaceChildren(...notesOf(summary, body).map((note) => node("li", "", note)));
  const found = hits.length > 0 ? plural(hits.length, "hit", "hits") : "Nothing found";
  const hint = hits.length > 0 ? "" : ": other words, or fewer filters, may find it";
  setText(byId("search-status"), `${found} in ${duration(took)}${hint}`);
}

function hitElement(hit, body, words) {
  const element = clone("hit-template");
  const root = hit.worktree ?? body.worktrees[0] ?? null;
  const path = hit.path ?? `hex:${hit.path_hex}`;
  const lines = hit.start_line === hit.end_line ? `${hit.start_line}` : `${hit.start_line}-${hit.end_line}`;
  setText(part(element, "path"), path);
  setText(part(element, "lines"), `:${lines}`);
  setText(part(element, "tree"), hit.worktree ? placeText(hit.worktree).split("/").at(-1) : "");
  setHidden(part(element, "tree"), !hit.worktree);
  setText(part(element, "kind"), [hit.language, hit.kind].filter(Boolean).join(" "));
  const symbol = [hit.container, hit.symbol].filter(Boolean).join(" · ");
  part(element, "signature").append(marked(hit.signature ?? symbol, words));
  setText(part(element, "why"), whyOf(hit));
  const place = `${path}:${hit.start_line}`;
  setText(part(element, "copy-what"), ` ${place}`);
  part(element, "copy").addEventListener("click", (event) => copy(place, event.currentTarget));
  const code = part(element, "code");
  const brief = () => {
    const [text, first] = bestLines(hit.snippet, words);
    showLines(code, text, first, [first, Infinity], words);
  };
  brief();
  const open = part(element, "open");
  open.addEventListener("click", async () => {
    const expand = open.getAttribute("aria-expanded") === "false";
    open.setAttribute("aria-expanded", String(expand));
    if (!expand) return brief();
    const range = [hit.start_line, hit.end_line];
    showLines(code, hit.text, hit.start_line, range, words);
    const around = await linesAround(root, hit).catch(() => null);
    // It may have been closed meanwhile.
    if (around?.text && open.getAttribute("aria-expanded") === "true") {
      showLines(code, around.text, around.start_line, range, words);
    }
  });
  return element;
}

/** The lines of a snippet with the most words of the query; the whole chunk is a key away. */
function bestLines(snippet, words) {
  const lines = snippet.text.replace(/\n$/, "").split("\n");
  const counts = lines.map((line) => (words ? [...line.matchAll(words)].length : 0));
  let [best, at] = [-1, 0];
  for (let first = 0; first <= Math.max(0, lines.length - BRIEF); first += 1) {
    const count = counts.slice(first, first + BRIEF).reduce((sum, one) => sum + one, 0);
    if (count > best) [best, at] = [count, first];
  }
  return [lines.slice(at, at + BRIEF).join("\n"), snippet.start_line + at];
}

/** The chunk with what stands around it, as it is on disk now. */
function linesAround(root, hit) {
  if (typeof root !== "string" || !hit.path) return Promise.resolve(null);
  const query = new URLSearchParams({
    worktree: root, path: hit.path, start_line: Math.max(1, hit.start_line - 6), end_line: hit.end_line + 6,
  });
  return ask(`/v1/file?${query}`);
}

// --- keys

function moveHit(step) {
  const all = [...document.querySelectorAll("#hits .where")];
  if (all.length === 0) return false;
  const item = document.activeElement?.closest?.("#hits > li");
  const at = item ? all.indexOf(item.querySelector(".where")) : step > 0 ? -1 : 1;
  const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
  next.focus({ preventScroll: true });
  next.closest("li").scrollIntoView({ block: "nearest" });
  return true;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("content").hidden) return;
  const { target } = event;
  const inHits = Boolean(target.closest?.("#hits"));
  const writes = ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName);
  const single = byId("keys").checked && !writes;
  let done = false;
  if (event.key === "/" && single) {
    byId("query").focus();
    byId("query").select();
    done = true;
  } else if ((event.key === "j" && single) || (event.key === "ArrowDown" && (inHits || target.id === "query"))) {
    done = moveHit(1);
  } else if ((event.key === "k" && single) || (event.key === "ArrowUp" && inHits)) {
    done = moveHit(-1);
  } else if (event.key === "Escape" && inHits) {
    const open = target.closest("li").querySelector(".where");
    if (open.getAttribute("aria-expanded") === "true") {
      open.click();
      open.focus();
    } else {
      byId("query").focus();
    }
    done = true;
  }
  if (done) event.preventDefault();
}

/** The names of the languages are in the document of the server's own API. */
async function fillLanguages() {
  const api = await ask("/v1/openapi.json").catch(() => null);
  const names = api?.components?.schemas?.SearchBody?.properties?.languages?.items?.enum ?? [];
  const select = byId("language");
  const before = select.value;
  select.replaceChildren(new Option("Any", ""), ...names.map((name) => new Option(name, name)));
  select.value = before;
}

function startSearch() {
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  for (const id of ["search-tree", "mode", "language", "kind", "paths", "limit"]) {
    byId(id).addEventListener("change", search);
  }
  const keys = byId("keys");
  keys.checked = kept(localStorage, "keys") !== "off";
  keys.addEventListener("change", () => kept(localStorage, "keys", keys.checked ? "on" : "off"));
  document.addEventListener("keydown", onKey);
}
