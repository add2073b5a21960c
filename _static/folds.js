// Folded hints and solutions (_ext/folds.py): a button reveals all of them on every page,
// and what a search on the site or a link's address has found is opened.
document.addEventListener("DOMContentLoaded", () => {
  const folds = document.querySelectorAll("details.admonition");
  const button = document.querySelector(".reveal-all");

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
      if (fold.matches("details")) fold.open = true;
    }
    // Formulas grow while they are typeset, and push down what comes after them.
    await window.MathJax?.startup?.promise;
    element.scrollIntoView();
  };
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.closest("details")) window.addEventListener("load", () => show(target));

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
