// Citations and passages: the quote in the text that it comes from.

import { documentText } from "./api.js";
import { gauge, make, place } from "./dom.js";
import { languageOf, surroundings } from "./text.js";

const AROUND = 280;
const MORE = 1500;

/** The number in a citation's marker, `[1]`. */
export function numberOf(citation) {
  return citation.marker.replace(/[[\]]/g, "");
}

export function evidenceId(citation) {
  return `evidence-${numberOf(citation)}`;
}

/** A numbered citation with its quote in context. */
export function citationCard(collection, citation) {
  const context = make("div", { class: "context", lang: languageOf(citation.quote) }, make("mark", {}, citation.quote));
  const note = make("p", { class: "facts" }, "Looking up the text around the quote …");
  showContext(collection, citation, context, note, AROUND);
  return make(
    "li",
    { id: evidenceId(citation), class: "card evidence", tabIndex: -1 },
    make("span", { class: "number", "aria-hidden": "true" }, numberOf(citation)),
    place(citation),
    context,
    note,
    make("div", { class: "gauges" }, gauge("Support", citation.support), gauge("Credibility", citation.credibility)),
  );
}

async function showContext(collection, citation, context, note, around) {
  try {
    const text = await documentText(collection, citation.document_id, citation.version);
    const found = surroundings(text, citation.char_start, citation.char_end, around);
    if (found.quote !== citation.quote) {
      note.replaceChildren("Warning: the stored text differs from this quote at the cited place.");
      note.className = "warning";
      return;
    }
    const mark = make("mark", {}, found.quote);
    const before = `${found.cutBefore ? "… " : ""}${found.before}`;
    context.replaceChildren(before, mark, `${found.after}${found.cutAfter ? " …" : ""}`);
    context.scrollTop = mark.offsetTop - context.clientHeight / 4;
    const more = make("button", { type: "button", class: "link" }, "Show more of the text");
    more.addEventListener("click", () => showContext(collection, citation, context, note, around + MORE));
    note.replaceChildren("✓ Found word for word in the stored text. ", found.cutBefore || found.cutAfter ? more : "");
  } catch (problem) {
    note.replaceChildren(`The text around the quote cannot be shown: ${problem.message}`);
  }
}

/** A passage found by a search: where it stands, what it says, how each stage scored it. */
export function hitCard(hit) {
  const scores = Object.entries(hit.scores).filter(([, score]) => score !== null);
  return make(
    "li",
    { class: "card evidence" },
    make("span", { class: "number", "aria-hidden": "true" }, String(hit.rank)),
    place(hit),
    make("div", { class: "context", lang: languageOf(hit.text) }, hit.text),
    make(
      "dl",
      { class: "scores" },
      [["score", hit.score], ...scores].map(([stage, score]) =>
        make("div", {}, make("dt", {}, stage), make("dd", {}, score.toFixed(3))),
      ),
    ),
  );
}
