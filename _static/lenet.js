// LeNet to play with: loads its parts on the one page that has it, chapters/lenet-play.md.
// Belongs here: loading. Does not belong here: what is loaded (_play/lenet).
// Every part is a script: a page that was opened from disk may load nothing else.
"use strict";

(() => {
  const FOLDER = new URL("../lenet/", document.currentScript.src);
  // Each needs those before it.
  const PARTS = [
    "compute",
    "image",
    "elements",
    "draw",
    "words",
    "input",
    "unit",
    "listen",
  ];
  const files = {};
  const loading = {};

  function script(path) {
    return new Promise((resolve, reject) => {
      const made = document.createElement("script");
      Object.assign(made, {
        src: new URL(path, FOLDER),
        async: false,
        onload: resolve,
      });
      made.onerror = () => {
        made.remove();
        reject(new Error(path));
      };
      document.head.append(made);
    });
  }

  /** Load a file of weights or images, once; it registers itself. */
  function load(name) {
    loading[name] ??= script(`weights/${name}.js`).catch((error) => {
      delete loading[name]; // it may be there the next time
      throw error;
    });
    return loading[name];
  }

  function start() {
    if (!document.getElementById("lenet")) return;
    globalThis.LeNet = {
      files,
      load,
      register: (name, content) => (files[name] = content),
    };
    const style = document.createElement("link");
    Object.assign(style, { rel: "stylesheet", href: new URL("lenet.css", FOLDER) });
    document.head.append(style);
    for (const part of PARTS) script(`${part}.js`);
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
