"use strict";
// What all parts of the page share: elements, texts, requests. What comes from the server is
// put into the page as text alone.

const byId = (id) => document.getElementById(id);
const part = (element, name) => element.querySelector(`[data-part="${name}"]`);
const clone = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** Writes only what is different, so that nothing moves and no selection is lost. */
function setText(element, text) {
  const next = text ?? "";
  if (element.textContent !== next) element.textContent = next;
}

function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

/** A state is an icon and a word; the colour only repeats them. */
function setState(element, [icon, word]) {
  if (element.dataset.state === icon && element.textContent === word) return;
  element.dataset.state = icon;
  element.querySelector("use").setAttribute("href", `#icon-${icon}`);
  element.querySelector("span").textContent = word;
}

/** Without a total the bar only says that something goes on. */
function setProgress(element, done, total) {
  if (total > 0) {
    element.max = total;
    element.value = Math.min(done, total);
  } else {
    element.removeAttribute("value");
  }
}

function node(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// --- words

const number = (value) => value.toLocaleString("en");
const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;
const percent = (part, whole) => (whole > 0 ? Math.floor((part * 100) / whole) : 100);

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; count >= 1000 && at < units.length - 1; at += 1) count /= 1000;
  return `${at > 0 && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[at]}`;
}

function duration(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const two = (value) => String(value).padStart(2, "0");

/** Local time; seconds since the epoch. */
function time(seconds) {
  const at = new Date(seconds * 1000);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

function clock(at) {
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** A path of the machine: its text, or hexadecimal digits where it is not UTF-8. */
const placeText = (place) => (typeof place === "string" ? place : `hex:${place.hex}`);
const placeKey = (place) => JSON.stringify(place);

// --- what is kept

/** A browser may keep nothing, and says so by an error. */
function kept(store, name, value) {
  try {
    if (value === undefined) return store.getItem(name);
    if (value === null) store.removeItem(name);
    else store.setItem(name, value);
  } catch {
    // Then it is so for this visit alone.
  }
  return null;
}

const THEMES = ["system", "light", "dark"];

function setTheme(name) {
  const theme = THEMES.includes(name) ? name : "system";
  document.documentElement.dataset.theme = theme;
  kept(localStorage, "theme", theme);
  const button = byId("theme");
  if (button) setText(button, `Theme: ${theme}`);
}

// --- requests

let token = null;

/** An answer that is an error, or none. */
class Refusal extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.hint = error.hint ?? "";
    this.id = error.request_id ?? "";
  }

  text() {
    return [this.message, this.hint].filter(Boolean).join(": ");
  }
}

/** Asks with the token; what is no answer of the daemon's own is a refusal all the same. */
async function request(path, options = {}) {
  const headers = { Authorization: `Bearer ${token}` };
  if (options.body) headers["Content-Type"] = "application/json";
  const body = options.body && JSON.stringify(options.body);
  const method = options.body ? "POST" : "GET";
  let response;
  try {
    response = await fetch(path, { method, headers, body, signal: options.signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, { message: "the daemon does not answer", hint: "`indexer watch` starts it" });
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  const refusal = new Refusal(response.status, answer.error ?? { message: `it answered ${response.status}` });
  if (refusal.status === 401) lockOut(refusal.message);
  throw refusal;
}

const ask = async (path, options) => (await request(path, options)).json();

// --- copies

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP from elsewhere there is no clipboard but the old one.
    const field = node("textarea", "unseen");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.dataset.done = "yes";
  byId("search-status").textContent = `copied ${text}`;
  setTimeout(() => delete button.dataset.done, 1500);
}

// --- code

const COMMON = new Set(
  ("a an and are as at be by can do does for from how i if in is it its of on or that the this to was what when " +
    "where which who why will with").split(" "),
);

/** What of a query is marked in a text: its words, and the words within its names. */
function wordsOf(query) {
  const words = new Set();
  for (const word of query.match(/[\p{L}\p{N}_]+/gu) ?? []) {
    if (word.length > 1 && !COMMON.has(word.toLowerCase())) words.add(word.toLowerCase());
    for (const piece of word.split(/_|(?<=\p{Ll})(?=\p{Lu})/u)) {
      if (piece.length > 2 && !COMMON.has(piece.toLowerCase())) words.add(piece.toLowerCase());
    }
  }
  const longest = [...words].sort((a, b) => b.length - a.length);
  return longest.length > 0 ? new RegExp(longest.join("|"), "giu") : null;
}

function marked(text, words) {
  const made = document.createDocumentFragment();
  let at = 0;
  for (const found of words ? text.matchAll(words) : []) {
    made.append(text.slice(at, found.index), node("mark", "", found[0]));
    at = found.index + found[0].length;
  }
  made.append(text.slice(at));
  return made;
}

/** Lines with their numbers; those outside `range` stand back. */
function showLines(into, text, first, range, words) {
  const lines = text.replace(/\r?\n$/, "").split("\n");
  const rows = lines.map((line, at) => {
    const outside = first + at < range[0] || first + at > range[1];
    const row = node("div", outside ? "line outside" : "line");
    const content = node("code");
    content.append(marked(line.replace(/\r$/, ""), words));
    row.append(node("span", "number", String(first + at)), content);
    return row;
  });
  into.replaceChildren(...rows);
}
