// LeNet to play with: what it says in words and formulas.
// Belongs here: names, descriptions, and how one number comes about, from the computed
// factors. Does not belong here: computing them (compute.js), pictures (draw.js).
"use strict";

(globalThis.LeNet ??= {}).words = (() => {
  const { placeOf, receptiveField, softmax, summary } = LeNet.compute;
  const { element, format, percent, signed, table } = LeNet.elements;
  const SHOWN_TERMS = 8; // of a dense unit's products, the largest

  /** Name one unit: "conv 2, map 3, row 4, column 5". */
  function nameOf(layer, index) {
    const [map, i, j] = placeOf(layer, index);
    if (i === undefined) return `${layer.name}, unit ${map}`;
    return `${layer.name}, map ${map}, row ${i}, column ${j}`;
  }

  /** Say how large a layer is. */
  function sizeOf({ outShape: [maps, rows, columns] }) {
    return rows ? `${maps} maps of ${rows} × ${columns}` : `${maps} units`;
  }

  /** Say what colours mean. */
  const scaleOf = ([low, high]) => `dark ${format(low, 2)}, bright ${format(high, 2)}`;

  /** Describe a layer's output for those who do not see its maps. */
  function inWords(output) {
    const { mean, means, share, strongest } = summary(output);
    const { layer } = output;
    const what = layer.isBounded ? "lie below 0.05 or above 0.95" : "are 0";
    const unit = layer.outShape.length > 1 ? "map" : "unit";
    const best = strongest.slice(0, 3).map((m) => `${m} (${format(means[m], 2)})`);
    return (
      `${sizeOf(layer)}: mean ${format(mean, 2)}; ${percent(share)} of the numbers ${what}; ` +
      `strongest ${unit}s on average: ${best.join(", ")}.`
    );
  }

  /** Name the classes that a net holds for most likely. */
  function verdict(logits, classes, count = 2) {
    const p = softmax(logits);
    const order = p.map((_, c) => c).sort((a, b) => p[b] - p[a]);
    return order
      .slice(0, count)
      .map((c) => `${classes[c]}: ${percent(p[c])}`)
      .join(", then ");
  }

  // ---- One number explained -----------------------------------------------------

  /** Make a table of numbers, tinted by their size. */
  function grid(title, numbers, size, attributes = () => ({})) {
    const largest = Math.max(...numbers.map(Math.abs)) || 1;
    const cell = (v, n) => {
      const tint = `--ln-share: ${((30 * Math.abs(v)) / largest).toFixed(0)}%`;
      const kind = v < 0 ? "ln-negative" : "ln-positive";
      return element("td", { class: kind, style: tint, ...attributes(n) }, format(v, 2));
    };
    const rows = Array.from({ length: numbers.length / size }, (_, i) =>
      element(
        "tr",
        {},
        ...numbers.slice(i * size, (i + 1) * size).map((v, j) => cell(v, i * size + j)),
      ),
    );
    const table = element("table", { class: "ln-grid" }, element("caption", {}, title));
    table.append(element("tbody", {}, ...rows));
    return table;
  }

  /** Write an activation with its numbers. */
  function activated({ activation }, z, value) {
    if (activation === "sigmoid")
      return `σ(${format(z)}) = 1 / (1 + exp(${format(-z)})) = ${format(value)}`;
    if (activation === "relu") return `max(${format(z)}, 0) = ${format(value)}`;
    return "";
  }

  const formula = (text) => element("p", { class: "ln-formula" }, text);

  /** Explain a number of a convolution: one input map in full, and the sum of all. */
  function explainedConv({ layer, parts, bias, z, size, value }, chosen) {
    const { taps, sum } = parts[chosen];
    const outside = (n) => (taps[n].isInside ? {} : { "data-padding": "" });
    const grids = element(
      "div",
      { class: "ln-grids" },
      grid(
        parts.length > 1 ? `Window of map ${chosen}` : "Window",
        taps.map((t) => t.pixel),
        size,
        outside,
      ),
      grid(
        "times the kernel",
        taps.map((t) => t.weight),
        size,
      ),
      grid(
        "gives products",
        taps.map((t) => t.product),
        size,
      ),
    );
    const terms = taps.map((t) => `${signed(t.pixel)}·${signed(t.weight)}`).join(" + ");
    const of = parts.length > 1 ? ` of map ${chosen}` : "";
    const long = element(
      "details",
      {},
      element("summary", {}, `Their sum${of}, written out`),
    );
    long.append(formula(`${terms} = ${format(sum)}`));
    const sums = parts.map((part) => signed(part.sum)).join(" + ");
    const index = (n, tap) =>
      layer.padding ? `${n} + ${tap} − ${layer.padding}` : `${n} + ${tap}`;
    return [
      formula(
        `z[o, i, j] = Σ over c, a, b of X[c, ${index("i", "a")}, ${index("j", "b")}] · ` +
          "K[o, c, a, b] + bias[o]",
      ),
      formula(`z = ${sums} + bias ${signed(bias)} = ${format(z)}`),
      formula(`value = ${activated(layer, z, value)}`),
      grids,
      long,
    ];
  }

  function explainedPool({ layer, pixels, value }) {
    const numbers = pixels.map((v) => format(v));
    const text =
      layer.pooling === "max"
        ? `max(${numbers.join(", ")}) = ${format(value)}`
        : `(${numbers.join(" + ")}) / 4 = ${format(value)}`;
    const taps = "X[c, 2i, 2j], X[c, 2i, 2j + 1], X[c, 2i + 1, 2j], X[c, 2i + 1, 2j + 1]";
    return [
      formula(`Y[c, i, j] = ${layer.pooling === "max" ? "max" : "mean"}(${taps})`),
      formula(text),
      element("div", { class: "ln-grids" }, grid("The four numbers", pixels, 2)),
    ];
  }

  /** Explain a dense unit: its largest products, and what the others add up to. */
  function explainedDense({ layer, terms, bias, z, value }, before, probability) {
    const shown = terms.slice(0, SHOWN_TERMS);
    const rest = terms.slice(SHOWN_TERMS).reduce((sum, t) => sum + t.product, 0);
    const sums = shown.map((t) => signed(t.product)).join(" + ");
    const last = probability
      ? `probability = exp(${format(z)}) / sum over the classes = ${percent(probability)}`
      : `value = ${activated(layer, z, value)}`;
    const rows = shown.map(({ index, ...t }) => {
      const name = element(
        "button",
        { type: "button", "data-open": index },
        nameOf(before, index),
      );
      return [name, ...[t.pixel, t.weight, t.product].map((v) => format(v))];
    });
    rows.push([`the other ${terms.length - shown.length} together`, "", "", format(rest)]);
    const head = ["input", "its value", "times weight", "product"];
    return [
      formula("z[n] = Σ over m of W[n, m] · X[m] + bias[n]"),
      formula(
        `z = ${sums} + the others ${signed(rest)} + bias ${signed(bias)} = ${format(z)}`,
      ),
      formula(last),
      table(head, rows, "The products that count most"),
    ];
  }

  /** Say which pixels of the input a unit sees. */
  function seen(net, { layer, index }) {
    const field = receptiveField(net, layer);
    if (!field) return "It sees all 28 × 28 pixels of the input.";
    const [, i, j] = placeOf(net.layers[layer], index);
    const { size, jump, start } = field;
    const span = (n) => `${format(start + n * jump)} to ${start + n * jump + size - 1}`;
    return (
      `It sees ${size} × ${size} pixels of the input: rows ${span(i)}, columns ${span(j)} ` +
      "(framed; outside 0 to 27 is padding)."
    );
  }

  /** Show how one number comes about. */
  function explanation(net, unit, explained, chosenMap, probability) {
    const before = net.layers[unit.layer - 1];
    const parts = {
      conv: () => explainedConv(explained, chosenMap),
      pool: () => explainedPool(explained),
      dense: () => explainedDense(explained, before, probability),
    };
    return [
      ...parts[explained.layer.kind](),
      element("p", { class: "ln-seen" }, seen(net, unit)),
    ];
  }

  return { explanation, inWords, nameOf, scaleOf, sizeOf, verdict };
})();
