// Calls of the gateway's API. Decimal numbers stay texts, so that no digit is lost.

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
let csrf = null;

export class ApiError extends Error {
  constructor(status, detail, code, requestId, facts) {
    super(detail);
    Object.assign(this, { status, code, requestId, facts });
  }
}

export function exactJson(text) {
  return JSON.parse(text.replace(TOKEN, (token) =>
    token[0] === '"' || (token.length < 16 && !/[.eE]/.test(token)) ? token : `"${token}"`));
}

export function setCsrf(value) { csrf = value; }

let bearer = null;
export function setBearer(value) { bearer = value; }

export function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  const text = new URLSearchParams(given).toString();
  return text ? `${path}?${text}` : path;
}

// A number in a body is given as text with `exact`, and written without quotes.
export function exact(text) { return { exact: String(text).trim() }; }

function written(value) {
  if (value && typeof value === "object" && "exact" in value) return value.exact;
  if (Array.isArray(value)) return `[${value.map(written).join(",")}]`;
  if (value && typeof value === "object") {
    return `{${Object.entries(value).filter(([, each]) => each !== undefined).map(([name, each]) => `${JSON.stringify(name)}:${written(each)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

async function request(method, path, { query, body, headers = {}, dryRun = false }) {
  const sent = { accept: "application/json", ...headers };
  if (csrf && method !== "GET") sent["x-csrf-token"] = csrf;
  if (bearer) sent.authorization = `Bearer ${bearer}`;
  if (dryRun) sent["x-faregate-dry-run"] = "true";
  if (body !== undefined) sent["content-type"] = "application/json";
  try {
    return await fetch(address(path, query), {
      method, headers: sent, credentials: "same-origin", body: body === undefined ? undefined : typeof body === "string" ? body : written(body),
    });
  } catch (error) {
    throw new ApiError(0, `The gateway cannot be reached: ${error.message}`, "unreachable", null, {});
  }
}

export async function call(method, path, options = {}) {
  return read(await request(method, path, options), options.bare);
}

// A file: its name and its content.
export async function fetchFile(path, { method = "GET", query, body } = {}) {
  const response = await request(method, path, { query, body });
  if (!response.ok) await read(response);
  const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") || "")?.[1] || "file";
  return { name, blob: await response.blob() };
}

async function read(response, bare = false) {
  const requestId = response.headers.get("x-request-id");
  const text = await response.text();
  let content = {};
  try { content = exactJson(text); } catch { /* an answer without JSON is described by its status */ }
  if (!response.ok) {
    const fields = (content.error?.fields || []).map((field) => field.message || JSON.stringify(field));
    const detail = [content.error?.detail || content.message || response.statusText, ...fields].join(" · ");
    if (response.status === 401 && !bare) window.dispatchEvent(new CustomEvent("signed-out"));
    throw new ApiError(response.status, detail, content.error?.code, requestId, content.error || {});
  }
  return { data: content.data, meta: content.meta || {}, message: content.message, replayed: response.headers.get("idempotency-replayed") };
}

export const get = (path, query) => call("GET", path, { query });

export function curl(path, query, method = "GET") {
  const url = `${location.origin}${address(path, query)}`.replaceAll("'", "%27");
  const verb = method === "GET" ? "" : `-X ${method} `;
  return `curl ${verb}-H "Authorization: Bearer $FAREGATE_KEY" '${url}'`;
}

export function newKey() {
  return crypto.randomUUID ? crypto.randomUUID() : Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}
