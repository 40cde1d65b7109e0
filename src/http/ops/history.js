// What was moved: search, one transfer with its story, Undo.

import { html, nothing } from "./lit-html.js";
import { ask, withQuery } from "./api.js";
import { app, attempt, draw, every, focusOn, go, isId, may, nameOf, say, typed } from "./state.js";
import { at, command, count, facts, field, fold, missing, nameList, problemBox, question, queueField, short, shortly, status, table, text, warningList } from "./parts.js";

const MEANINGS = {
  pending: "It is recorded and not settled yet.", accepted: "Genesys took the command.",
  confirmed: "The call was seen in the target queue.", skipped: "It was never sent.",
  failed: "The call certainly did not move.", unknown: "The call may have moved; the service is finding out.",
};

const search = { text: "", queue: "", status: "", items: null, cursor: null, problem: null };
let story = null;

const query = () => ({
  [isId(search.text) ? "conversationId" : "reference"]: search.text.trim(),
  queueId: search.queue && (typed(search.queue)?.id ?? search.queue.trim()), status: search.status,
});

const find = (cursor) => attempt(search, async () => {
  const page = await ask("GET", withQuery("/transfers", { ...query(), cursor }));
  search.items = cursor ? [...search.items, ...page.items] : page.items;
  search.cursor = page.nextCursor;
  say(`${count(search.items.length)} transfers${page.nextCursor ? ", and more" : ""}`);
});

every(3600, () => app.view === "history" && may("transfers:read"), {}, () => find());

const transferTable = (label, items) => table(label, ["Call", "From → to", "Status", "Reference", "Time"], items.map((transfer) => [
  html`<a href="#transfer/${transfer.id}">${short(transfer.conversationId)}</a>`, `${nameOf(transfer.previous?.queueId)} → ${transfer.queue.name}`,
  status(transfer.status), transfer.reference, at(transfer.createdAt)]));

export function historyView() {
  const { items, cursor } = search;
  const change = ({ target }) => { search[target.name] = target.value; draw(); };
  return html`<h2 tabindex="-1">History</h2>
    ${missing("transfers:read")}${nameList()}
    <form class="card" role="search" autocomplete="off" @input=${change} @submit=${(event) => { event.preventDefault(); find(); }}>
      <fieldset ?disabled=${!may("transfers:read")}><legend class="sr">Search</legend><div class="fields">
      ${field("Conversation or reference", text("text", search.text, 128))}${queueField("To queue", "queue", search.queue)}
      ${field("Status", html`<select name="status"><option value="">any</option>${Object.keys(MEANINGS).map((one) => html`<option ?selected=${search.status === one}>${one}</option>`)}</select>`)}
      </div><p class="row"><button class="send" ?disabled=${search.isBusy}>Search</button></p></fieldset>
      ${command("GET", withQuery("/transfers", query()))}</form>
    ${problemBox(search.problem)}
    ${!items ? nothing : items.length === 0 ? html`<p>No transfer was found.</p>` : transferTable("Transfers, newest first", items)}
    ${cursor ? html`<p><button ?disabled=${search.isBusy} @click=${() => find(cursor)}>Show more</button></p>` : nothing}`;
}

/** Shows the transfer of the address; forgets the one before. */
export function followTransfer() {
  if (app.view !== "transfer") story = null;
  else if (story?.id !== app.id) {
    story = { id: app.id, transfer: null, others: [], problem: null, undo: null };
    refresh();
  }
}

/** A transfer changes until it is settled. */
const refresh = every(5, () => story && may("transfers:read"), {}, async () => {
  const one = story;
  try {
    one.transfer = await ask("GET", `/transfers/${one.id}`);
    const { conversationId } = one.transfer;
    one.others = (await ask("GET", withQuery("/transfers", { conversationId }))).items.filter(({ id }) => id !== one.id);
    one.problem = null;
  } catch (problem) {
    one.problem = problem;
  }
});

function steps({ createdAt, requestedBy, queue, batchId, undoes, previous, upstream, updatedAt, status: word }) {
  return html`<ol class="story"><li>${at(createdAt)}: ${requestedBy} asked to move the call to <strong>${queue.name}</strong>${batchId ? html`, in <a href="#batch/${batchId}">a batch</a>` : nothing}${undoes
    ? html`, to undo <a href="#transfer/${undoes}">another transfer</a>` : nothing}.</li>
    ${previous ? html`<li>Before, its ${previous.purpose} leg was ${previous.state} in ${nameOf(previous.queueId)}${previous.waitingSince
    ? html`, waiting since ${at(previous.waitingSince)}` : nothing}${previous.priority != null ? `, priority ${count(previous.priority)}` : ""}.</li>` : nothing}
    <li>Genesys was sent ${count(upstream.attempts)} requests, which waited ${count(upstream.waitedMs)} ms for its limit${upstream.correlationId
    ? html`; correlation id <code>${upstream.correlationId}</code>` : nothing}.</li>
    <li>${at(updatedAt)}: ${status(word)}. ${MEANINGS[word]}</li></ol>`;
}

function undoPart(one) {
  const { transfer, undo } = one;
  if (!["accepted", "confirmed"].includes(transfer.status) || transfer.undoes) return nothing;
  const path = `/transfers/${transfer.id}/undo`;
  if (!undo) {
    return html`${missing("transfers:write")}
      <p><button id="undo" ?disabled=${!may("transfers:write")} @click=${() => { one.undo = { reason: "" }; focusOn("#question"); }}>Undo…</button></p>`;
  }
  const reason = undo.reason.trim();
  return question(undo, {
    title: `Put the call back to ${nameOf(transfer.previous?.queueId)}?`, button: "Put back 1 call", path, body: reason ? { reason } : {},
    content: field("Reason", text("reason", undo.reason, 500, ({ target }) => { undo.reason = target.value; draw(); })),
    lead: (made) => go(`transfer/${made.id}`), drop: () => { one.undo = null; focusOn("#undo"); },
  });
}

export function transferView() {
  const { transfer, problem, others } = story ?? {};
  if (!transfer) return html`<h2 tabindex="-1">Transfer</h2>${missing("transfers:read")}${problem ? problemBox(problem) : "Loading…"}`;
  const { error } = transfer;
  return html`<h2 tabindex="-1">Transfer to ${transfer.queue.name}</h2>
    <p class="row">${status(transfer.status)} <code>${transfer.conversationId}</code></p>
    ${problemBox(problem)}${warningList(transfer.warnings)}${steps(transfer)}
    ${error ? html`<h3>What went wrong</h3><p>${shortly(error)}</p><p>${error.hint}</p>` : nothing}
    ${transfer.status === "unknown" ? html`<p><a href="#person">Settle it</a></p>` : undoPart(story)}
    ${facts({ Priority: transfer.priority, "Minutes waited": transfer.waitedMinutes, Reason: transfer.reason, Reference: transfer.reference, Id: html`<code>${transfer.id}</code>` })}
    ${others.length > 0 ? html`<h3>Other transfers of this call</h3>${transferTable("Other transfers", others)}` : nothing}
    ${fold("The whole record", html`<pre tabindex="0" role="region" aria-label="Record">${JSON.stringify(transfer, null, 2)}</pre>`)}`;
}
