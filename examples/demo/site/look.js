// Remembers how a reader wants to see the site. Everything can be read without it.
(() => {
  const root = document.documentElement;
  const names = ["theme", "density"];
  const kept = (name) => { try { return localStorage.getItem("look-" + name); } catch { return null; } };
  for (const name of names) if (kept(name)) root.dataset[name] = kept(name);
  addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("[data-look]");
    if (!form) return;
    form.hidden = false;
    for (const name of names) {
      const field = form.elements[name];
      const dark = name === "theme" && matchMedia("(prefers-color-scheme: dark)").matches;
      field.value = root.dataset[name] || (name === "density" ? "regular" : dark ? "dark" : "light");
      field.addEventListener("change", () => {
        root.dataset[name] = field.value;
        try { localStorage.setItem("look-" + name, field.value); } catch { /* private windows keep nothing */ }
      });
    }
  });
})();
