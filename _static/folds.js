// Folded hints and solutions (_ext/folds.py): a button reveals all of them on every page,
// what a search on the site or a link's address has found is opened, and formulas are
// typeset when their fold is opened: MathJax passes over folds.
document.addEventListener("DOMContentLoaded", () => {
  // The fonts of formulas, and what in a formula asks for them.
  const FONTS = {
    "MJXZERO": "", "MJXTEX": "", "MJXTEX-I": "", "MJXTEX-A": "",
    "MJXTEX-S1": "", "MJXTEX-S2": "", "MJXTEX-S3": "", "MJXTEX-S4": "",
    "MJXTEX-B": "\\mathbf", "MJXTEX-SS": "\\mathsf",
  };
  const folds = [...document.querySelectorAll("details")];
  const button = document.querySelector(".reveal-all");

  const contents = (fold) => [...fold.children].filter((c) => !c.matches("summary"));
  const typeset = (fold) => {
    if (fold.querySelector(".math:not(:has(mjx-container))")) {
      MathJax.startup.promise = MathJax.startup.promise.then(() =>
        MathJax.typesetPromise(contents(fold)),
      );
    }
  };
  for (const fold of folds) {
    fold.addEventListener("toggle", () => fold.open && typeset(fold));
  }
  // The browser prints what stands there when this event has been handled, and with the
  // fonts that it has: those of formulas in folds are loaded before.
  window.MathJax?.startup?.promise.then(() => {
    const formulas = [...document.querySelectorAll("details .math")];
    const tex = formulas.map((formula) => formula.textContent).join();
    for (const [font, command] of tex && Object.entries(FONTS)) {
      if (tex.includes(command)) document.fonts.load(`1em ${font}`);
    }
    window.addEventListener("beforeprint", () => {
      MathJax.typeset(folds.flatMap(contents));
    });
  });

  const revealAll = (wanted) => {
    button.ariaPressed = wanted;
    folds.forEach((fold) => (fold.open = wanted));
  };
  if (button) {
    revealAll(localStorage.getItem("reveal-all") === "true");
    button.addEventListener("click", () => {
      const wanted = button.ariaPressed !== "true";
      localStorage.setItem("reveal-all", wanted);
      revealAll(wanted);
    });
  }

  const show = async (element) => {
    for (let fold = element; fold; fold = fold.parentElement.closest("details")) {
      if (!fold.matches("details")) continue;
      fold.open = true;
      typeset(fold);
    }
    // Formulas grow while they are typeset, and push down what comes after them.
    await window.MathJax?.startup?.promise;
    element.scrollIntoView();
  };
  const showTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target?.closest("details")) show(target);
  };
  window.addEventListener("load", showTarget);
  window.addEventListener("hashchange", showTarget);

  // Sphinx marks the words that were searched for ten milliseconds after this event.
  setTimeout(() => {
    const hits = [...document.querySelectorAll("article .highlighted")];
    for (const fold of folds) {
      const count = hits.filter((hit) => fold.contains(hit)).length;
      if (count) fold.querySelector("summary").dataset.hits = count;
    }
    const first = hits.find((hit) => hit.checkVisibility()) ?? hits[0];
    if (first) show(first);
  }, 20);
});
