// Makes elements. Text only ever becomes text: nothing of the description or of an answer is read
// as HTML.

/** An element with attributes and children; a child that is null or undefined is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** The few marks of CommonMark that descriptions use: paragraphs, lists, `code`. */
export function prose(text = "") {
  return text.split(/\n\n+/).filter(Boolean).map((block) => {
    const items = block.split("\n").filter((line) => line.startsWith("- "));
    return items.length > 0
      ? h("ul", { class: "codes" }, items.map((item) => h("li", {}, inline(item.slice(2)))))
      : h("p", {}, inline(block));
  });
}

/** A line in which `code` is set apart. */
export function inline(text = "") {
  return text.split(/(`[^`]+`)/).filter(Boolean).map((part) =>
    part.startsWith("`") && part.endsWith("`") ? h("code", {}, part.slice(1, -1)) : part);
}

/** Text that is set out, which a keyboard can reach and scroll. */
export function sample(name, text = "") {
  return h("pre", { tabindex: 0, role: "group", "aria-label": name }, text);
}

/** A value as readable JSON; text as it is. */
export function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
