// Empty a queue into another: the form, the preview, and the batches there are.

import { html, nothing } from "./lit-html.js";
import { ask, move, now } from "./api.js";
import { app, attempt, draw, every, focusOn, go, isId, keepNames, may, nameOf, say, typed } from "./state.js";
import { at, calls, command, count, field, missing, movedOf, nameList, noteOf, planQuestion, preview, problemBox, queueField, status, table, text, titleOf } from "./parts.js";

const form = { from: "", to: "", keepPlace: "true", limit: "", minWaitedMinutes: "", minutes: "", nobody: false, reason: "", reference: "" };
let held = {};
const batches = { running: [], recent: [], problem: null };

/** Names to choose from; without them a name can still be typed. */
every(300, () => ["drain", "history", "transfer", "person"].includes(app.view) && may("queues:read"), {},
  async () => keepNames((await ask("GET", "/queues")).items));

const refresh = every(5, () => app.view === "drain" && (may("batches:write") || may("transfers:read")), batches, async () => {
  batches.running = (await ask("GET", "/batches?status=running&limit=200")).items;
  batches.recent = (await ask("GET", "/batches?limit=15")).items;
});

/** Leads from a row of the board to the form. */
export function drainFrom(id) {
  Object.assign(form, { from: nameOf(id), to: "" });
  held = {};
  go("drain");
  setTimeout(() => focusOn("#to"));
}

/** A queue as it was typed: by id if the name alone does not tell which. */
function queue(side, words) {
  const found = typed(words);
  const id = found && found.label !== found.name ? found.id : isId(words) && words.trim();
  return id ? { [`${side}QueueId`]: id } : { [`${side}QueueName`]: words };
}

function order() {
  const body = { ...queue("from", form.from), ...queue("to", form.to) };
  if (form.keepPlace !== "true") body.keepPlace = form.keepPlace === "order" ? "order" : false;
  for (const one of ["limit", "minWaitedMinutes"]) if (form[one]) body[one] = Number(form[one]);
  if (form.minutes) {
    // The service's clock may be a little behind, and a day is the most.
    body.until = new Date(now() + form.minutes * 60_000 - 5_000).toISOString();
    if (form.nobody) body.when = "nobody_on_queue";
  }
  for (const one of ["reason", "reference"]) if (form[one].trim()) body[one] = form[one].trim();
  return body;
}

function submit(event) {
  event.preventDefault();
  const body = order();
  held = { until: body.until };
  preview(held, "/batches", body);
}

function change({ target: { name, type, value, checked } }) {
  form[name] = type === "checkbox" ? checked : value;
  // The preview is no longer of what is asked for.
  if (!held.isBusy) held = {};
  draw();
}

function drop() {
  held = {};
  focusOn("#from");
}

const choice = (label, name, options) => field(label, html`<select name=${name}>${options.map(([value, words]) => html`<option value=${value} ?selected=${form[name] === value}>${words}</option>`)}</select>`);
const number = (label, name) => field(label, html`<input type="number" name=${name} min="1" max="10000" .value=${form[name]}>`);

const drainForm = () => html`<form class="card" aria-label="Drain" autocomplete="off" @submit=${submit} @input=${change}>
  <fieldset ?disabled=${!may("batches:write") || held.isBusy}><legend class="sr">From where to where</legend>
  <div class="fields">${queueField("From queue", "from", form.from, true)}${queueField("To queue", "to", form.to, true)}</div>
  <details><summary>More choices</summary><div class="fields">
    ${choice("Place in the queue", "keepPlace", [["true", "kept: waited minutes count"], ["order", "order only, one request less a call"], ["false", "not kept"]])}
    ${number("Calls at most", "limit")}${number("Minutes waited at least", "minWaitedMinutes")}
    ${choice("Calls that arrive later", "minutes", [["", "stay"], ["30", "move too, for 30 min"], ...[1, 2, 4, 8, 12, 24].map((hours) => [String(hours * 60), `move too, for ${hours} h`])])}
    ${field("Reason", text("reason", form.reason, 500))}${field("Reference", text("reference", form.reference, 128))}
    <label><input type="checkbox" name="nobody" .checked=${form.nobody} ?disabled=${!form.minutes}> Move only while no agent is on queue</label>
  </div></details>
  <p class="row"><button class="send">Preview</button>${held.plan ? nothing : noteOf(held)}</p></fieldset>
  ${form.from && form.to ? command("POST", "/batches", { ...order(), dryRun: true }) : nothing}</form>`;

/** Stops a batch at once: stopping is safe. */
export const stop = (one, held) => attempt(held, async (tell) => {
  held.batch = await move("DELETE", `/batches/${one.id}`, undefined, {}, tell);
  say("Stopped. Calls that were not sent yet stay where they are.");
  refresh();
});

const list = (heading, last, items, button) => html`<h3>${heading}</h3>
  ${items.length === 0 ? html`<p class="quiet">None.</p>` : table(heading, ["Batch", "Status", "Moved", last, ...(button ? [""] : [])], items.map((batch) => [
    html`<a href="#batch/${batch.id}">${titleOf(batch)}</a>`, status(batch.status), `${count(movedOf(batch))} of ${count(batch.total)}`,
    at(button ? batch.until : batch.createdAt), ...(button ? [button(batch)] : [])]))}`;

export function drainView() {
  const { plan } = held;
  const words = plan && { title: `Move ${calls(plan.total)} from ${plan.from.name} to ${plan.to.name}?`,
    button: html`Move ${calls(plan.total)}${held.until ? html` now, others until ${at(held.until)}` : nothing}` };
  const stopButton = (batch) => html`<button ?disabled=${!may("batches:write")} @click=${() => stop(batch, batches)}>Stop<span class="sr"> ${titleOf(batch)}</span></button>`;
  return html`<h2 tabindex="-1">Drain a queue</h2>
    ${missing("batches:write")}${nameList()}${drainForm()}
    ${plan ? planQuestion(held, words, drop) : problemBox(held.problem)}
    ${problemBox(batches.problem)}
    ${list("Standing drains", "Ends", batches.running.filter((batch) => batch.until), stopButton)}
    ${list("Recent batches", "Started", batches.recent)}`;
}
