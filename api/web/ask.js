// The view "Ask": a question, then an answer with its evidence, or a refusal with its reason.

import * as api from "./api.js";
import { byId, gauge, make } from "./dom.js";
import { citationCard, evidenceId, hitCard, numberOf } from "./evidence.js";
import { languageOf } from "./text.js";

const SAMPLE_DOCUMENT = "policies/travel-expenses-2025.md";
const EXAMPLES = [
  "What is the mileage rate for a private car?",
  "When does the winter timetable begin?",
  "绝缘试验中有多少个电池模块不合格？",
  "What is the capital of Australia?",
];
const REFUSALS = {
  no_evidence: ["Nothing found", "Check the collection, or add a document that deals with this."],
  low_confidence: ["Not sure enough to answer", "Ask more precisely, or look at the nearest passages yourself."],
  conflicting_evidence: ["The documents contradict each other", "Compare the passages, and delete the one that is outdated."],
  unsupported_answer: ["No sentence could be supported", "Ask more precisely, or look at the nearest passages yourself."],
};

let running = null;

export function start(state) {
  const form = byId("ask-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(state, byId("question").value);
  });
  byId("question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  byId("examples").querySelector("ul").append(
    ...EXAMPLES.map((question) =>
      make(
        "li",
        { lang: languageOf(question) },
        make("button", { type: "button", onclick: () => askExample(state, question) }, question),
      ),
    ),
  );
}

/** Examples are for the sample documents: they are shown where those are. */
export async function onCollection(state) {
  running?.abort();
  byId("answer").replaceChildren();
  byId("ask-status").textContent = "";
  byId("examples").hidden = true;
  const query = { query: EXAMPLES[0], mode: "lexical", top_k: 1, filter: { document_id: SAMPLE_DOCUMENT } };
  const found = await api.post(`${api.collectionPath(state.collection)}/search`, query).catch(() => ({ hits: [] }));
  byId("examples").hidden = found.hits.length === 0;
}

function askExample(state, question) {
  byId("question").value = question;
  ask(state, question);
}

async function ask(state, question) {
  running?.abort();
  const call = new AbortController();
  running = call;
  const { collection } = state;
  const status = byId("ask-status");
  const draft = make("div", { class: "card draft" });
  status.textContent = "Looking for evidence …";
  byId("examples").hidden = true;
  byId("answer").replaceChildren(draft);
  try {
    const answer = await api.ask(collection, question, (name, data) => onEvent(name, data, status, draft), call.signal);
    const card = answer.refusal ? refusalCard(answer) : answerCard(collection, answer);
    byId("answer").replaceChildren(...[card, pendingNote(answer)].filter(Boolean));
    status.textContent = told(answer);
  } catch (problem) {
    if (call.signal.aborted) return;
    byId("answer").replaceChildren();
    status.textContent = "";
    state.report(problem);
  }
}

function onEvent(name, data, status, draft) {
  if (name === "retrieval") status.textContent = `Reading ${data.hits.length} passages …`;
  if (name === "sentence") draft.append(make("p", { lang: languageOf(data.text) }, data.text));
}

function told(answer) {
  const seconds = `${((answer.timings_ms.total || 0) / 1000).toFixed(2)} s`;
  if (answer.refusal) return `Refused in ${seconds}`;
  const count = answer.citations.length;
  return `Answered with ${count} ${count === 1 ? "citation" : "citations"} in ${seconds}`;
}

function answerCard(collection, answer) {
  const partial = answer.status === "partial" ? "Sentences that the evidence does not support were left out." : null;
  return make(
    "article",
    { "aria-label": "Answer" },
    make(
      "div",
      { class: "card answer" },
      make("p", { class: "answer-text", lang: languageOf(answer.answer) }, answerText(answer)),
      partial && make("p", { class: "warning" }, partial),
      make("div", { class: "gauges" }, gauge("Confidence", answer.confidence), riskNote(answer.risk)),
      feedback(answer, [["correct", "This is right"], ["incorrect", "This is wrong"]]),
    ),
    make("h2", {}, "Evidence"),
    make("ol", { class: "plain" }, answer.citations.map((citation) => citationCard(collection, citation))),
    conflicts(answer.conflicts),
    details(answer),
  );
}

