// One batch as it goes: counts, pace, reasons; Stop and Undo.

import { html, nothing, svg } from "./lit-html.js";
import { ask, events, now, sleep } from "./api.js";
import { app, draw, every, focusOn, may, say } from "./state.js";
import { at, calls, command, count, facts, fold, mark, missing, movedOf, noteOf, planQuestion, preview, problemBox, scroll, secondsTo, short, shortly, span, status, table, titleOf, warningList, wordsOf } from "./parts.js";
import { stop } from "./drain.js";

/** Transfers that did not go well are listed up to here. */
const LISTED = 200;
/** Bars of the picture of the pace. */
const BARS = 60;

let live = null;

/** Follows the batch that is shown; leaves the one before. */
export function followBatch() {
  const id = app.view === "batch" ? app.id : null;
  if (live?.id === id) return;
  live?.control.abort();
  live = id && { id, batch: null, seen: new Map(), problem: null, isLost: false, hasEnded: false, undo: {}, control: new AbortController() };
  if (live) watch(live);
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
      // Streams are few; a look now and then costs less.
      if (problem.status === 429) await ask("GET", `/batches/${one.id}`).then((batch) => progress(one, batch), () => {});
      else one.isLost = problem.status === 0 || problem.status >= 500;
      if (!one.isLost && problem.status !== 429) {
        one.problem = problem;
        return draw();
      }
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

/** Why calls failed or were skipped, and which. */
function reasons(one) {
  const failed = seenWith(one, "failed");
  const others = seenWith(one, "failed", "skipped", "unknown");
  const codes = Object.entries(one.batch.reasons);
  return html`${codes.length === 0 ? nothing : html`<h3>Why calls did not move</h3>
    ${table("Why calls did not move", ["Reason", "Failed", "Skipped"], codes.map(([code, number]) => {
    const times = Math.min(number, failed.filter(({ error }) => error?.code === code).length);
    return [html`<a href="problems/${code}">${wordsOf(code)}</a>`, count(times), count(number - times)];
  }))}`}
    ${others.length === 0 ? nothing : fold(`These calls (${count(others.length)})`, scroll("These calls", table("Calls that did not move", ["Call", "Status", "Why"],
    others.slice(0, LISTED).map((transfer) => [html`<a href="#transfer/${transfer.id}">${short(transfer.conversationId)}</a>`, status(transfer.status), shortly(transfer.error)]))))}`;
}

function paceLine({ status: word, pace: { perMinute, etaSeconds, waitingUntil } }) {
  const isRunning = word === "running";
  return isRunning && waitingUntil
    ? html`<strong>Waiting for Genesys' request limit until ${at(waitingUntil)}</strong> (${span(secondsTo(waitingUntil))})`
    : `${count(perMinute)} calls a minute${isRunning && etaSeconds != null ? `, about ${span(etaSeconds)} left` : ""}`;
}

function undoPart(one) {
  const { batch, undo } = one;
  if (batch.kind === "undo" || movedOf(batch) === 0) return nothing;
  const path = `/batches/${batch.id}/undo`;
  if (undo.plan) {
    const back = calls(undo.plan.total);
    return planQuestion(undo, { title: `Put ${back} back?`, button: `Put back ${back}` }, () => { one.undo = {}; focusOn("#undo"); });
  }
  return html`${problemBox(undo.problem)}${missing("batches:write")}
    <p class="row"><button id="undo" ?disabled=${!may("batches:write") || undo.isBusy} @click=${() => preview(undo, path, {})}>Undo…</button>${noteOf(undo)}</p>
    ${command("POST", path, { dryRun: true })}`;
}

export function batchView() {
  const one = live;
  const batch = one?.batch;
  if (!batch) return html`<h2 tabindex="-1">Batch</h2>${one?.problem ? problemBox(one.problem) : "Loading…"}`;
  const { counts, total, until, undoes } = batch;
  const isRunning = batch.status === "running";
  const notes = Object.entries(batch.warningCounts ?? {}).map(([code, number]) => ({ detail: `${calls(number)}: ${wordsOf(code)}` }));
  const tile = ([words, number, kind]) => html`<div class=${number > 0 ? kind : ""}><dt>${words}</dt><dd>${count(number)}</dd></div>`;
  return html`<h2 tabindex="-1">${titleOf(batch)}</h2>
    <p class="row">${status(batch.status)} <span>${paceLine(batch)}</span>${one.isLost ? html`<span class="bad">${mark("✗")}Connection lost; connecting again…</span>` : nothing}</p>
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
