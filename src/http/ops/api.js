// The service's public API: requests, repeats of those that change something, events.

/** The page may be behind a proxy's prefix. */
const base = new URL(".", location.href);
/** The key is kept here and nowhere else: reloading the page forgets it. */
let key = "";
/** How far the service's clock is ahead, in milliseconds. */
let ahead = 0;
/** How long a stream may be silent: the service sends a comment every 15 s. */
const SILENCE = 45_000;

/** What no key has is escaped, so that the service can refuse it. */
export const useKey = (text) => { key = encodeURI(text.trim()); };

/** The time by the service's clock. */
export const now = () => Date.now() + ahead;

/** Why a request failed, in the server's words; `status` is 0 without an answer. */
class Problem extends Error {
  constructor(words) {
    super(words.title);
    Object.assign(this, words);
  }
}

const lost = () => new Problem({ status: 0, title: "No connection to the service" });

async function send(method, path, { body, headers = {}, signal } = {}) {
  const all = { ...headers };
  if (key) all.Authorization = `Bearer ${key}`;
  if (body) all["Content-Type"] = "application/json";
  const url = new URL(path.slice(1), base);
  const answer = await fetch(url, { method, headers: all, body: body && JSON.stringify(body), signal, cache: "no-store" })
    .catch(() => { throw lost(); });
  // The header has whole seconds.
  const date = Date.parse(answer.headers.get("date")) + 500;
  if (Math.abs(date - now()) > 2_000) ahead = date - Date.now();
  if (answer.ok) return answer;
  const words = await answer.json().catch(() => ({}));
  throw new Problem({ title: `The answer was ${answer.status} ${answer.statusText}`, ...words, status: answer.status });
}

/** The JSON of an answer. */
export async function ask(method, path, more) {
  const answer = await send(method, path, more);
  return answer.json().catch(() => { throw lost(); });
}

/** A path with a query; parameters without a value are left out. */
export function withQuery(path, parameters) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  return query.size > 0 ? `${path}?${query}` : path;
}

/** Browsers offer `randomUUID` on secure pages only. */
const newKey = () => crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join("-");

export const sleep = (seconds) => new Promise((done) => { setTimeout(done, seconds * 1000); });

/** Whether there was no answer that counts: the same request is sent again. */
const isInterrupted = ({ status, code }) => status === 0 || code === "idempotency_key_in_use"
  || code === "shutting_down" || (status >= 502 && status <= 504 && !code);

/** Sends a request that changes something until there is an answer. All tries carry one key; `held`
    keeps it while the request may be sent again. `tell` is told what is waited for. */
export async function move(method, path, body, held, tell) {
  held.key ??= newKey();
  for (let pause = 1; ; pause = Math.min(pause * 2, 10)) {
    try {
      const answer = await ask(method, path, { body, headers: { "Idempotency-Key": held.key } });
      held.key = null;
      return answer;
    } catch (problem) {
      if (!isInterrupted(problem)) {
        if (!problem.retryable) held.key = null;
        throw problem;
      }
      tell(`${problem.title}. The request is sent again with the same key: nothing is done twice.`);
      await sleep(problem.retryAfterSeconds ?? pause);
    }
  }
}

/** Reads the events of a batch; false when the stream broke off before the end. */
export async function events(id, on, signal) {
  const silent = new AbortController();
  const both = AbortSignal.any([signal, silent.signal]);
  const answer = await send("GET", `/batches/${id}/events`, { signal: both });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const timer = setTimeout(() => silent.abort(), SILENCE);
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    clearTimeout(timer);
    if (done) return false;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.match(new RegExp(`^${name}: (.*)$`, "m"))?.[1];
      const event = field("event");
      if (event) on(event, JSON.parse(field("data")));
      if (event === "end") return true;
    }
  }
}

/** The same request for a terminal. The key is not shown. */
export function curl(method, path, body) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}${quoted(new URL(path.slice(1), base).href)}`];
  if (key) lines.push('-H "Authorization: Bearer $KEY"');
  if (method === "POST") lines.push('-H "Idempotency-Key: $(uuidgen)"');
  if (body) lines.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return lines.join(" \\\n  ");
}
