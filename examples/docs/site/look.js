// Remembers which theme a reader chose. Everything can be read without it.
(() => {
  const root = document.documentElement;
  const name = "ashlar-docs-theme";
  let chosen = "";
  try { chosen = localStorage.getItem(name) || ""; } catch { /* Private windows store nothing. */ }
  if (chosen) root.dataset.theme = chosen;
  addEventListener("DOMContentLoaded", () => {
    // Wide code and tables scroll; the keyboard can reach them then.
    for (const wide of document.querySelectorAll(".prose pre, .prose table")) {
      if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    }
    const form = document.querySelector("[data-look]");
    if (!form) return;
    form.hidden = false;
    form.elements.theme.value = chosen;
    form.elements.theme.addEventListener("change", (event) => {
      const theme = event.target.value;
      if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
      try { localStorage.setItem(name, theme); } catch { /* Private windows store nothing. */ }
    });
  });
})();
