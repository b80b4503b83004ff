
// --- the connection, and the start

/** Signs of life come each 20 seconds; after so many milliseconds without, it is gone. */
const SILENCE = 50_000;
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;

let connection = null;
let wait = FIRST_WAIT;
let again = 0;

/** Nobody without a token sees anything; says why, and how to get one. */
function lockOut(reason) {
  token = null;
  kept(sessionStorage, "token", null);
  connection?.abort();
  clearTimeout(again);
  for (const id of ["content", "sections", "daemon", "offline"]) setHidden(byId(id), true);
  document.body.classList.remove("is-offline");
  setText(byId("door-reason"), reason);
  setHidden(byId("door-reason"), !reason);
  setHidden(byId("door"), false);
  setState(byId("connection"), ["gone", "No token"]);
  byId("door-token").focus();
}

function letIn(text) {
  token = text;
  kept(sessionStorage, "token", text);
  setHidden(byId("door"), true);
  byId("door-token").value = "";
  wait = FIRST_WAIT;
  connect();
}

/** The token of an address that `indexer page` printed, or the text itself. */
function tokenIn(text) {
  const found = text.match(/#token=([^&\s]+)/);
  return (found ? found[1] : text).trim();
}

/** Takes the token out of the address: neither the history nor a screenshot is to have it. */
function takeToken() {
  if (!location.hash.startsWith("#token=")) return null;
  const found = tokenIn(location.hash);
  history.replaceState(null, "", location.pathname);
  return found;
}

function disconnected(reason) {
  setState(byId("connection"), ["warn", "Not connected"]);
  const shown = byId("content").hidden ? "" : ` What is shown is of ${clock(new Date(lastEvent))}.`;
  setText(part(byId("offline"), "text"), `${reason}; trying again.${shown}`);
  setHidden(byId("offline"), false);
  document.body.classList.add("is-offline");
  clearTimeout(again);
  // Not all pages at the same moment.
  again = setTimeout(connect, wait * (0.75 + Math.random() / 2));
  wait = Math.min(wait * 2, LONGEST_WAIT);
}

let lastEvent = 0;

function connected(status) {
  wait = FIRST_WAIT;
  lastEvent = Date.now();
  setState(byId("connection"), ["ok", "Live"]);
  setHidden(byId("offline"), true);
  document.body.classList.remove("is-offline");
  for (const id of ["content", "sections", "daemon"]) setHidden(byId(id), false);
  showStatus(status);
  if (byId("language").options.length < 2) fillLanguages();
}

/** Listens until it ends, and begins again: the status comes whenever it changes. */
async function connect() {
  clearTimeout(again);
  connection?.abort();
  const mine = new AbortController();
  connection = mine;
  let silence = 0;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => mine.abort(), SILENCE);
  };
  let reason = "the daemon has ended, or starts again";
  try {
    heard();
    const response = await request("/v1/events", { signal: mine.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      heard();
      const events = (text + value).split("\n\n");
      text = events.pop();
      const data = events.flatMap((event) => event.split("\n")).filter((line) => line.startsWith("data: "));
      // Of several only the last is how it is.
      if (data.length > 0) connected(JSON.parse(data.at(-1).slice(6)));
    }
  } catch (error) {
    if (error instanceof Refusal) reason = error.text();
  } finally {
    clearTimeout(silence);
  }
  if (connection === mine && token) disconnected(reason);
}

/** Whoever comes back to the page does not wait. */
function hurry() {
  if (token && !byId("offline").hidden && document.visibilityState === "visible") connect();
}

function start() {
  setTheme(document.documentElement.dataset.theme);
  byId("theme").addEventListener("click", () => {
    const at = THEMES.indexOf(document.documentElement.dataset.theme);
    setTheme(THEMES[(at + 1) % THEMES.length]);
  });
  byId("filter").addEventListener("input", filterTrees);
  byId("door-form").addEventListener("submit", (event) => {
    event.preventDefault();
    letIn(tokenIn(byId("door-token").value));
  });
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copy(button.dataset.copy, button));
  }
  part(byId("offline"), "retry").addEventListener("click", connect);
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
  addEventListener("hashchange", () => {
    const given = takeToken();
    if (given) letIn(given);
  });
  startSearch();
  startMemory();
  const given = takeToken() ?? kept(sessionStorage, "token");
  if (given) letIn(given);
  else lockOut("");
}

// Before anything is painted.
setTheme(kept(localStorage, "theme"));
document.addEventListener("DOMContentLoaded", start);
