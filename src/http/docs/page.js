// Shows the service's own description. Whatever is said about an operation comes from there.

import { h, inline, pretty, prose, sample } from "./dom.js";
import { folded, member, members, resolve, use } from "./schema.js";
import { tryForm, useKey } from "./try.js";

const METHODS = ["get", "put", "post", "delete", "patch"];
const place = (id) => document.getElementById(id);

try {
  const answer = await fetch(new URL("openapi.json", new URL(".", location.href)));
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  show(await answer.json());
} catch (error) {
  place("about").append(h("p", { class: "bad" }, `The description cannot be loaded: ${error.message}`));
}

function show(description) {
  use(description);
  const { info, components } = description;
  document.title = `${info.title} API`;
  place("version").textContent = info.version;
  place("about").append(...prose(info.description));
  const operations = Object.entries(description.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, ...item[method] })));
  for (const tag of description.tags ?? []) {
    const group = operations.filter((operation) => operation.tags?.includes(tag.name));
    if (group.length === 0) continue;
    place("index").append(h("h2", {}, tag.name), h("ul", {}, group.map(indexLine)));
    place("operations").append(h("h2", {}, tag.name), ...prose(tag.description), ...group.map(card));
  }
  place("schemas").append(h("h2", {}, "Schemas"), ...Object.keys(components.schemas).map(schemaBox));
  keyField(components.securitySchemes, operations);
  filterField();
  addEventListener("hashchange", openTarget);
  openTarget();
}

function indexLine({ method, path, operationId }) {
  return h("li", { "data-text": `${method} ${path} ${operationId}`.toLowerCase() },
    h("a", { href: `#${operationId}` },
      h("span", { class: `method ${method}` }, method.toUpperCase()), h("span", { class: "mono" }, path)));
}

/** An operation; its inside is made when it is first opened. */
function card(operation) {
  const { method, path, operationId, summary } = operation;
  const element = h("details", {
    class: "operation", id: operationId, "data-text": `${method} ${path} ${operationId} ${summary}`.toLowerCase(),
  }, h("summary", {}, h("span", { class: `method ${method}` }, method.toUpperCase()),
    h("code", { class: "path" }, path), h("span", { class: "quiet" }, summary)));
  element.addEventListener("toggle", () => {
    if (element.open && element.children.length === 1) element.append(inside(operation));
    showInAddress(operationId, element.open);
  });
  return element;
}

/** The address leads to the operation that was opened last. */
function showInAddress(id, isOpen) {
  const isThere = location.hash === `#${id}`;
  if (isOpen && !isThere) history.replaceState(null, "", `#${id}`);
  if (!isOpen && isThere) history.replaceState(null, "", location.pathname);
}

function inside(operation) {
  const { method, path, description, parameters = [], requestBody, responses } = operation;
  const asked = h("div", {}, parameters.length > 0 ? h("h3", {}, "Parameters") : null,
    parameters.length > 0 ? h("dl", { class: "members" }, parameters.map(resolve).map(parameterLine)) : null,
    requestBody ? bodyPart(resolve(requestBody)) : null);
  const answers = h("div", {}, h("h3", {}, "Answers"),
    Object.entries(responses).map(([status, answer]) => answerPart(status, resolve(answer))));
  return h("div", { class: "inside" }, prose(description), securityLine(operation),
    tryForm(method.toUpperCase(), path, operation), h("div", { class: "two" }, asked, answers));
}

function securityLine({ security = [] }) {
  const schemes = security.flatMap(Object.keys);
  if (schemes.length === 0) return h("p", { class: "quiet" }, "No credentials are needed.");
  const optional = security.some((requirement) => Object.keys(requirement).length === 0);
  return optional ? h("p", { class: "quiet" }, "This instance needs no credentials.") : null;
}

function parameterLine(parameter) {
  return member(parameter.name, parameter.schema, {
    required: parameter.required, where: parameter.in, about: parameter.description,
  });
}

function bodyPart(body) {
  const content = body.content["application/json"];
  return h("div", {}, h("h3", {}, "Body"), prose(resolve(content.schema).description), members(content.schema));
}

function answerPart(status, answer) {
  const kind = status < "400" ? "good" : "bad";
  const [title, ...rest] = prose(answer.description);
  const codes = title?.tagName === "UL" ? [...title.querySelectorAll("code")].map((code) => code.textContent) : [];
  const summary = h("summary", {}, h("span", { class: `status ${kind}` }, status), " ",
    codes.length > 0 ? h("span", { class: "quiet" }, codes.join(", ")) : inline(answer.description ?? ""));
  return h("details", { class: "answer" }, summary, codes.length > 0 ? title : null, rest,
    headerLines(answer.headers), Object.entries(answer.content ?? {}).map(contentPart));
}

function headerLines(headers = {}) {
  const lines = Object.entries(headers).map(([name, item]) => {
    const header = resolve(item);
    return member(name, header.schema, { required: header.required, answer: true, about: header.description });
  });
  return lines.length > 0 ? folded("headers", h("dl", { class: "members" }, lines)) : null;
}

function contentPart([kind, content]) {
  const examples = Object.values(content.examples ?? {}).map(resolve);
  if (content.example !== undefined) examples.push({ summary: "example", value: content.example });
  const { properties, oneOf } = resolve(content.schema);
  return h("div", {}, h("code", { class: "type" }, kind),
    properties || oneOf ? folded("members", members(content.schema, true)) : null,
    examples.map((example) => folded(example.summary ?? "example", sample(example.summary ?? "example", pretty(example.value)))));
}

function schemaBox(name) {
  const element = h("details", { class: "schema-box", id: `schema-${name}` }, h("summary", {}, h("code", {}, name)));
  element.addEventListener("toggle", () => {
    if (!element.open || element.children.length > 1) return;
    const item = { $ref: `#/components/schemas/${name}` };
    element.append(h("div", { class: "inside" }, prose(resolve(item).description), members(item, !name.endsWith("Request"))));
  });
  return element;
}

function keyField(schemes = {}, operations) {
  const input = place("key");
  input.title = Object.values(schemes).map((scheme) => scheme.description).join("\n");
  const asked = operations.some(({ security = [] }) =>
    security.length > 0 && security.every((requirement) => Object.keys(requirement).length > 0));
  const note = () => {
    useKey(input.value);
    place("key-note").textContent = input.value
      ? "The key is sent to this service only and forgotten when the page is left."
      : asked ? "This service needs a key." : "";
  };
  input.addEventListener("input", note);
  place("key-form").addEventListener("submit", (event) => event.preventDefault());
  note();
}

function filterField() {
  place("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const element of document.querySelectorAll("[data-text]")) {
      element.hidden = !element.dataset.text.includes(wanted);
    }
  });
}

function openTarget() {
  const target = place(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName !== "DETAILS") return;
  target.open = true;
  target.scrollIntoView();
}
