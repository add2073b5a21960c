// A formula that is wider than the text scrolls by itself, and by keyboard.
document.addEventListener("DOMContentLoaded", () => {
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

  // Observed is what holds formulas: its width changes with the window and with folds.
  const resized = new ResizeObserver((entries) => {
    for (const entry of entries) {
      entry.target.querySelectorAll("mjx-container").forEach(fit);
    }
  });
  const typeset = new MutationObserver((records) => {
    const added = records.flatMap((record) => [...record.addedNodes]);
    const formulas = added.filter((node) => node.nodeName === "MJX-CONTAINER");
    for (const block of new Set(formulas.map((f) => f.parentElement.parentElement))) {
      resized.observe(block);
    }
  });
  typeset.observe(document.body, { childList: true, subtree: true });
});
