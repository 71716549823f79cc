// Small helps for pages that already work without it. No library, no storage, nothing sent anywhere
// but to the page's own address. All words come from the page, in the page's language.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);

  // Things that need a script show themselves only where there is one; and the other way round.
  for (const part of all("[data-scripted]")) part.hidden = false;

  // Print, and copy a short text. Both stay away where the browser cannot do them.
  for (const button of all("[data-print]")) button.addEventListener("click", () => window.print());
  for (const button of all("[data-copy]")) {
    if (!navigator.clipboard) { button.hidden = true; continue; }
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent.trim());
        button.textContent = button.dataset.copied;
      } catch { /* the text is still on the page to be copied by hand */ }
    });
  }

  // Two quick presses must not send a form twice. The server is safe without this; it saves a puzzling page.
  for (const form of all("form[method=post]")) {
    let sentAt = 0;
    form.addEventListener("submit", (event) => {
      const now = Date.now();
      if (now - sentAt < 2000) event.preventDefault(); else sentAt = now;
    });
  }

  // The decision in words, while the parent decides. It says, it never advises.
  const decision = one("[data-decision]");
  const summary = decision && one("[data-summary]", decision);
  if (summary) {
    const tell = () => {
      const heard = { grant: [], refuse: [], open: [] };
      for (const set of all("[data-purpose]", decision)) {
        const picked = one("input:checked", set);
        heard[picked ? picked.value : "open"].push(set.dataset.purpose);
      }
      const lines = [[summary.dataset.allow, heard.grant], [summary.dataset.refuse, heard.refuse]];
      if (heard.open.length) lines.push([summary.dataset.open, heard.open]);
      summary.replaceChildren(...lines.map(([label, titles]) => {
        const line = document.createElement("p");
        const name = document.createElement("b");
        name.textContent = label;
        line.append(name, " ", titles.length ? titles.join("; ") : summary.dataset.none);
        return line;
      }));
      summary.hidden = false;
    };
    decision.addEventListener("change", tell);
    tell();
  }

  // A waiting page looks quietly whether there is an answer. HEAD asks and changes nothing; a redirect is
  // not followed here (it may carry a code meant for the app once), the page itself goes there instead.
  const repeat = (seconds, look) => {
    const again = async () => {
      if (document.visibilityState === "visible") { try { if (await look()) return; } catch { /* next time */ } }
      setTimeout(again, seconds * 1000);
    };
    setTimeout(again, seconds * 1000);
  };
  const waiting = one("[data-look]");
  if (waiting) {
    const words = waiting.textContent;
    repeat(Math.max(5, Number(waiting.dataset.look) || 30), async () => {
      const answer = await fetch(location.href, { method: "HEAD", redirect: "manual", cache: "no-store", credentials: "same-origin" });
      if (answer.type === "opaqueredirect" || answer.headers.get("X-Agegate-Waiting") === "0") {
        location.reload();
        return true;
      }
      const time = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" }).format(new Date());
      waiting.textContent = `${words} ${waiting.dataset.looked.replace("{time}", time)}`;
      return false;
    });
  }

  // The demo's letter box says when a letter came; it does not reload under a reader's eyes unless it is empty.
  const box = one("[data-letters]");
  if (box) {
    const count = (root) => all("details.card", root).length;
    const had = count(document);
    repeat(Math.max(2, Number(box.dataset.letters) || 5), async () => {
      const answer = await fetch(location.href, { cache: "no-store", credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (count(page) <= had) return false;
      if (!had) { location.reload(); return true; }
      const link = document.createElement("a");
      link.href = "";
      link.textContent = box.dataset.new;
      box.replaceChildren(link);
      return true;
    });
  }
})();
