// LeNet to play with: the input, an image of 28×28 numbers from 0 (black) to 1 (white).
// Belongs here: reading and changing images, and a photograph of the reader's own, which
// stays in the browser. Does not belong here: the nets (compute.js), the page (draw.js).
"use strict";

(globalThis.LeNet ??= {}).image = (() => {
  const SIZE = 28;
  const LARGEST = 40e6; // pixels of a photograph: more may not fit into a phone's memory
  const UNCHANGED = {
    right: 0,
    down: 0,
    mirror: false,
    invert: false,
    blur: 0,
    brightness: 0,
    noise: 0,
  };

  const empty = () => new Float32Array(SIZE * SIZE);

  /** Compute each pixel from its row and column. */
  const fill = (pixel) =>
    Float32Array.from({ length: SIZE * SIZE }, (_, n) =>
      pixel(Math.floor(n / SIZE), n % SIZE),
    );

  /** Read compressed images that stand one after the other, a byte for each pixel. */
  async function decodeImages(text) {
    const packed = new Blob([LeNet.compute.bytesOf(text)]).stream();
    const unpacked = packed.pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(unpacked).arrayBuffer());
    const count = bytes.length / SIZE ** 2;
    return Array.from({ length: count }, (_, n) =>
      Float32Array.from(bytes.subarray(n * SIZE ** 2, (n + 1) * SIZE ** 2), (v) => v / 255),
    );
  }

  /** Draw numbers from [0, 1), the same for the same seed (mulberry32). */
  function random(seed) {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  const noise = (seed) => empty().map(random(seed));

  /** Blur by a Gaussian of this standard deviation in pixels; outside it is black. */
  function blurred(X, deviation) {
    const reach = Math.ceil(3 * deviation);
    const weights = Array.from({ length: 2 * reach + 1 }, (_, n) =>
      Math.exp(-((n - reach) ** 2) / (2 * deviation ** 2)),
    );
    const total = weights.reduce((a, b) => a + b, 0);
    const along = (at) =>
      fill(
        (i, j) => weights.reduce((sum, w, n) => sum + w * at(i, j, n - reach), 0) / total,
      );
    const isInside = (n) => n >= 0 && n < SIZE;
    const rows = along((i, j, n) => (isInside(j + n) ? X[i * SIZE + j + n] : 0));
    return along((i, j, n) => (isInside(i + n) ? rows[(i + n) * SIZE + j] : 0));
  }

  /** Mirror, invert, blur, brighten, disturb and move an image, in this order. */
  function changed(X, { right, down, mirror, invert, blur, brightness, noise: share }) {
    let Y = mirror ? fill((i, j) => X[i * SIZE + SIZE - 1 - j]) : X;
    if (invert) Y = Y.map((v) => 1 - v);
    if (blur) Y = blurred(Y, blur);
    const draw = random(1);
    Y = Y.map((v) => Math.min(1, Math.max(0, v + brightness + share * (2 * draw() - 1))));
    const isInside = (n) => n >= 0 && n < SIZE;
    return fill((i, j) =>
      isInside(i - down) && isInside(j - right) ? Y[(i - down) * SIZE + j - right] : 0,
    );
  }

  /** Paint one soft dot of the pen; `value` is 1 for the pen and 0 for the eraser. */
  function paint(X, row, column, width, value) {
    const reach = Math.ceil(width);
    for (let i = Math.max(0, row - reach); i <= Math.min(SIZE - 1, row + reach); i++) {
      for (
        let j = Math.max(0, column - reach);
        j <= Math.min(SIZE - 1, column + reach);
        j++
      ) {
        const share = Math.min(
          1,
          Math.max(0, width / 2 + 0.5 - Math.hypot(i - row, j - column)),
        );
        const n = i * SIZE + j;
        X[n] = value ? Math.max(X[n], share) : Math.min(X[n], 1 - share);
      }
    }
  }

  /** Load a picture from a file; RangeError says in one sentence why it cannot be had. */
  async function pictureOf(file) {
    const picture = new Image();
    const address = URL.createObjectURL(file);
    try {
      await new Promise((resolve, reject) => {
        picture.onload = resolve;
        picture.onerror = () =>
          reject(
            new RangeError(
              `${file.name} is no picture that this browser can read: a PNG, JPEG or WebP ` +
                "file with at least one pixel is expected",
            ),
          );
        picture.src = address;
      });
    } finally {
      URL.revokeObjectURL(address);
    }
    return picture;
  }

  /** Turn a photograph into an input: its middle square, gray, 28×28. */
  async function fromFile(file) {
    const picture = await pictureOf(file);
    const [width, height] = [picture.naturalWidth, picture.naturalHeight];
    if (width * height === 0) {
      throw new RangeError(
        `${file.name} has ${width} × ${height} pixels, but at least 1 × 1 is needed`,
      );
    }
    if (width * height > LARGEST) {
      const millions = Math.round((width * height) / 1e6);
      throw new RangeError(
        `${file.name} has ${width} × ${height} = ${millions} million pixels, but at most ` +
          `${LARGEST / 1e6} million are read here`,
      );
    }
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIZE;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    const side = Math.min(width, height);
    context.fillRect(0, 0, SIZE, SIZE); // what is transparent is black
    context.drawImage(
      picture,
      (width - side) / 2,
      (height - side) / 2,
      side,
      side,
      0,
      0,
      SIZE,
      SIZE,
    );
    const { data } = context.getImageData(0, 0, SIZE, SIZE);
    return fill((i, j) => {
      const [r, g, b] = data.subarray(4 * (i * SIZE + j));
      return (0.299 * r + 0.587 * g + 0.114 * b) / 255; // as Pillow makes gray
    });
  }

  return { SIZE, UNCHANGED, changed, decodeImages, empty, fromFile, noise, paint };
})();
