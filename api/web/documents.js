// The view "Documents": what there is, in which state, to read and to delete.

import * as api from "./api.js";
import { byId, gauge, make } from "./dom.js";
import { languageOf } from "./text.js";

const PAGE = 50;
const TEXT_SHOWN = 500_000;

let cursor = null;

export function start(state) {
  byId("refresh").addEventListener("click", () => load(state));
  byId("status-filter").addEventListener("change", () => load(state));
  byId("more").addEventListener("click", () => loadPage(state));
}

export function onCollection(state) {
  return load(state);
}

/** List from the beginning. */
export async function load(state) {
  cursor = null;
  await loadPage(state, (rows) => byId("document-list").tBodies[0].replaceChildren(...rows));
}

async function loadPage(state, put = (rows) => byId("document-list").tBodies[0].append(...rows)) {
  const { collection } = state;
  const path = `${api.collectionPath(collection)}/documents`;
  try {
    const page = await api.get(path, { status: byId("status-filter").value, limit: PAGE, cursor });
    if (collection !== state.collection) return;
    put(page.items.map((one) => row(state, one)));
    cursor = page.next_cursor;
    const shown = byId("document-list").tBodies[0].rows.length;
    byId("document-list").hidden = shown === 0;
    byId("more").hidden = cursor === null;
    byId("list-status").textContent = shown ? "" : "There are no such documents.";
  } catch (problem) {
    state.report(problem);
  }
}

function row(state, one) {
  const title = one.title || one.document_id;
  const read = make("button", { type: "button", onclick: () => openText(state, one) }, "Read");
  read.disabled = one.chunks === 0;
  return make(
    "tr",
    {},
    make(
      "th",
      { scope: "row", class: "break" },
      make("span", { lang: languageOf(title) }, title),
      title === one.document_id ? null : make("span", { class: "facts" }, one.document_id),
      one.error && make("span", { class: "warning" }, one.error.message),
    ),
    cell("State", make("span", { class: `state ${one.status}` }, one.status)),
    cell("Pages", one.pages === null ? "–" : String(one.pages)),
    cell("Passages", String(one.chunks)),
    cell("Credibility", gauge("Credibility", one.credibility.score)),
    make(
      "td",
      { class: "actions" },
      read,
      make("button", { type: "button", "aria-label": `Delete ${title}`, onclick: () => confirmDelete(state, one) }, "Delete"),
    ),
  );
}

function cell(label, content) {
  return make("td", { "data-label": label }, content);
}

async function openText(state, one) {
  try {
    const text = await api.documentText(state.collection, one.document_id, one.version);
    byId("text-title").textContent = one.title || one.document_id;
    byId("text-body").lang = languageOf(text);
    byId("text-body").textContent = text.length > TEXT_SHOWN ? `${text.slice(0, TEXT_SHOWN)} …` : text;
    byId("text-dialog").showModal();
    byId("text-body").scrollTop = 0;
  } catch (problem) {
    state.report(problem);
  }
}

function confirmDelete(state, one) {
  const dialog = byId("delete-dialog");
  byId("delete-name").textContent = one.document_id;
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "delete") deleteDocument(state, one);
  };
  dialog.showModal();
}

async function deleteDocument(state, one) {
  try {
    const receipt = await api.remove(api.documentPath(state.collection, one.document_id));
    await load(state);
    byId("list-status").textContent = `Deleted ${one.document_id}. Receipt: ${receipt.receipt_id}`;
  } catch (problem) {
    state.report(problem);
  }
}
