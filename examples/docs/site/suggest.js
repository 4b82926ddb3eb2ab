// Suggests how a query may go on. The search works without it.
addEventListener("DOMContentLoaded", () => {
  const field = document.querySelector("[data-suggest]");
  if (!field || !field.list) return;
  let asked = null;
  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    const typed = field.value;
    if (typed.trim().length < 2) return field.list.replaceChildren();
    try {
      const answer = await fetch(field.dataset.suggest + encodeURIComponent(typed), { signal: asked.signal });
      if (!answer.ok) return;
      const { suggestions } = await answer.json();
      field.list.replaceChildren(...suggestions.filter((text) => text !== typed).map((text) => new Option(text, text)));
    } catch { /* what was typed meanwhile is asked for next, and files on a disk have nobody to ask */ }
  };
  let wait = 0;
  field.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(ask, 120);
  });
});
