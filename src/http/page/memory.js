
// --- memory: what agents keep

const MEMORIES = 10;
let remembering = 0;
let nextMemories = null;

/** Shows the newest, those that answer the question, or with `more` the next ones. */
async function showMemories(more = false) {
  const mine = (remembering += 1);
  const kind = byId("memory-kind").value;
  const tree = byId("memory-tree").value;
  const query = byId("memory-query").value.trim();
  const ofTree = kind === "checkpoints";
  byId("memory-tree").disabled = !ofTree;
  const status = byId("memory-status");
  status.dataset.state = "";
  if (ofTree && !tree) {
    byId("memories").replaceChildren();
    setHidden(byId("memory-more"), true);
    setText(status, "Checkpoints belong to a worktree, and there is none yet.");
    return;
  }
  const root = ofTree ? JSON.parse(tree) : null;
  try {
    const answer = await fetchMemories(kind, root, query, more);
    if (mine !== remembering) return;
    const found = answer.hits?.map((hit) => hit.checkpoint ?? hit.remediation) ?? answer.memories;
    const elements = found.map((memory) => (ofTree ? checkpointElement(memory, root) : remediationElement(memory)));
    if (more) byId("memories").append(...elements);
    else byId("memories").replaceChildren(...elements);
    if (more) elements[0]?.querySelector(".where").focus();
    nextMemories = answer.next ?? null;
    setHidden(byId("memory-more"), !nextMemories);
    const shown = byId("memories").children.length;
    const what = kind === "checkpoints" ? ["checkpoint", "checkpoints"] : ["remediation", "remediations"];
    const none = query ? `No ${what[1]} about that.` : `No ${what[1]} are kept yet.`;
    const all = answer.total === undefined ? plural(shown, ...what) : `${number(shown)} of ${plural(answer.total, ...what)}`;
    setText(status, shown > 0 ? all : none);
  } catch (error) {
    if (mine !== remembering) return;
    byId("memories").replaceChildren();
    setHidden(byId("memory-more"), true);
    status.dataset.state = "fail";
    setText(status, error instanceof Refusal ? `No answer: ${error.text()}` : String(error));
  }
}

function fetchMemories(kind, root, query, more) {
  if (query) {
    const body = { query, limit: MEMORIES };
    if (root) body.worktree = root;
    return ask(`/v1/${kind}/search`, { body });
  }
  const params = new URLSearchParams({ limit: MEMORIES });
  if (root) params.set("worktree", root);
  if (more && nextMemories) params.set("cursor", nextMemories);
  return ask(`/v1/${kind}?${params}`);
}

function memoryElement(title, about, tags, open) {
  const element = clone("memory-template");
  const button = part(element, "open");
  setText(button, title);
  setText(part(element, "about"), about.filter(Boolean).join(" · "));
  part(element, "tags").append(...tags.map((tag) => node("span", "chip", tag)));
  setHidden(part(element, "tags"), tags.length === 0);
  button.addEventListener("click", async () => {
    const expand = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(expand));
    setHidden(part(element, "more"), !expand);
    if (expand) await open(element);
  });
  return element;
}

const STATES = { unchanged: "ok", moved: "ok", changed: "warn", gone: "fail" };

function referenceElement(reference) {
  const item = node("li", "state");
  const icon = byId("offline").querySelector("svg").cloneNode(true);
  item.append(icon, node("span"));
  const lines = (start, end) => (start ? `:${start}${end && end !== start ? `-${end}` : ""}` : "");
  const place = `${reference.path ?? `hex:${reference.path_hex}`}${lines(reference.start_line, reference.end_line)}`;
  const now = reference.state === "moved" && reference.now ? `, now${lines(...reference.now)}` : "";
  setState(item, [STATES[reference.state] ?? "wait", `${place} — ${reference.state}${now}`]);
  return item;
}

function checkpointElement(checkpoint, root) {
  const branch = checkpoint.branch && `on ${checkpoint.branch}${checkpoint.same_branch ? "" : " (another branch)"}`;
  const about = [time(checkpoint.created_at), branch, checkpoint.commit?.slice(0, 10), bytes(checkpoint.content_bytes)];
  return memoryElement(checkpoint.summary, about, checkpoint.tags, async (element) => {
    const content = part(element, "content");
    if (content.textContent) return;
    const params = typeof root === "string" ? `?${new URLSearchParams({ worktree: root })}` : "";
    try {
      const whole = await ask(`/v1/checkpoints/${encodeURIComponent(checkpoint.id)}${params}`);
      setText(content, whole.content || "Nothing but the summary was kept.");
      part(element, "references").replaceChildren(...whole.references.map(referenceElement));
    } catch (error) {
      setText(content, error instanceof Refusal ? error.text() : String(error));
    }
  });
}

function remediationElement(memory) {
  const votes = memory.helpful + memory.unhelpful > 0 && `helped ${memory.helpful} of ${memory.helpful + memory.unhelpful}`;
  const about = [memory.category, `met ${plural(memory.occurrences, "time", "times")}`, `last ${time(memory.last_seen)}`, votes];
  return memoryElement(memory.error, about, memory.tags, async (element) => {
    setText(part(element, "content"), memory.solution);
  });
}

function startMemory() {
  byId("memory-form").addEventListener("submit", (event) => {
    event.preventDefault();
    showMemories();
  });
  for (const id of ["memory-kind", "memory-tree"]) byId(id).addEventListener("change", () => showMemories());
  byId("memory-more").addEventListener("click", () => showMemories(true));
}
