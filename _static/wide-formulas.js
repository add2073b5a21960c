// A formula that is wider than the text scrolls by itself, and by keyboard.
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;

  // An inline formula has no width of its own to be cut at: it becomes a line.
  const fit = (formula) => {
    const block = formula.closest("p, li, dd, td, th, summary, h1, h2, h3");
    formula.classList.remove("wide");
    const wide = formula.firstElementChild.offsetWidth > (block?.clientWidth ?? Infinity);
    formula.classList.toggle("wide", wide && !formula.hasAttribute("display"));
    if (formula.scrollWidth > formula.clientWidth && formula.clientWidth) {
      formula.tabIndex = 0;
    } else {
      formula.removeAttribute("tabindex");
    }
  };

  const formulas = [...document.querySelectorAll("mjx-container")];
  const observer = new ResizeObserver((entries) => {
    for (const entry of entries) {
      entry.target.querySelectorAll("mjx-container").forEach(fit);
    }
  });
  // Observed is what holds formulas: its width changes with the window and with folds.
  for (const block of new Set(formulas.map((f) => f.parentElement.parentElement))) {
    observer.observe(block);
  }
});
