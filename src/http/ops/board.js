// The board of queues: who waits where, most first.

import { html } from "./lit-html.js";
import { ask } from "./api.js";
import { app, draw, every, keepNames, may } from "./state.js";
import { bar, calls, count, mark, missing, problemBox, secondsSince, span, table } from "./parts.js";
import { drainFrom } from "./batches.js";

/** Rows at first, for those who use a keyboard. */
const FIRST = 100;

const board = { items: [], problem: null, isPaused: false, search: "", isWhole: false };

const refresh = every(5, () => app.view === "queues" && !board.isPaused && may("queues:read"), board, async () => {
  // Names are there at once, and when Genesys tells no numbers.
  if (board.items.length === 0) arrange((await ask("GET", "/queues")).items);
  arrange((await ask("GET", "/queues?activity=true")).items);
});

const waiting = ({ activity }) => activity?.waiting ?? -1;
const longest = ({ activity }) => activity?.longestWaitSeconds ?? -1;

/** Most waiting first; rows stay while the pointer or the focus is among them. */
function arrange(items) {
  keepNames(items);
  const places = new Map(document.querySelector("#board:hover, #board:focus-within") && board.items.map(({ id }, place) => [id, place]));
  const place = ({ id }) => places.get(id) ?? places.size;
  board.items = app.names.toSorted((a, b) => place(a) - place(b) || waiting(b) - waiting(a) || longest(b) - longest(a));
  draw();
}

function age() {
  const times = board.items.map(({ activity }) => Date.parse(activity?.asOf)).filter(Boolean);
  if (times.length === 0) return "no numbers yet";
  const seconds = secondsSince(Math.min(...times));
  return html`<span class=${seconds > 30 ? "bad" : ""}>numbers ${span(seconds)} old</span>`;
}

function row({ id, label, activity }, mostWaiting, mostLong) {
  const { agents, longestWaitSeconds } = activity ?? {};
  const isAlone = activity?.waiting > 0 && agents?.onQueue === 0;
  return [label, html`${bar(activity?.waiting, mostWaiting)}${count(activity?.waiting)}`,
    html`${bar(longestWaitSeconds, mostLong)}${span(longestWaitSeconds)}`,
    html`<span class=${isAlone ? "bad" : ""}>${isAlone ? mark("⚠") : ""}${count(agents?.onQueue)} / ${count(agents?.idle)}</span>`,
    html`<button ?disabled=${!may("batches:write")} @click=${() => drainFrom(id)}>Drain<span class="sr"> ${label}</span></button>`];
}

function pause() {
  board.isPaused = !board.isPaused;
  refresh();
  draw();
}

export function boardView() {
  const wanted = board.search.trim().toLowerCase();
  const found = board.items.filter(({ label }) => label.toLowerCase().includes(wanted));
  const shown = board.isWhole ? found : found.slice(0, FIRST);
  const [mostWaiting, mostLong] = [waiting, longest].map((of) => Math.max(0, ...board.items.map(of)));
  const all = found.reduce((sum, queue) => sum + Math.max(0, waiting(queue)), 0);
  return html`<h2 tabindex="-1">Queues</h2>
    ${missing("queues:read")}
    <form class="row" role="search" @submit=${(event) => event.preventDefault()}>
      <label>Search <input type="search" .value=${board.search} @input=${(event) => { board.search = event.target.value; draw(); }}></label>
      <button type="button" @click=${pause}>${board.isPaused ? "Go on" : "Pause"}</button>
      <span class="quiet">${board.isPaused ? "paused, " : ""}${age()}</span></form>
    ${problemBox(board.problem)}${missing("batches:write")}
    <p class="quiet">${calls(all)} waiting in ${count(found.length)} queues; agents are on queue / idle</p>
    <div id="board">${table("Queues, most waiting calls first", ["Queue", "Waiting", "Longest wait", "Agents", ""], shown.map((queue) => row(queue, mostWaiting, mostLong)), "board")}</div>
    ${shown.length < found.length ? html`<p><button @click=${() => { board.isWhole = true; draw(); }}>Show all ${count(found.length)}</button></p>` : ""}`;
}
