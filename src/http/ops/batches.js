// Batches: the form that drains a queue, the list of them, one as it goes with Stop and Undo.

import { html, svg } from "./lit-html.js";
import { ask, events, move, now, sleep } from "./api.js";
import { app, attempt, draw, every, focusOn, go, isId, keepNames, may, nameOf, say, typed } from "./state.js";
import { at, calls, command, count, facts, field, longTable, mark, missing, movedOf, noteOf, planQuestion, preview, problemBox, queueField, secondsTo, short, shortly, span, status, table, text, titleOf, warningList, wordsOf } from "./parts.js";

const form = { from: "", to: "", keepPlace: "true", limit: "", minWaitedMinutes: "", minutes: "", nobody: false, reason: "", reference: "" };
let held = {};
const batches = { running: [], recent: [], problem: null };

/** Names to choose from; without them a name can still be typed. */
every(300, () => app.view !== "queues" && may("queues:read"), {}, async () => keepNames((await ask("GET", "/queues")).items));

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
  if (!held.isBusy || !held.plan) held = {};
  draw();
}

function drop() {
  held = {};
  focusOn("#from");
}

const choice = (label, name, options) => field(label, html`<select name=${name}>${options.map(([value, words]) => html`<option value=${value} ?selected=${form[name] === value}>${words}</option>`)}</select>`);
const number = (label, name) => field(label, html`<input type="number" name=${name} min="1" max="10000" .value=${form[name]}>`);

const drainForm = () => html`<form class="card" aria-label="Drain" autocomplete="off" @submit=${submit} @input=${change}>
  <fieldset ?disabled=${!may("batches:write")}><legend class="sr">From where to where</legend>
  <div class="fields">${queueField("From queue", "from", form.from, true)}${queueField("To queue", "to", form.to, true)}</div>
  <details><summary>More choices</summary><div class="fields">
    ${choice("Place in the queue", "keepPlace", [["true", "kept: waited minutes count"], ["order", "order only, one request less a call"], ["false", "not kept"]])}
    ${number("Calls at most", "limit")}${number("Minutes waited at least", "minWaitedMinutes")}
    ${choice("Calls that arrive later", "minutes", [["", "stay"], ["30", "move too, for 30 min"], ...[1, 2, 4, 8, 12, 24].map((hours) => [String(hours * 60), `move too, for ${hours} h`])])}
    ${text("Reason", "reason", form.reason)}${text("Reference", "reference", form.reference)}
    <label><input type="checkbox" name="nobody" .checked=${form.nobody} ?disabled=${!form.minutes}> Move only while no agent is on queue</label>
  </div></details>
  <p class="row"><button class="send">Preview</button>${held.plan ? "" : noteOf(held)}</p></fieldset>
  ${form.from && form.to ? command("POST", "/batches", { ...order(), dryRun: true }) : ""}</form>`;

/** Stopping is safe: it is not asked about. */
const stop = (one, held) => attempt(held, async (tell) => {
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
    button: html`Move ${calls(plan.total)}${held.until ? html` now, others until ${at(held.until)}` : ""}` };
  const stopButton = (batch) => html`<button ?disabled=${!may("batches:write")} @click=${() => stop(batch, batches)}>Stop<span class="sr"> ${titleOf(batch)}</span></button>`;
  return html`<h2 tabindex="-1">Drain a queue</h2>
    ${missing("batches:write")}${drainForm()}
    ${plan ? planQuestion(held, words, drop) : problemBox(held.problem)}
    ${problemBox(batches.problem)}
    ${list("Standing drains", "Ends", batches.running.filter((batch) => batch.until), stopButton)}
    ${list("Recent batches", "Started", batches.recent)}`;
}

/** Bars of the picture of the pace. */
const BARS = 60;

let live = {};

/** Follows the batch that is shown; leaves the one before. */
export function followBatch() {
  const id = app.view === "batch" && app.me ? app.id : "";
  if (live.id === id) return;
  live.control?.abort();
  live = { id, batch: null, seen: new Map(), problem: null, isLost: false, hasEnded: false, undo: {}, control: new AbortController() };
  if (id) watch(live);
}

async function watch(one) {
  const { signal } = one.control;
  for (let pause = 1; !signal.aborted && !one.hasEnded; pause = Math.min(pause * 2, 10)) {
    try {
      one.hasEnded = await events(one.id, (event, data) => {
        pause = 1;
        one.isLost = false;
        if (event === "transfer") one.seen.set(data.id, data);
        else progress(one, data);
        draw();
      }, signal);
      one.isLost = !one.hasEnded;
    } catch (problem) {
      if (signal.aborted) return;
      one.isLost = problem.status === 0 || problem.status >= 429;
      if (!one.isLost) {
        one.problem = problem;
        return draw();
      }
      // When there is no stream left, a look is better than nothing.
      await ask("GET", `/batches/${one.id}`).then((batch) => progress(one, batch), () => {});
    }
    draw();
    if (!one.hasEnded) await sleep(pause);
  }
}

/** What a late look changes: accepted calls are confirmed, unknown ones settled. */
every(10, () => app.view === "batch" && live.hasEnded, {}, async () => {
  const one = live;
  one.batch = await ask("GET", `/batches/${one.id}`);
});

const settledOf = (batch) => batch.total - batch.counts.pending;
const quarterOf = (batch) => Math.floor((4 * settledOf(batch)) / Math.max(1, batch.total));

/** Screen readers hear of each quarter, not of each call. */
function progress(one, batch) {
  const { batch: before } = one;
  const isOver = batch.status !== "running";
  if (before && (quarterOf(batch) > quarterOf(before) || (isOver && before.status === "running"))) {
    say(`${isOver ? `The batch is ${batch.status}. ` : ""}${count(movedOf(batch))} of ${calls(batch.total)} moved, ${count(batch.counts.failed)} failed.`);
  }
  one.batch = batch;
}

