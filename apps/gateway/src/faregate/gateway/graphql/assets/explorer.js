// Explorer of the GraphQL schema: asks, completes, describes. It loads nothing from other servers.
import { completionsAt } from "./completion.js";
import { EXAMPLES } from "./examples.js";
import { describe, load } from "./schema.js";

const at = (id) => document.getElementById(id);
const query = at("query"), variables = at("variables"), list = at("completions");
let schema = null, csrf = null, chosen = 0, offered = null;

async function send(text, given = {}) {
  const headers = { "content-type": "application/json", accept: "application/graphql-response+json" };
  const key = at("key").value.trim();
  if (key) headers.authorization = `Bearer ${key}`;
  else if (csrf) headers["x-csrf-token"] = csrf;
  const body = JSON.stringify({ query: text, variables: given });
  return fetch("/graphql", { method: "POST", headers, body, credentials: "same-origin" });
}

async function run() {
  const began = performance.now();
  at("status").textContent = "Running …";
  let given = {};
  try {
    given = variables.value.trim() ? JSON.parse(variables.value) : {};
  } catch (error) {
    at("status").textContent = `The variables are not JSON: ${error.message}`;
    return;
  }
  location.hash = encodeURIComponent(query.value);
  try {
    const response = await send(query.value, given);
    const text = await response.text();
    const spent = Math.round(performance.now() - began);
    at("answer").textContent = pretty(text);
    at("status").textContent = `${response.status} · ${spent} ms${priceIn(text)}`;
    if (response.ok && !schema) await learn();
  } catch (error) {
    at("status").textContent = `The gateway cannot be reached: ${error.message}`;
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function priceIn(text) {
  const found = /"cost":\{"points":(\d+),"limit":(\d+)/.exec(text);
  return found ? ` · ${found[1]} of ${found[2]} points` : "";
}

async function learn() {
  schema = await load(send);
  if (schema) describe(schema, schema.root, at("schema"), insert);
}

function insert(text) {
  query.setRangeText(text, query.selectionStart, query.selectionEnd, "end");
  query.focus();
}

function offer() {
  offered = schema && completionsAt(schema, query.value, query.selectionStart);
  if (!offered || !offered.names.length) return leave();
  chosen = 0;
  list.replaceChildren(...offered.names.map((each, index) => {
    const line = document.createElement("li"), kind = document.createElement("small");
    line.setAttribute("role", "option");
    line.textContent = each.name;
    kind.textContent = each.kind;
    line.append(kind);
    line.addEventListener("mousedown", (event) => { event.preventDefault(); take(index); });
    return line;
  }));
  list.hidden = false;
  mark();
}

function mark() {
  [...list.children].forEach((line, index) => line.setAttribute("aria-selected", String(index === chosen)));
  list.children[chosen]?.scrollIntoView({ block: "nearest" });
}

function take(index) {
  query.setRangeText(offered.names[index].name, offered.start, query.selectionStart, "end");
  leave();
}

function leave() {
  list.hidden = true;
  offered = null;
}

function onKey(event) {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { event.preventDefault(); leave(); run(); return; }
  if (event.ctrlKey && event.key === " ") { event.preventDefault(); offer(); return; }
  if (list.hidden) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const count = list.children.length;
    chosen = (chosen + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
    mark();
  } else if (event.key === "Enter" || event.key === "Tab") { event.preventDefault(); take(chosen); }
  else if (event.key === "Escape") leave();
}

async function begin() {
  at("examples").replaceChildren(...EXAMPLES.map(([name, text]) => new Option(name, text)));
  at("examples").addEventListener("change", (event) => { query.value = event.target.value; });
  query.value = decodeURIComponent(location.hash.slice(1)) || EXAMPLES[0][1];
  query.addEventListener("keydown", onKey);
  query.addEventListener("input", () => { if (!list.hidden) offer(); });
  query.addEventListener("blur", leave);
  at("run").addEventListener("click", run);
  at("key").addEventListener("change", learn);
  const response = await fetch("/api/session", { credentials: "same-origin" });
  if (response.ok) {
    csrf = (await response.json()).data.csrf_token;
    at("credential").hidden = true;
    at("who").textContent = "signed in by the dashboard";
    await learn();
  }
  document.body.dataset.ready = "true";
}

begin();
