// The view "Search": passages by rank, with the score of every stage.

import * as api from "./api.js";
import { byId } from "./dom.js";
import { hitCard } from "./evidence.js";

export function start(state) {
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    search(state);
  });
}

export function onCollection() {
  byId("hits").replaceChildren();
  byId("search-status").textContent = "";
}

async function search(state) {
  const status = byId("search-status");
  const begun = performance.now();
  status.textContent = "Searching …";
  try {
    const found = await api.post(`${api.collectionPath(state.collection)}/search`, {
      query: byId("query").value,
      mode: byId("mode").value,
      top_k: Number(byId("top-k").value),
      rerank: byId("rerank").checked,
    });
    byId("hits").replaceChildren(...found.hits.map(hitCard));
    status.textContent = found.hits.length
      ? `${found.hits.length} passages in ${(performance.now() - begun).toFixed(0)} ms`
      : "No passage matches. Try other words, or search by meaning.";
  } catch (problem) {
    onCollection();
    state.report(problem);
  }
}