/** The answer in pieces: short answers stand out (where there is more than them), each citation's marker follows the words that it supports. */
function answerText(answer) {
  const characters = Array.from(answer.answer);
  const places = [
    0,
    characters.length,
    ...answer.answer_spans.flatMap((span) => [span.start, span.end]),
    ...answer.citations.map((citation) => citation.answer_end),
  ];
  const cuts = [...new Set(places)].sort((a, b) => a - b);
  return cuts.slice(1).flatMap((end, number) => {
    const start = cuts[number];
    const text = characters.slice(start, end).join("");
    const stands = answer.answer_spans.some((span) => span.start <= start && end <= span.end);
    const markers = answer.citations.filter((citation) => citation.answer_end === end).map(markerLink);
    return [stands && text.length < answer.answer.length ? make("strong", {}, text) : text, ...markers];
  });
}

function markerLink(citation) {
  const target = evidenceId(citation);
  const show = (event) => {
    event.preventDefault();
    byId(target).scrollIntoView({ block: "center" });
    byId(target).focus({ preventScroll: true });
  };
  return make(
    "a",
    { class: "marker", href: `#${target}`, "aria-label": `Evidence ${numberOf(citation)}`, onclick: show },
    numberOf(citation),
  );
}

/** What the answer cannot know of, where documents were still coming in. */
function pendingNote(answer) {
  const pending = answer.documents_pending;
  if (!pending) return null;
  const still = pending === 1 ? "1 document was" : `${pending} documents were`;
  return make("p", { class: "warning pending" }, `${still} still being ingested and could not be searched: ask again later.`);
}

function riskNote(risk) {
  if (!risk) return null;
  const bound = (risk.bound * 100).toFixed(1);
  return make("p", { class: "facts" }, `Certified: at most ${bound} % of such answers are wrong.`);
}

function refusalCard(answer) {
  const { refusal } = answer;
  const [title, advice] = REFUSALS[refusal.reason] || ["No answer", ""];
  return make(
    "article",
    { "aria-label": "Refusal" },
    make(
      "div",
      { class: "card refusal" },
      make("h2", {}, title),
      make("p", {}, `${refusal.message} ${advice}`),
      make("div", { class: "gauges" }, gauge("Confidence", answer.confidence, refusal.threshold)),
      feedback(answer, [["should_refuse", "Rightly refused"], ["should_answer", "There is an answer"]]),
    ),
    refusal.nearest.length ? make("h2", {}, "Nearest passages") : null,
    make("ol", { class: "plain" }, refusal.nearest.map(hitCard)),
    details(answer),
  );
}

function conflicts(found) {
  if (!found.length) return null;
  return make(
    "section",
    { class: "card warning" },
    make("h2", {}, "Contradicted by"),
    make("ul", {}, found.map((one) => make("li", { class: "break" }, `${one.document_id}: “${one.quote}”`))),
  );
}

function feedback(answer, verdicts) {
  const box = make("div", { class: "row feedback" });
  const send = async (verdict) => {
    try {
      await api.post(`/v1/answers/${encodeURIComponent(answer.answer_id)}/feedback`, { verdict });
      box.replaceChildren("Thank you. This weighs in the credibility of what was cited.");
    } catch (problem) {
      box.replaceChildren(`Not recorded: ${problem.message}`);
    }
  };
  box.append(
    ...verdicts.map(([verdict, label]) => make("button", { type: "button", onclick: () => send(verdict) }, label)),
  );
  return box;
}

function details(answer) {
  const timings = Object.entries(answer.timings_ms).map(([stage, ms]) => `${stage} ${ms.toFixed(0)} ms`);
  const generator = [answer.generator.name, answer.generator.model].filter(Boolean).join(", ");
  const facts = [
    ["Answer", answer.answer_id],
    ["Question used", answer.question_used],
    ["Written by", generator],
    ["Index", answer.index_generation],
    ["Pipeline", answer.pipeline_fingerprint],
    ["Time", timings.join(", ")],
  ];
  return make(
    "details",
    { class: "how" },
    make("summary", {}, "How this came about"),
    make("dl", {}, facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", { class: "break" }, value)])),
  );
}
