// A form that sends one operation's request to the service this page came from.

import { h, pretty, sample } from "./dom.js";
import { resolve } from "./schema.js";

/** Where the service is: the page may stand behind a proxy's prefix. */
const base = new URL(".", location.href);

/** The key is kept here and nowhere else: reloading the page forgets it. */
let key = "";

export function useKey(text) {
  key = text.trim();
}

/** The form for an operation, with the place for its answer. */
export function tryForm(method, path, operation) {
  const fields = (operation.parameters ?? []).map(resolve).map(field);
  const body = operation.requestBody ? bodyField(resolve(operation.requestBody)) : null;
  const result = h("div", { "aria-live": "polite" });
  const send = h("button", { class: "send", type: "submit" }, "Send");
  const stop = h("button", { type: "button", hidden: true }, "Stop");
  const form = h("form", { "aria-label": `Try ${method} ${path}` }, h("h3", {}, "Try it"),
    fields.map((one) => one.element), body?.element, h("div", { class: "row" }, send, stop), result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const controller = new AbortController();
    stop.onclick = () => controller.abort();
    send.disabled = true;
    stop.hidden = false;
    await exchange(request(method, path, fields, body), controller.signal, result);
    send.disabled = false;
    stop.hidden = true;
  });
  return form;
}

function field(parameter) {
  const schema = resolve(parameter.schema);
  const example = parameter.in === "path" ? parameter.example ?? "" : "";
  const options = schema.enum?.filter((word) => word !== null);
  const input = options
    ? h("select", { name: parameter.name },
      parameter.required ? null : h("option", { value: "" }, "–"),
      options.map((word) => h("option", { value: word, selected: word === example }, word)))
    : h("input", {
      name: parameter.name, value: example, required: parameter.required, autocomplete: "off",
      spellcheck: "false", placeholder: parameter.in === "path" ? "" : String(parameter.example ?? ""),
    });
  const element = h("label", { class: "field" }, `${parameter.name} (${parameter.in})`, input);
  return { element, name: parameter.name, place: parameter.in, value: () => input.value };
}

function bodyField(described) {
  const content = described.content?.["application/json"] ?? {};
  const examples = Object.values(content.examples ?? {}).map(resolve);
  const text = h("textarea", { name: "body", spellcheck: "false" });
  text.value = examples.length > 0 ? pretty(examples[0].value) : "{}";
  const choice = examples.length > 1
    ? h("label", { class: "field" }, "example", h("select", {
      onchange: (event) => { text.value = pretty(examples[event.target.selectedIndex].value); },
    }, examples.map((example) => h("option", {}, example.summary))))
    : null;
  const element = h("div", { class: "field" }, choice, h("label", { class: "field" }, "body", text));
  return { element, value: () => text.value };
}

/** What the form says, as a request. */
function request(method, path, fields, body) {
  const headers = {};
  const query = new URLSearchParams();
  let target = path;
  for (const { name, place, value } of fields) {
    const text = value();
    if (place === "path") target = target.replace(`{${name}}`, encodeURIComponent(text));
    else if (text !== "" && place === "query") query.append(name, text);
    else if (text !== "" && place === "header") headers[name] = text;
  }
  if (body) headers["Content-Type"] = "application/json";
  const search = query.size > 0 ? `?${query}` : "";
  const url = new URL(target.slice(1) + search, base);
  return { method, url, headers, body: body?.value() };
}

async function exchange(asked, signal, result) {
  const status = h("p", {});
  const heads = sample("Headers of the answer");
  const text = sample("Body of the answer");
  result.replaceChildren(h("h3", {}, "As a command"), sample("Command", curl(asked)), h("h3", {}, "Answer"), status);
  const began = performance.now();
  try {
    const headers = key ? { ...asked.headers, Authorization: `Bearer ${key}` } : asked.headers;
    const answer = await fetch(asked.url, {
      method: asked.method, headers, body: asked.body, signal, cache: "no-store",
      credentials: "omit", redirect: "follow",
    });
    const took = Math.round(performance.now() - began);
    status.append(h("span", { class: `status ${answer.ok ? "good" : "bad"}` }, `${answer.status} ${answer.statusText}`),
      h("span", { class: "quiet" }, ` after ${took} ms`));
    heads.textContent = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    result.append(heads, text);
    await show(answer, text);
  } catch (error) {
    status.append(h("span", { class: "bad" }, signal.aborted ? "Stopped." : `No answer: ${error.message}`));
  }
}

/** The body as it comes, for streams; JSON is set out once it is whole. */
async function show(answer, place) {
  const decoder = new TextDecoder();
  let text = "";
  for (let reader = answer.body?.getReader(); reader;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    place.textContent = text;
  }
  if (/json/.test(answer.headers.get("content-type") ?? "")) {
    try {
      place.textContent = pretty(JSON.parse(text));
    } catch {
      // Shown as it came.
    }
  }
  place.hidden = text === "";
}

/** The same request for a terminal. The key is not shown. */
function curl({ method, url, headers, body }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl -i${method === "GET" ? "" : ` -X ${method}`} ${quoted(url.href)}`];
  if (key) lines.push('-H "Authorization: Bearer $KEY"');
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== undefined) lines.push(`--data-binary ${quoted(body)}`);
  return lines.join(" \\\n  ");
}
