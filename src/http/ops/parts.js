// Pieces of the page.

import { html } from "./lit-html.js";
import { curl, move, now } from "./api.js";
import { app, attempt, focusOn, go, may } from "./state.js";

/** A time, with its date unless it is today. */
export function at(time) {
  if (!time) return null;
  const date = new Date(time);
  const day = date.toDateString() === new Date().toDateString() ? "" : `${date.toLocaleDateString("en-GB", { dateStyle: "medium" })} `;
  return html`<time datetime=${date.toISOString()}>${day}${date.toLocaleTimeString("en-GB")}</time>`;
}

export const secondsTo = (time) => Math.max(0, Math.ceil((Date.parse(time) - now()) / 1000));
export const secondsSince = (time) => Math.max(0, Math.round((now() - time) / 1000));

export function span(seconds) {
  if (seconds == null) return "–";
  const [hours, minutes, rest] = [seconds / 3600, (seconds % 3600) / 60, seconds % 60].map(Math.floor);
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min ${rest} s` : `${rest} s`;
}

const digits = new Intl.NumberFormat("en");
export const count = (number) => (number == null ? "–" : digits.format(number));
export const calls = (number) => `${count(number)} ${number === 1 ? "call" : "calls"}`;
export const movedOf = ({ counts }) => counts.accepted + counts.confirmed;

/** A number as a part of the largest one. */
export const bar = (number, most) => html`<svg class="bar" aria-hidden="true"><rect height="100%" width="${number > 0 ? (100 * number) / most : 0}%"/></svg>`;

/** A sign for the eye only. */
export const mark = (sign) => html`<span aria-hidden="true">${sign}</span> `;

/** A table; the first cell of a row names it, a column without a name has buttons. */
export const table = (label, heads, rows, kind) => html`<table class=${kind ?? ""} aria-label=${label}>
  <thead><tr>${heads.map((head) => html`<th scope="col">${head || html`<span class="sr">Action</span>`}</th>`)}</tr></thead>
  <tbody>${rows.map(([first, ...rest]) => html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell ?? "–"}</td>`)}</tr>`)}</tbody></table>`;

export const fold = (summary, content) => html`<details><summary>${summary}</summary>${content}</details>`;

/** A folded table of a thousand rows at most, which a keyboard can scroll. */
export const longTable = (label, heads, items, row) => fold(`${label} (${count(items.length)})`,
  html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>${table(label, heads, items.slice(0, 1000).map(row))}</div>`);

/** What the server said when it refused. */
export function problemBox(problem) {
  if (!problem) return "";
  const { title, detail, hint, candidates = [], code, requestId, batchId, transferId } = problem;
  const other = batchId ? `batch/${batchId}` : transferId ? `transfer/${transferId}` : null;
  return html`<div class="problem"><div role="alert"><strong>${title}</strong><p>${detail}</p><p>${hint}</p></div>
    <ul>${candidates.map((one) => html`<li>${one.name ?? one.purpose} (${one.division ?? one.state}): <code>${one.id}</code></li>`)}</ul>
    ${other ? html`<p><a href="#${other}">Show the other one</a></p>` : ""}
    ${code ? html`<p class="quiet"><a href="problems/${code}">${code}</a>, request ${requestId}</p>` : ""}</div>`;
}

export const shortly = (problem) => problem && `${problem.title}: ${problem.detail}`;
export const wordsOf = (code) => app.titles.get(code) ?? code.replaceAll("_", " ");
export const warningList = (warnings) => html`<ul class="warnings">${warnings.map(({ code, detail }) => html`<li>${mark("⚠")}${detail ?? wordsOf(code)}</li>`)}</ul>`;

export const command = (method, path, body) => fold("As a command", html`<pre>${curl(method, path, body)}</pre>`);

/** Which permission is missing. */
export function missing(...permissions) {
  const lacking = app.me ? permissions.filter((one) => !may(one)) : [];
  return lacking.length === 0 ? "" : html`<p class="denied">${mark("⛔")}Not permitted: your key lacks ${lacking.join(" and ")}.</p>`;
}

