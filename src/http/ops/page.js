// The operators' page: who is asking, and which part is shown.

import { html, render } from "./lit-html.js";
import { ask, useKey } from "./api.js";
import { app, begin, draw, drawWith, every, focusOn, may, run } from "./state.js";
import { at, bar, count, mark, nameList, problemBox, span } from "./parts.js";
import { boardView } from "./board.js";
import { batchView, drainView, followBatch } from "./batches.js";
import { followTransfer, historyView, personView, transferView } from "./transfers.js";

const PARTS = [["queues", "Queues", "queues:read"], ["drain", "Drain", "batches:write"], ["history", "History", "transfers:read"],
  ["person", "Needs a person", "transfers:read"]];
const VIEWS = { queues: boardView, drain: drainView, batch: batchView, history: historyView, transfer: transferView, person: personView };
const PARENTS = { batch: "drain", transfer: "history" };
const RIGHTS = { "queues:read": "see queues", "batches:write": "drain, stop, undo", "transfers:read": "see history", "transfers:write": "undo one", admin: "settle" };

let askedAt = 0;

const refresh = every(5, () => true, {}, async () => {
  const ready = ask("GET", "/health/ready").then(({ reasons }) => ({ isReady: true, reasons }), (problem) => ({ reasons: problem.reasons ?? [problem.detail ?? problem.title] }));
  try {
    app.me = await ask("GET", "/whoami");
    Object.assign(app, { problem: null, lost: null });
    followBatch();
    run();
    askedAt = performance.now();
    if (app.titles.size === 0) app.titles = new Map((await ask("GET", "/problems")).items.map(({ code, title }) => [code, title]));
  } catch (problem) {
    if (problem.status === 0) app.lost ??= new Date();
    else Object.assign(app, { problem, lost: null });
    if (problem.status === 401) {
      app.me = null;
      if (document.activeElement === document.body) focusOn("#key");
    }
  }
  app.ready = await ready;
});

function useNewKey(event) {
  event.preventDefault();
  useKey(event.target.key.value);
  Object.assign(app, { me: null, problem: null });
  followBatch();
  refresh();
}

function readiness() {
  if (app.lost) return html`<span class="bad">${mark("✗")}No connection since ${at(app.lost)}</span>`;
  if (!app.ready) return "–";
  const { isReady, reasons } = app.ready;
  return html`<span class=${isReady ? "good" : "bad"}>${mark(isReady ? "✓" : "✗")}${isReady ? "Ready" : "Not ready"}</span><br>${reasons.join("; ")}`;
}

function budget() {
  if (!app.me?.budget) return "–";
  const { perMinute, left, resetsInSeconds } = app.me.budget;
  const back = Math.max(0, resetsInSeconds - (performance.now() - askedAt) / 1000);
  return html`${bar(left, perMinute)}<span class=${left === 0 ? "bad" : ""}>${count(left)} of ${count(perMinute)} left</span>${back > 0 ? `, all back in ${span(back)}` : ""}`;
}

function identity() {
  if (!app.me) return app.problem ? "not known" : "–";
  const { caller, queues } = app.me;
  return html`<strong>${caller}</strong>, ${queues.includes("*") ? "all queues" : `only queues ${queues.join(", ")}`}
    <ul class="rights">${Object.entries(RIGHTS).map(([permission, words]) => (may(permission) ? html`<li class="good">${mark("✓")}${words}</li>`
    : html`<li class="denied">${mark("⛔")}${words}: not permitted</li>`))}</ul>`;
}

function menu([view, name, permission]) {
  const isHere = view === (PARENTS[app.view] ?? app.view);
  const isDenied = app.me && !may(permission);
  return html`<li><a href="#${view}" aria-current=${isHere ? "page" : "false"} class=${isDenied ? "denied" : ""}>${name}${view === "person" && app.unknown.length > 0
    ? html` <b>${count(app.unknown.length)}</b>` : ""}${isDenied ? html` ${mark("⛔")}<span class="sr">not permitted</span>` : ""}</a></li>`;
}

const page = () => html`
  <a class="skip" href="#" @click=${(event) => { event.preventDefault(); focusOn("main h2"); }}>Skip to the content</a>
  <header><h1>genesys-transfer</h1>
    <form class="row" aria-label="Credentials" autocomplete="off" @submit=${useNewKey}>
      <label>Key <input id="key" name="key" type="password" autocomplete="off"></label> <button>Use</button></form>
    <dl class="head"><div><dt>Service</dt><dd>${readiness()}</dd></div>
      <div><dt>Requests to Genesys</dt><dd>${budget()}</dd></div>
      <div class="you"><dt>You</dt><dd>${identity()}</dd></div></dl>
    ${problemBox(app.problem)}</header>
  <nav aria-label="Parts"><ul>${PARTS.map(menu)}<li><a href="docs">API</a></li></ul></nav>
  <main>${VIEWS[app.view]()}</main>${app.view === "queues" ? "" : nameList()}
  <p class="sr" role="status">${app.said}</p>`;

function follow() {
  const [view, id = ""] = location.hash.slice(1).split("/");
  const isNew = app.ready && (view !== app.view || id !== app.id);
  Object.assign(app, { view: Object.hasOwn(VIEWS, view) ? view : "queues", id, said: "" });
  followBatch();
  followTransfer();
  run();
  if (isNew) focusOn("main h2");
  draw();
}

drawWith(() => render(page(), document.getElementById("page")));
addEventListener("hashchange", follow);
follow();
begin();
