// LeNet to play with: elements of the page, and numbers as text.
// Belongs here: what every other part makes its elements and its texts with.
// Does not belong here: anything that knows of nets.
"use strict";

(globalThis.LeNet ??= {}).elements = (() => {
  /** Make an element with attributes and children. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  /** Change the text of an element; one text node serves for all frames. */
  function write(node, text) {
    if (!node.firstChild) node.append("");
    if (node.firstChild.data !== text) node.firstChild.data = text;
  }

  /** Write a number with three digits, and a minus sign that is as wide as a plus. */
  function format(value, digits = 3) {
    if (value === 0) return "0";
    const isSmall = Math.abs(value) < 0.001;
    const text = isSmall
      ? value.toExponential(1)
      : String(Number(value.toPrecision(digits)));
    return text.replaceAll("-", "−");
  }

  const signed = (value) => (value < 0 ? `(${format(value)})` : format(value));
  const percent = (share) => `${(100 * share).toFixed(share < 0.9995 ? 1 : 0)} %`;

  /** Make a button that does something. */
  function button(text, action) {
    const made = element("button", { type: "button" }, text);
    made.addEventListener("click", action);
    return made;
  }

  /** Make a list to choose from, with its label; options are pairs of value and text. */
  function select(name, options, action) {
    const made = element("select", {});
    for (const [value, text] of options) made.append(element("option", { value }, text));
    made.addEventListener("change", () => action(made.value));
    return { made, label: element("label", {}, name, made) };
  }

  // No h2: the printed book would list it in its contents. The section has its name.
  const heading = (text) => element("p", { class: "ln-heading" }, text);

  /** Make a table of texts that scrolls by itself if it is too wide. */
  function table(head, rows, caption) {
    const cells = (tag, row, attributes) =>
      row.map((text) => element(tag, attributes, text));
    const made = element(
      "table",
      { class: "ln-terms" },
      element("thead", {}, element("tr", {}, ...cells("th", head, { scope: "col" }))),
      element(
        "tbody",
        {},
        ...rows.map((row) => element("tr", {}, ...cells("td", row, {}))),
      ),
    );
    if (caption) made.prepend(element("caption", {}, caption));
    return element("div", { class: "ln-wide" }, made);
  }

  return { button, element, format, heading, percent, select, signed, table, write };
})();
