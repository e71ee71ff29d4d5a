// Everything works without this file. Each part looks for its data- attribute and leaves the page alone when it is absent.
document.documentElement.classList.add("scripted");

// Copy buttons. Where there is no clipboard (http on a name in the network), the text beside is selected instead.
for (const button of document.querySelectorAll("[data-copy]")) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = button.dataset.copied || "✓";
      setTimeout(() => (button.textContent = label), 2000);
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
    }
  });
}

// A form that is being sent is not sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.getAttribute("aria-busy") === "true") event.preventDefault();
  else if (form.method === "post") form.setAttribute("aria-busy", "true");
});
addEventListener("pageshow", () => document.querySelectorAll("form[aria-busy]").forEach((f) => f.removeAttribute("aria-busy")));

// Leaving with changes that are not saved asks.
for (const form of document.querySelectorAll("form[data-guard]")) {
  let changed = false;
  form.addEventListener("input", () => (changed = true));
  form.addEventListener("submit", () => (changed = false));
  addEventListener("beforeunload", (event) => changed && event.preventDefault());
}

// A search finds while somebody types; the answer is the page that its button leads to.
for (const form of document.querySelectorAll("form[data-search]")) {
  let timer, asked = 0;
  form.addEventListener("input", () => {
    const mine = ++asked;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const url = form.action + "?" + new URLSearchParams(new FormData(form));
      const answer = await fetch(url).catch(() => null);
      const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!page || mine !== asked) return;
      for (const part of document.querySelectorAll("[data-found]")) {
        const found = page.getElementById(part.id);
        if (found) part.replaceChildren(...found.childNodes);
      }
      history.replaceState(null, "", url);
    }, 200);
  });
}

// A link to a field focuses it.
const field = location.hash.startsWith("#f-") && document.getElementById(location.hash.slice(1));
if (field) field.focus();
