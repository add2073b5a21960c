// LeNet to play with: maps as pictures, and frames above them.
// Belongs here: colours, where a number lies on its canvas, and painting.
// Does not belong here: words and formulas (words.js), what a reader does (listen.js).
"use strict";

(globalThis.LeNet ??= {}).draw = (() => {
  const { placeOf, receptiveField, windowOf } = LeNet.compute;
  const { element } = LeNet.elements;
  // How many maps stand side by side, for each number of maps.
  const ATLAS_COLUMNS = { 1: 1, 6: 2, 16: 4, 32: 6, 84: 12, 120: 12, 128: 12 };
  const FRAMED_TERMS = 8; // of the inputs of a dense unit, those that count most

  // ---- Colours ------------------------------------------------------------------

  // Matplotlib's viridis as a polynomial of degree 6, from the constant term on.
  const VIRIDIS = [
    [0.2777273272, 0.0054073445, 0.3340998053],
    [0.1050930431, 1.4046135299, 1.3845901626],
    [-0.3308618287, 0.2148475595, 0.095095163],
    [-4.634230499, -5.7991009734, -19.332440956],
    [6.2282699363, 14.1799333668, 56.6905526007],
    [4.7763849977, -13.745145377, -65.353032633],
    [-5.4354558559, 4.6458526122, 26.3124352496],
  ];
  const LEVELS = 256;

  /** Make a palette from a function of [0, 1] to red, green and blue in [0, 1]. */
  const palette = (color) =>
    Uint8ClampedArray.from({ length: 3 * LEVELS }, (_, n) => {
      return 255 * color(Math.floor(n / 3) / (LEVELS - 1))[n % 3];
    });
  const horner = (x) =>
    [0, 1, 2].map((c) => VIRIDIS.reduceRight((sum, k) => sum * x + k[c], 0));
  const mixed = (end, share) => end.map((v) => (1 - share) * 0.97 + share * v);
  const PALETTES = {
    gray: palette((x) => [x, x, x]),
    maps: palette(horner),
    // Okabe and Ito's blue and vermilion, and nearly white between them.
    difference: palette((x) =>
      x < 0.5 ? mixed([0, 0.447, 0.698], 1 - 2 * x) : mixed([0.835, 0.369, 0], 2 * x - 1),
    ),
  };

  /** Choose what the darkest and the brightest colour of a layer mean. */
  function rangeOf({ values, layer }, isStretched) {
    let [low, high] = [Infinity, -Infinity];
    for (const v of values) [low, high] = [Math.min(low, v), Math.max(high, v)];
    if (isStretched) return [low, high];
    return layer.isBounded ? [0, 1] : [0, high];
  }

  // ---- Maps ---------------------------------------------------------------------

  /** Say how the maps of a layer are laid out on one canvas, one pixel apart. */
  function atlasOf(layer) {
    const [maps, rows = 1, columns = 1] = layer.outShape;
    const across = ATLAS_COLUMNS[maps];
    const gap = rows > 1 ? 1 : 0;
    const down = Math.ceil(maps / across);
    const width = across * (columns + gap) - gap;
    const height = down * (rows + gap) - gap;
    return { across, rows, columns, gap, width, height };
  }

  /** The first row and column of a map on its canvas. */
  const cornerOf = ({ across, rows, columns, gap }, map) => [
    Math.floor(map / across) * (rows + gap),
    (map % across) * (columns + gap),
  ];

  /** Find the number of the unit at a place of the canvas; null between the maps. */
  function unitAt(layer, x, y) {
    const { across, rows, columns, gap } = atlasOf(layer);
    const [row, column] = [Math.floor(y), Math.floor(x)];
    const map =
      Math.floor(row / (rows + gap)) * across + Math.floor(column / (columns + gap));
    const [i, j] = [row % (rows + gap), column % (columns + gap)];
    if (i >= rows || j >= columns || map >= layer.outShape[0]) return null;
    return (map * rows + i) * columns + j;
  }

  /** Paint values onto a canvas; `range` are those of the first and the last colour. */
  function paintMaps(canvas, layer, values, [low, high], colors) {
    const atlas = atlasOf(layer);
    const context = canvas.getContext("2d");
    const picture = (canvas.picture ??= context.createImageData(atlas.width, atlas.height));
    const scale = (LEVELS - 1) / (high - low);
    const { rows, columns } = atlas;
    for (let map = 0, n = 0; map < layer.outShape[0]; map++) {
      const [top, left] = cornerOf(atlas, map);
      for (let i = 0; i < rows; i++) {
        let to = 4 * ((top + i) * atlas.width + left);
        for (let j = 0; j < columns; j++, n++, to += 4) {
          const level = high > low ? Math.round(scale * (values[n] - low)) : LEVELS / 2;
          const from = 3 * Math.min(LEVELS - 1, Math.max(0, level));
          picture.data[to] = PALETTES[colors][from];
          picture.data[to + 1] = PALETTES[colors][from + 1];
          picture.data[to + 2] = PALETTES[colors][from + 2];
          picture.data[to + 3] = 255;
        }
      }
    }
    context.putImageData(picture, 0, 0);
  }

  const GRAY = { outShape: [1, 28, 28] };
  /** Paint an input, black to white. */
  const paintImage = (canvas, X) => paintMaps(canvas, GRAY, X, [0, 1], "gray");

  /** Make a canvas for a layer's maps with room for frames above it. */
  function mapsBox(layer, attributes) {
    const { width, height } = atlasOf(layer);
    const canvas = element("canvas", { width, height, ...attributes });
    const box = element("div", { class: "ln-maps" }, canvas);
    return { box, canvas, layer };
  }

  /** Frame rows and columns of one map; what lies outside the map is cut off. */
  function frame({ box, layer }, map, [top, left, height, width], kind) {
    const atlas = atlasOf(layer);
    const [first, right] = [Math.max(0, left), Math.min(atlas.columns, left + width)];
    const [above, bottom] = [Math.max(0, top), Math.min(atlas.rows, top + height)];
    const [row, column] = cornerOf(atlas, map);
    const made = element("i", { class: `ln-frame ln-${kind}` });
    Object.assign(made.style, {
      left: `${(100 * (column + first)) / atlas.width}%`,
      top: `${(100 * (row + above)) / atlas.height}%`,
      width: `${(100 * (right - first)) / atlas.width}%`,
      height: `${(100 * (bottom - above)) / atlas.height}%`,
    });
    box.append(made);
  }

  /** Frame a unit, what it reads in the layer before, and what it sees of the input. */
  function frameUnit(net, unit, boxes, inputBox, explained) {
    const layer = net.layers[unit.layer];
    const [map, i, j] = placeOf(layer, unit.index);
    const before = unit.layer ? boxes[unit.layer - 1] : null;
    if (boxes[unit.layer]) frame(boxes[unit.layer], map, [i ?? 0, j ?? 0, 1, 1], "chosen");
    const window = windowOf(layer, [map, i, j]);
    const field = receptiveField(net, unit.layer);
    if (before && window) {
      for (const m of window.maps) {
        frame(before, m, [window.top, window.left, window.size, window.size], "window");
      }
    }
    if (before && !window) {
      for (const { index } of explained.terms.slice(0, FRAMED_TERMS)) {
        const [m, row = 0, column = 0] = placeOf(net.layers[unit.layer - 1], index);
        frame(before, m, [row, column, 1, 1], "window");
      }
    }
    if (field) {
      const { size, jump, start } = field;
      frame(inputBox, 0, [start + i * jump, start + j * jump, size, size], "window");
    }
  }

  return { GRAY, frame, frameUnit, mapsBox, paintImage, paintMaps, rangeOf, unitAt };
})();