const seenWith = (one, ...words) => [...one.seen.values()].filter((transfer) => words.includes(transfer.status));

/** How many calls moved in each part of the time. */
function picture(one) {
  const start = Date.parse(one.batch.createdAt);
  const last = Date.parse(one.batch.finishedAt) || now();
  const step = Math.max(1000, (last - start) / BARS);
  const bars = new Array(BARS).fill(0);
  for (const { updatedAt } of seenWith(one, "accepted", "confirmed")) {
    bars[Math.min(BARS - 1, Math.max(0, Math.floor((Date.parse(updatedAt) - start) / step)))] += 1;
  }
  const most = Math.max(1, ...bars);
  const words = `Calls moved in each ${span(step / 1000)}, at most ${count(most)}`;
  return html`<figure><svg class="pace" viewBox="0 0 ${BARS * 4} 40" preserveAspectRatio="none" role="img" aria-label=${words}>
    ${bars.map((number, place) => svg`<rect x=${place * 4} width="3" y=${40 - (40 * number) / most} height=${(40 * number) / most} />`)}
  </svg><figcaption class="quiet">${words}, from ${at(start)} to ${at(last)}</figcaption></figure>`;
}

function reasons(one) {
  const failed = seenWith(one, "failed");
  const others = seenWith(one, "failed", "skipped", "unknown");
  const codes = Object.entries(one.batch.reasons);
  return html`${codes.length === 0 ? "" : html`<h3>Why calls did not move</h3>
    ${table("Why calls did not move", ["Reason", "Failed", "Skipped"], codes.map(([code, number]) => {
    const times = Math.min(number, failed.filter(({ error }) => error?.code === code).length);
    return [html`<a href="problems/${code}">${wordsOf(code)}</a>`, count(times), count(number - times)];
  }))}`}
    ${others.length === 0 ? "" : longTable("These calls", ["Call", "Status", "Why"], others, (transfer) => [
    html`<a href="#transfer/${transfer.id}">${short(transfer.conversationId)}</a>`, status(transfer.status), shortly(transfer.error)])}`;
}

function paceLine({ status: word, pace: { perMinute, etaSeconds, waitingUntil } }) {
  const isRunning = word === "running";
  return isRunning && waitingUntil
    ? html`<strong>Waiting for Genesys' request limit until ${at(waitingUntil)}</strong> (${span(secondsTo(waitingUntil))})`
    : `${count(perMinute)} calls a minute${isRunning && etaSeconds != null ? `, about ${span(etaSeconds)} left` : ""}`;
}

function undoPart(one) {
  const { batch, undo } = one;
  if (batch.kind === "undo" || movedOf(batch) === 0) return "";
  const path = `/batches/${batch.id}/undo`;
  if (undo.plan) {
    const back = calls(undo.plan.total);
    return planQuestion(undo, { title: `Put ${back} back?`, button: `Put back ${back}` }, () => { one.undo = {}; focusOn("#undo"); });
  }
  return html`${problemBox(undo.problem)}${missing("batches:write")}
    <p class="row"><button id="undo" ?disabled=${!may("batches:write")} @click=${() => preview(undo, path, {})}>Undo…</button>${noteOf(undo)}</p>
    ${command("POST", path, { dryRun: true })}`;
}

export function batchView() {
  const { batch, problem } = live;
  return html`<h2 tabindex="-1">${batch ? titleOf(batch) : "Batch"}</h2>${batch ? shown(live) : problem ? problemBox(problem) : "Loading…"}`;
}

function shown(one) {
  const { batch } = one;
  const { counts, total, until, undoes } = batch;
  const isRunning = batch.status === "running";
  const notes = Object.entries(batch.warningCounts ?? {}).map(([code, number]) => ({ detail: `${calls(number)}: ${wordsOf(code)}` }));
  const tile = ([words, number, kind]) => html`<div class=${number > 0 ? kind : ""}><dt>${words}</dt><dd>${count(number)}</dd></div>`;
  return html`<p class="row">${status(batch.status)} <span>${paceLine(batch)}</span>${one.isLost ? html`<span class="bad">${mark("✗")}Connection lost; connecting again…</span>` : ""}</p>
    <progress max=${Math.max(1, total)} .value=${total > 0 ? settledOf(batch) : 1} aria-label="Calls settled"></progress>
    <dl class="tiles">${[["moved", movedOf(batch), "good"], ["to move", counts.pending], ["failed", counts.failed, "bad"], ["skipped", counts.skipped],
    ["unknown", counts.unknown, "bad"]].map(tile)}</dl>
    ${problemBox(one.problem)}${problemBox(batch.error)}${warningList([...batch.warnings, ...notes])}
    ${isRunning ? html`<p class="row"><button class="stop" ?disabled=${!may("batches:write")} @click=${() => stop(batch, one)}>Stop</button>${noteOf(one)}</p>
      ${command("DELETE", `/batches/${batch.id}`)}` : undoPart(one)}
    ${picture(one)}${reasons(one)}
    <h3>About</h3>${facts({
    Calls: count(total), "Still waiting in the source": batch.stillWaiting, Ends: at(until),
    When: batch.when === "nobody_on_queue" ? "only while no agent is on queue" : null,
    Undoes: undoes && html`<a href="#batch/${undoes}">another batch</a>`,
    By: batch.requestedBy, Reason: batch.reason, Reference: batch.reference,
    Started: at(batch.createdAt), Finished: at(batch.finishedAt), Id: html`<code>${batch.id}</code>`,
  })}`;
}
