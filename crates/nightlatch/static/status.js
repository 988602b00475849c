// Keeps the status page new. Without it the page loads itself again every ten seconds.
"use strict";

const EVERY_MS = 5000;

async function renew() {
  if (document.hidden) return;
  const lost = document.querySelector(".lost");
  try {
    const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(EVERY_MS) });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // The element stays, and with it who reads it from where.
    document.querySelector("main").replaceChildren(...page.querySelector("main").childNodes);
    document.title = page.title;
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
}

setInterval(renew, EVERY_MS);
addEventListener("visibilitychange", renew);
