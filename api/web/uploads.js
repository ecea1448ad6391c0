// Sending files: by button or by drag and drop, folders with all below them, with the progress of their ingestion.

import * as api from "./api.js";
import { byId, make } from "./dom.js";

const BATCH_FILES = 50;
const BATCH_BYTES = 64 * 1024 * 1024;
const POLL_MS = 400;
const ENDED = ["succeeded", "partial", "failed", "cancelled"];

export function start(state, onChange) {
  const send = (files) => uploadAll(state, files, onChange);
  for (const id of ["files", "folder"]) {
    byId(id).addEventListener("change", (event) => {
      const files = [...event.target.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
      event.target.value = "";
      send(files.filter(({ name }) => isVisible(name)));
    });
  }
  const zone = byId("upload-form");
  zone.addEventListener("submit", (event) => event.preventDefault());
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    });
  }
  zone.addEventListener("drop", async (event) => send(await droppedFiles(event.dataTransfer)));
}

async function uploadAll(state, files, onChange) {
  if (!files.length) return;
  const { collection } = state;
  const status = byId("upload-status");
  const bar = byId("upload-progress");
  byId("upload-failures").replaceChildren();
  bar.hidden = false;
  bar.removeAttribute("value");
  const outcome = { done: 0, unchanged: 0, failed: [] };
  try {
    for (const batch of inBatches(files)) {
      status.textContent = `Sending ${batch[0].name}${batch.length > 1 ? ` and ${batch.length - 1} more` : ""} …`;
      const submission = await api.upload(collection, formOf(batch));
      const job = await follow(submission.job_id, (seen) => showProgress(seen, status, bar));
      outcome.unchanged += submission.documents.filter((one) => one.status === "unchanged").length;
      outcome.done += job.done - job.failed;
      outcome.failed.push(...(await failuresOf(job)));
    }
  } catch (problem) {
    state.report(problem);
  }
  bar.hidden = true;
  status.textContent = told(outcome);
  byId("upload-failures").replaceChildren(failureList(outcome.failed));
  onChange();
}

function told({ done, unchanged, failed }) {
  const parts = [`${done - unchanged} ingested`];
  if (unchanged) parts.push(`${unchanged} already there`);
  if (failed.length) parts.push(`${failed.length} failed`);
  return parts.join(", ");
}

function formOf(batch) {
  const form = new FormData();
  for (const { file, name } of batch) form.append("files", file, name);
  const password = byId("password").value;
  if (password) form.append("password", password);
  return form;
}

async function follow(jobId, onProgress) {
  for (;;) {
    const job = await api.get(`/v1/jobs/${encodeURIComponent(jobId)}`);
    onProgress(job);
    if (ENDED.includes(job.state)) return job;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function showProgress(job, status, bar) {
  status.textContent = `${job.done} of ${job.total} documents (${job.stage || job.state})`;
  if (job.total) {
    bar.max = job.total;
    bar.value = job.done;
  }
}

async function failuresOf(job) {
  if (!job.failed) return job.error ? [{ document_id: "The whole upload", error: job.error }] : [];
  return (await api.get(`/v1/jobs/${encodeURIComponent(job.job_id)}/documents`, { state: "failed", limit: 200 })).items;
}

function failureList(failed) {
  const items = failed.map(({ document_id: id, error }) =>
    make("li", { class: "break" }, make("strong", {}, id), make("div", {}, `${error.message} (${error.code})`)),
  );
  return items.length ? make("ul", { class: "card warning failures", "aria-label": "Failed documents" }, items) : "";
}

function* inBatches(files) {
  let batch = [];
  let bytes = 0;
  for (const one of files) {
    if (batch.length && (batch.length === BATCH_FILES || bytes + one.file.size > BATCH_BYTES)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(one);
    bytes += one.file.size;
  }
  if (batch.length) yield batch;
}

async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  return (await Promise.all(entries.map(filesBelow))).flat().filter(({ name }) => isVisible(name));
}

async function filesBelow(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, name: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map(filesBelow))).flat());
  }
}

function isVisible(path) {
  return !path.split("/").some((part) => part.startsWith("."));
}
