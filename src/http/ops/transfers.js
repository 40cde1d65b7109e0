// Transfers: their history, the story of one with Undo, and those that a person must settle.

import { html } from "./lit-html.js";
import { ask, withQuery } from "./api.js";
import { app, attempt, draw, every, focusOn, go, isId, may, nameOf, say, typed } from "./state.js";
import { answer, at, command, count, facts, field, fold, missing, noteOf, problemBox, question, queueField, short, shortly, status, table, text, warningList } from "./parts.js";

const MEANINGS = {
  pending: "Recorded, not settled yet.", accepted: "Genesys took the command.",
  confirmed: "The call was seen in the target queue.", skipped: "Never sent.",
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
    ${missing("transfers:read")}
    <form class="card" role="search" @input=${change} @submit=${(event) => { event.preventDefault(); find(); }}>
      <fieldset ?disabled=${!may("transfers:read")}><legend class="sr">Search</legend><div class="fields">
      ${text("Conversation or reference", "text", search.text)}${queueField("To queue", "queue", search.queue)}
      ${field("Status", html`<select name="status"><option value="">any</option>${Object.keys(MEANINGS).map((one) => html`<option ?selected=${search.status === one}>${one}</option>`)}</select>`)}
      </div><p class="row"><button class="send">Search</button></p></fieldset>
      ${command("GET", withQuery("/transfers", query()))}</form>
    ${problemBox(search.problem)}
    ${!items ? "" : items.length === 0 ? html`<p>No transfer was found.</p>` : transferTable("Transfers, newest first", items)}
    ${cursor ? html`<p><button @click=${() => find(cursor)}>Show more</button></p>` : ""}`;
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
  return html`<ol class="story"><li>${at(createdAt)}: ${requestedBy} asked to move the call to <strong>${queue.name}</strong>${batchId ? html`, in <a href="#batch/${batchId}">a batch</a>` : ""}${undoes
    ? html`, to undo <a href="#transfer/${undoes}">another transfer</a>` : ""}.</li>
    ${previous ? html`<li>Before, its ${previous.purpose} leg was ${previous.state} in ${nameOf(previous.queueId)}${previous.waitingSince
    ? html`, waiting since ${at(previous.waitingSince)}` : ""}${previous.priority != null ? `, priority ${count(previous.priority)}` : ""}.</li>` : ""}
    <li>${count(upstream.attempts)} requests to Genesys waited ${count(upstream.waitedMs)} ms for its limit${upstream.correlationId
    ? html`; correlation id <code>${upstream.correlationId}</code>` : ""}.</li>
    <li>${at(updatedAt)}: ${status(word)}. ${MEANINGS[word]}</li></ol>`;
}

function undoPart(one) {
  const { transfer, undo } = one;
  if (!["accepted", "confirmed"].includes(transfer.status) || transfer.undoes) return "";
  const path = `/transfers/${transfer.id}/undo`;
  if (!undo) {
    return html`${missing("transfers:write")}
      <p><button id="undo" ?disabled=${!may("transfers:write")} @click=${() => { one.undo = { reason: "" }; focusOn("#question"); }}>Undo…</button></p>`;
  }
  const reason = undo.reason.trim();
  return question(undo, {
    title: `Put the call back to ${nameOf(transfer.previous?.queueId)}?`, button: "Put back 1 call", path, body: reason ? { reason } : {},
    content: text("Reason", "reason", undo.reason, ({ target }) => { undo.reason = target.value; draw(); }),
    lead: (made) => go(`transfer/${made.id}`), drop: () => { one.undo = null; focusOn("#undo"); },
  });
}

export function transferView() {
  const { transfer, problem } = story;
  return html`<h2 tabindex="-1">Transfer${transfer ? ` to ${transfer.queue.name}` : ""}</h2>
    ${missing("transfers:read")}${problemBox(problem)}${transfer ? told(story) : problem ? "" : "Loading…"}`;
}

function told({ transfer, others }) {
  const { error } = transfer;
  return html`<p class="row">${status(transfer.status)} <code>${transfer.conversationId}</code></p>
    ${warningList(transfer.warnings)}${steps(transfer)}
    ${error ? html`<h3>What went wrong</h3><p>${shortly(error)}</p><p>${error.hint}</p>` : ""}
    ${transfer.status === "unknown" ? html`<p><a href="#person">Settle it</a></p>` : undoPart(story)}
    ${facts({ Priority: transfer.priority, "Minutes waited": transfer.waitedMinutes, Reason: transfer.reason, Reference: transfer.reference, Id: html`<code>${transfer.id}</code>` })}
    ${others.length > 0 ? html`<h3>Other transfers of this call</h3>${transferTable("Other transfers", others)}` : ""}
    ${fold("The whole record", html`<pre>${JSON.stringify(transfer, null, 2)}</pre>`)}`;
}

const person = { problem: null, isLoaded: false };
/** What was typed and seen, by the transfer's id. */
const cards = new Map();

const refreshUnknown = every(10, () => may("transfers:read"), person, async () => {
  app.unknown = (await ask("GET", "/transfers?status=unknown&limit=200")).items;
  person.isLoaded = true;
});

const look = ({ conversationId, queue }, one) => attempt(one, async () => {
  one.look = await ask("GET", withQuery(`/conversations/${conversationId}`, { queueId: queue.id }));
});

function card(transfer) {
  const { id, previous, error } = transfer;
  if (!cards.has(id)) cards.set(id, { outcome: "", reason: "", look: null, problem: null });
  const one = cards.get(id);
  const set = ({ target }) => { one[target.name] = target.value; draw(); };
  const reason = one.reason.trim();
  const path = `/transfers/${id}/settle`;
  const body = { outcome: one.outcome || "moved", ...(reason ? { reason } : {}) };
  const settle = (event) => {
    event.preventDefault();
    answer(one, path, body, (made) => {
      cards.delete(id);
      app.unknown = app.unknown.filter((other) => other.id !== id);
      say(`Settled: the transfer is ${made.status}.`);
      focusOn("main h2");
      refreshUnknown();
    });
  };
  const outcome = (value, words) => html`<label><input type="radio" name="outcome" value=${value} required .checked=${one.outcome === value}> ${words}</label>`;
  return html`<article class="card" aria-labelledby="to-${id}">
    <h3 id="to-${id}"><a href="#transfer/${id}">Call ${short(transfer.conversationId)} to ${transfer.queue.name}</a></h3>
    <p>${shortly(error)}</p>
    ${facts({ Asked: html`${at(transfer.createdAt)} by ${transfer.requestedBy}`,
    Before: previous && `${previous.purpose} leg ${previous.state}, ${nameOf(previous.queueId)}`,
    "Genesys said": error?.upstream && `${error.upstream.status} ${error.upstream.message ?? ""}`,
    Reference: transfer.reference })}
    <p><button @click=${() => look(transfer, one)}>Look at the call now</button></p>
    ${one.look ? html`<p><strong>${one.look.detail}</strong></p>${table("Legs of the call", ["Leg", "State", "Queue"],
    one.look.legs.map((leg) => [leg.purpose, leg.state, leg.queueId && nameOf(leg.queueId)]))}` : ""}
    <form aria-label="Settle" autocomplete="off" @submit=${settle} @input=${set}><fieldset ?disabled=${!may("admin")}>
      <legend>What happened to the call?</legend>
      ${outcome("moved", "It moved")}${outcome("not_moved", "It did not move")}
      ${text("Reason", "reason", one.reason)}
      <p class="row"><button class="send">Settle</button>${noteOf(one)}</p></fieldset></form>
    ${problemBox(one.problem)}${command("POST", path, body)}</article>`;
}

export function personView() {
  const { unknown } = app;
  return html`<h2 tabindex="-1">Needs a person</h2>
    ${missing("transfers:read", "admin")}${problemBox(person.problem)}
    ${unknown.length > 0 ? html`<p>These calls may have moved. Look at each in Genesys, then say what you saw.</p>${unknown.map(card)}`
    : html`<p>${person.isLoaded ? "No transfer is unknown." : "Loading…"}</p>`}`;
}
