// Transfers whose outcome the service could not find out: a person looks and settles them.

import { html, nothing } from "./lit-html.js";
import { ask, withQuery } from "./api.js";
import { app, attempt, draw, every, focusOn, may, nameOf, say } from "./state.js";
import { answer, at, command, facts, field, missing, noteOf, problemBox, short, shortly, table, text } from "./parts.js";

const person = { problem: null, isLoaded: false };
/** What was typed and seen, by the transfer's id. */
const cards = new Map();

const refresh = every(10, () => may("transfers:read"), person, async () => {
  app.unknown = (await ask("GET", "/transfers?status=unknown&limit=200")).items;
  person.isLoaded = true;
});

const look = ({ conversationId, queue }, one) => attempt(one, async () => {
  one.look = await ask("GET", withQuery(`/conversations/${conversationId}`, { queueId: queue.id }));
});

function card(transfer) {
  const { id, previous, error, upstream } = transfer;
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
      refresh();
    });
  };
  const outcome = (value, words) => html`<label><input type="radio" name="outcome" value=${value} required .checked=${one.outcome === value}> ${words}</label>`;
  return html`<article class="card" aria-labelledby="to-${id}">
    <h3 id="to-${id}"><a href="#transfer/${id}">Call ${short(transfer.conversationId)} to ${transfer.queue.name}</a></h3>
    <p>${shortly(error)}</p>
    ${facts({ Asked: html`${at(transfer.createdAt)} by ${transfer.requestedBy}`, "Last looked": at(transfer.updatedAt),
    Before: previous && `${previous.purpose} leg ${previous.state}, ${nameOf(previous.queueId)}`,
    "Genesys said": error?.upstream && `${error.upstream.status} ${error.upstream.message ?? ""}`,
    "Correlation id": upstream.correlationId, Reference: transfer.reference })}
    <p><button @click=${() => look(transfer, one)}>Look at the call now</button></p>
    ${one.look ? html`<p><strong>${one.look.detail}</strong></p>${table("Legs of the call", ["Leg", "State", "Queue"],
    one.look.legs.map((leg) => [leg.purpose, leg.state, leg.queueId && nameOf(leg.queueId)]))}` : nothing}
    <form aria-label="Settle" autocomplete="off" @submit=${settle} @input=${set}><fieldset ?disabled=${!may("admin") || one.isBusy}>
      <legend>What happened to the call?</legend>
      ${outcome("moved", "It moved")}${outcome("not_moved", "It did not move")}
      ${field("Reason", text("reason", one.reason, 500))}
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
