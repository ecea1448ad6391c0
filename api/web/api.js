// Calls of the HTTP interface. Errors are `Problem`s, with the code and the text of the service.

const KEY = "citewell-key";

export class Problem extends Error {
  constructor({ status, code, detail, title, errors = [] }) {
    super(detail || title || `The service answered with status ${status}.`);
    this.status = status;
    this.code = code || `http_${status}`;
    this.fields = errors || [];
  }
}

export function storedKey() {
  return sessionStorage.getItem(KEY) || "";
}

export function storeKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export const get = (path, query = {}) => json(withQuery(path, query));
export const post = (path, body, options = {}) => json(path, { ...options, method: "POST", ...asJson(body) });
export const remove = (path) => json(path, { method: "DELETE" });
export const collectionPath = (collection) => `/v1/collections/${encodeURIComponent(collection)}`;
export const documentPath = (collection, id) => `${collectionPath(collection)}/documents/${encodeURIComponent(id)}`;

/** Send a form of files; the answer names the job. */
export function upload(collection, form) {
  return json(`${collectionPath(collection)}/documents`, { method: "POST", body: form });
}

const texts = new Map();

/** The extracted text of a version; kept, because a version never changes. */
export function documentText(collection, id, version) {
  const path = withQuery(`${documentPath(collection, id)}/text`, { version });
  if (!texts.has(path)) {
    const text = send(path).then((response) => response.text());
    texts.set(path, text);
    text.catch(() => texts.delete(path));
  }
  return texts.get(path);
}

/** Ask with a stream of events; `onEvent(name, data)` sees each, the promise gives the finished answer. */
export async function ask(collection, question, onEvent, signal) {
  const path = `${collectionPath(collection)}/ask`;
  const response = await send(path, { method: "POST", signal, ...asJson({ question, stream: true }) });
  for await (const { name, data } of events(response.body)) {
    if (name === "error") throw new Problem(data);
    if (name === "done") return data;
    onEvent(name, data);
  }
  throw new Problem({ status: 502, detail: "The connection ended before the answer was finished. Ask again." });
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const blocks = (rest + part.value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (name && data) yield { name, data: JSON.parse(data) };
    }
  }
}

async function json(path, options) {
  return (await send(path, options)).json();
}

async function send(path, options = {}) {
  const key = storedKey();
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new Problem({ status: 0, code: "unreachable", detail: "The service does not answer. Is it still running?" });
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Problem({ status: response.status, ...problem });
  }
  return response;
}

function asJson(body) {
  return { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

function withQuery(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}