export const field = (label, input) => html`<label class="field"><span>${label}</span>${input}</label>`;
export const text = (label, name, value, input) => field(label, html`<input name=${name} .value=${value} @input=${input}>`);

export const queueField = (label, name, value, isNeeded) => field(label, html`<input id=${name} name=${name} list="names" ?required=${isNeeded} .value=${value}>`);
export const nameList = () => html`<datalist id="names">${app.names.map(({ label }) => html`<option value=${label}></option>`)}</datalist>`;

/** Names with values, where there is one. */
export const facts = (lines) => html`<dl class="facts">${Object.entries(lines).filter(([, value]) => value != null && value !== "")
  .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** The end of a UUID; the whole is in its title. */
export const short = (id) => html`<code title=${id}>…${id.slice(-8)}</code>`;

const MARKS = { accepted: "✓", confirmed: "✓", completed: "✓", failed: "✗", unknown: "?", running: "▶", pending: "…" };
export const status = (word) => html`<span class="status ${word}">${mark(MARKS[word] ?? "–")}${word}</span>`;

export const titleOf = ({ kind, from, to }) => `${kind[0].toUpperCase()}${kind.slice(1)}${from && to ? ` ${from.name} → ${to.name}` : ""}`;

export const noteOf = (held) => html`<span role="status">${held.note || (held.isBusy ? "One moment…" : "")}</span>`;

/** The question before something moves; `held` is its state. */
export const question = (held, { title, content, button, path, body, isOver, lead, drop }) => html`
  <section class="card" aria-labelledby="question"><h3 id="question" tabindex="-1">${title}</h3>
    ${content}${problemBox(held.problem)}
    <p class="row"><button class="send" ?disabled=${isOver} @click=${() => answer(held, path, body, lead)}>${button}</button>
      <button ?disabled=${held.isBusy} @click=${drop}>Cancel</button>${noteOf(held)}</p>
    ${command("POST", path, body)}</section>`;

/** Sends a request that changes something, then leads to what it made. */
export const answer = (held, path, body, lead) => attempt(held, async (tell) => lead(await move("POST", path, body, held, tell)));

/** Asks for a dry run; `held` gets its plan. */
export const preview = (held, path, body) => attempt(held, async (tell) => {
  held.plan = null;
  held.plan = await move("POST", path, { ...body, dryRun: true }, held, tell);
  focusOn("#question");
});

/** What a dry run shows, with the one button that starts it. */
export function planQuestion(held, words, drop) {
  const { total, items, requests, etaSeconds, expiresAt, planId, to, warnings } = held.plan;
  const left = secondsTo(expiresAt);
  const { agents, waiting, estimatedWaitSeconds } = to?.activity ?? {};
  const content = html`${warningList(warnings ?? [])}${facts({
    Calls: count(total),
    "Longest wait": items[0]?.waitingSince && span(secondsSince(Date.parse(items[0].waitingSince))),
    Time: etaSeconds && `about ${span(etaSeconds)}`,
    "Requests to Genesys": requests && count(requests),
    "Agents there": agents && `${count(agents.onQueue)} on queue, ${count(agents.idle)} idle`,
    "Waiting there": waiting,
    "Wait there": estimatedWaitSeconds && `about ${span(estimatedWaitSeconds)}`,
    Ends: at(held.until),
    Preview: left > 0 ? `valid for ${span(left)}` : "too old, make another",
  })}
    ${longTable("The calls", ["Conversation", "Waiting since", "Priority"], items, (item) => [html`<code>${item.conversationId}</code>`,
    at(item.waitingSince), `${count(item.priority)} → ${count(item.newPriority ?? item.priority)}`])}`;
  return question(held, {
    ...words, content, path: "/batches", body: { planId }, isOver: left === 0 || (total === 0 && !held.until), drop,
    lead: (batch) => go(`batch/${batch.id}`),
  });
}
