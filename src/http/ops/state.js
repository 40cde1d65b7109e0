// What the parts share, and when the page is drawn and refreshed.

export const app = {
  /** Of `/whoami` and `/health/ready`. */
  me: null, problem: null, ready: null,
  /** Since when there is no connection. */
  lost: null,
  /** The part that is shown, and the id that goes with it. */
  view: "queues", id: "",
  /** All queues: `{id, name, division, label}`. */
  names: [],
  /** Of problem codes. */
  titles: new Map(),
  unknown: [],
  /** For screen readers. */
  said: "",
};

let paint = () => {};
let isAsked = false;
let toFocus = null;

export const drawWith = (painter) => { paint = painter; };

export function draw() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => {
    isAsked = false;
    paint();
    if (toFocus) document.querySelector(toFocus)?.focus();
    toFocus = null;
  });
}

/** Puts the focus on an element once it is drawn. */
export function focusOn(selector) {
  toFocus = selector;
  draw();
}

export function say(text) {
  app.said = text;
  draw();
}

/** Does something that may fail; `held` says whether it goes on, what it waits for, why it failed. */
export async function attempt(held, work) {
  if (held.isBusy) return;
  Object.assign(held, { isBusy: true, problem: null });
  draw();
  try {
    await work((note) => { held.note = note; draw(); });
  } catch (problem) {
    held.problem = problem;
  }
  Object.assign(held, { isBusy: false, note: "" });
  draw();
}

export const may = (permission) => app.me?.permissions.some((one) => one === permission || one === "admin");

export const go = (place) => { location.hash = place; };

/** Keeps the queues. A name that several have gets its division. */
export function keepNames(items) {
  const times = new Map();
  for (const { name } of items) times.set(name, (times.get(name) ?? 0) + 1);
  app.names = items.map((queue) => ({ ...queue, label: times.get(queue.name) > 1 ? `${queue.name} (${queue.division ?? queue.id})` : queue.name }));
}

export const nameOf = (id) => app.names.find((queue) => queue.id === id)?.label ?? id ?? "no queue";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
export const isId = (text) => UUID.test(text.trim());

/** The queue that was typed. */
export const typed = (text) => app.names.find(({ label }) => label === text.trim());

const jobs = [];

/** Does `work` every so many seconds while the page is visible and `when()` holds; `held` gets its
    problem. Returns what makes it due now. */
export function every(seconds, when, held, work) {
  const job = { seconds, when, held, work, last: -Infinity, run: {} };
  jobs.push(job);
  return () => { job.last = -Infinity; run(); };
}

export function run() {
  for (const job of jobs) {
    const isDue = performance.now() - job.last > job.seconds * 1000 - 100;
    if (document.hidden || job.run.isBusy || !isDue || !job.when()) continue;
    job.last = performance.now();
    attempt(job.run, job.work).then(() => { job.held.problem = job.run.problem; });
  }
}

/** Ages and countdowns change every second. */
export function begin() {
  const tick = () => { if (!document.hidden) { run(); draw(); } };
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
}
