// The page works without this. With it, what is behind the page is looked at every three seconds.
"use strict";
(() => {
  const live = [...document.querySelectorAll("[data-live]")];
  const changed = document.querySelector("[data-changed]");
  for (const part of document.querySelectorAll("[data-scripted]")) part.hidden = false;
  if (!changed) return;

  const say = (name, now) => {
    if (name === "says_yes") return now.says_yes ? "yes" : "no";
    if (name === "state") return (now.state || (now.problem ? "no answer" : "ended")).replace("_", " ");
    return now[name] || now.problem || "";
  };
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch("/behind.json", { cache: "no-store" });
      const now = await answer.json();
      if (!now.claims) return;
      for (const part of live) {
        const words = say(part.dataset.live, now);
        if (part.textContent !== words) part.textContent = words;
      }
      changed.hidden = !now.changed;
    } catch { /* away for a moment; the next look may succeed */ }
  };
  setInterval(look, 3000);
  document.addEventListener("visibilitychange", look);
})();
