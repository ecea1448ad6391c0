// The page: views, collection, key, problems.

import * as api from "./api.js";
import * as ask from "./ask.js";
import * as documents from "./documents.js";
import { byId, make } from "./dom.js";
import * as search from "./search.js";
import * as uploads from "./uploads.js";

const VIEWS = ["ask", "search", "documents"];
const state = { collection: "default", report };

function report(problem) {
  const box = byId("problem");
  const fields = (problem.fields || []).map((one) => `${one.field}: ${one.message}`);
  box.textContent = [problem.message, ...fields].join(" ");
  box.hidden = false;
  if (problem.status === 401) byId("key-box").open = true;
}

function show(view) {
  for (const name of VIEWS) {
    const shown = name === view;
    byId(name).hidden = !shown;
    byId(`tab-${name}`).setAttribute("aria-selected", String(shown));
    byId(`tab-${name}`).tabIndex = shown ? 0 : -1;
  }
  byId("problem").hidden = true;
  history.replaceState(null, "", `#${view}`);
}

function startTabs() {
  VIEWS.forEach((name, number) => {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => show(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = VIEWS[(number + step + VIEWS.length) % VIEWS.length];
      show(next);
      byId(`tab-${next}`).focus();
    });
  });
  const wanted = location.hash.slice(1);
  show(VIEWS.includes(wanted) ? wanted : "ask");
}

function startKey() {
  byId("key").value = api.storedKey();
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    api.storeKey(byId("key").value.trim());
    byId("key-box").open = false;
    loadCollections();
  });
}

async function loadCollections() {
  try {
    const { items } = await api.get("/v1/collections", { limit: 1000 });
    const names = items.map((one) => one.name);
    if (!names.includes(state.collection) && names.length) [state.collection] = names;
    const options = names.map((name) => make("option", { value: name, selected: name === state.collection }, name));
    byId("collection").replaceChildren(...options);
    byId("problem").hidden = true;
    enterCollection();
  } catch (problem) {
    report(problem);
  }
}

function enterCollection() {
  ask.onCollection(state);
  search.onCollection(state);
  documents.onCollection(state);
}

document.addEventListener("submit", () => {
  byId("problem").hidden = true;
});
byId("collection").addEventListener("change", (event) => {
  state.collection = event.target.value;
  enterCollection();
});
startTabs();
startKey();
ask.start(state);
search.start(state);
documents.start(state);
uploads.start(state, () => documents.load(state));
loadCollections();
