// Shows JSON Schema in words.

import { h, inline } from "./dom.js";

let whole = {};

/** The document that references lead into. */
export function use(document) {
  whole = document;
}

/** What a reference stands for; what stands beside it counts too. */
export function resolve(item) {
  let found = item ?? {};
  for (let step = 0; found.$ref && step < 20; step += 1) {
    const { $ref, ...beside } = found;
    const target = $ref.slice(2).split("/")
      .map((part) => decodeURIComponent(part).replace(/~1/g, "/").replace(/~0/g, "~"))
      .reduce((place, part) => place?.[part], whole);
    found = { ...target, ...beside };
  }
  return found;
}

function nameOf(item) {
  return item?.$ref?.split("/").pop();
}

function types(schema) {
  return [schema.type ?? (schema.properties ? "object" : [])].flat();
}

/** One of the forms when a schema is "this or null". */
function unwrapped(item) {
  const schema = resolve(item);
  const forms = (schema.oneOf ?? schema.anyOf ?? []).filter((form) => resolve(form).type !== "null");
  const optional = forms.length === 1 && !schema.properties;
  return optional ? { inner: forms[0], nullable: true } : { inner: item, nullable: false };
}

/** The type in a few words. */
export function typeOf(item) {
  const { inner, nullable } = unwrapped(item);
  const schema = resolve(inner);
  const named = nameOf(inner);
  let words = types(schema).filter((type) => type !== "null");
  if (schema.items) words = [`list of ${typeOf(schema.items)}`];
  else if (named && (schema.properties || schema.oneOf)) words = [named];
  else if (schema.format && !/^u?int|float|double/.test(schema.format)) words = [schema.format];
  else if (words.length === 0 && schema.oneOf) words = schema.oneOf.map(typeOf);
  const text = words.join(" or ") || "any";
  return nullable || types(schema).includes("null") ? `${text} or null` : text;
}

function limits(schema) {
  const said = [];
  const range = (low, high, unit) => {
    if (low == null && high == null) return;
    const bounds = low == null ? `at most ${high}` : high == null ? `at least ${low}` : `${low} to ${high}`;
    said.push(`${bounds}${unit}`);
  };
  range(schema.minimum, schema.maximum, "");
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " items");
  if (schema.uniqueItems) said.push("all different");
  if (schema.default !== undefined) said.push(`default ${JSON.stringify(schema.default)}`);
  return said.join(", ");
}

/** Type, limits, words and pattern of a field. */
export function facts(item) {
  const schema = resolve(unwrapped(item).inner);
  const words = (schema.enum ?? []).filter((word) => word !== null);
  const bounds = limits(schema);
  const hasPattern = schema.pattern && schema.format !== "uuid";
  return [
    bounds ? h("div", { class: "limits" }, bounds) : null,
    words.length > 0 && words.length <= 8
      ? h("div", { class: "limits" }, "one of ", words.flatMap((word, i) => [i ? ", " : "", h("code", {}, String(word))]))
      : null,
    words.length > 8 ? folded(`${words.length} values`, h("div", { class: "limits" }, words.join(", "))) : null,
    hasPattern ? folded("pattern", h("div", { class: "limits" }, h("code", {}, schema.pattern))) : null,
  ];
}

/** Content behind a line that opens it. */
export function folded(title, ...content) {
  return h("details", { class: "more" }, h("summary", {}, title), content);
}

/** A line of a list of fields, parameters or headers. In answers what is not always there is
    marked, in requests what must be. */
export function member(name, item, { required = false, answer = false, where, about, more } = {}) {
  const inner = resolve(unwrapped(item).inner);
  const text = about ?? resolve(item).description ?? inner.description;
  return h("div", {},
    h("dt", {}, h("code", { class: "name" }, name), h("span", { class: "type" }, where ? `${typeOf(item)}, in the ${where}` : typeOf(item)),
      required && !answer ? h("span", { class: "required" }, "required") : null,
      answer && !required ? h("span", { class: "type" }, "(not always there)") : null),
    h("dd", {}, text ? h("div", {}, inline(text)) : null, facts(item), more));
}

function nested(item, answer, depth) {
  const { inner } = unwrapped(item);
  const schema = resolve(inner);
  const target = schema.items ?? inner;
  const below = resolve(unwrapped(target).inner);
  if (!below.properties && !below.oneOf) return null;
  if (depth > 4) return null;
  return folded("members", h("div", { class: "nested" }, members(target, answer, depth + 1)));
}

/** All members of an object, of an answer or a request; the forms of a choice one after the other. */
export function members(item, answer = false, depth = 0) {
  const schema = resolve(unwrapped(item).inner);
  if (schema.properties) {
    const required = new Set(schema.required ?? []);
    return h("dl", { class: "members" }, Object.entries(schema.properties).map(([name, field]) =>
      member(name, field, { required: required.has(name), answer, more: nested(field, answer, depth) })));
  }
  const forms = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (forms) {
    return h("div", {}, forms.map((form) => h("div", { class: "nested" },
      h("div", {}, inline(resolve(form).description ?? typeOf(form))), members(form, answer, depth + 1))));
  }
  return h("div", {}, h("span", { class: "type" }, typeOf(schema)), facts(schema));
}
