// Leaves the page when its session ends. Without it the next click says so.
"use strict";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 60000;
const SESSION_ENDED = 4401;
const NEW_COOKIE_MS = 500;

let wait = FIRST_WAIT_MS;

function leave() {
  location.assign("/auth/login?next=" + encodeURIComponent(location.pathname));
}

// Scripts are not shown why a socket was refused.
async function hasEnded() {
  try {
    return (await fetch("/api/v1/session", { cache: "no-store" })).status === 401;
  } catch {
    return false;
  }
}

function watch() {
  const url = new URL("/api/v1/session/events", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  socket.addEventListener("open", () => { wait = FIRST_WAIT_MS; });
  socket.addEventListener("close", async ({ code }) => {
    // A form of this browser may have ended it for another: its cookie comes any moment.
    if (code === SESSION_ENDED) await new Promise((resolve) => { setTimeout(resolve, NEW_COOKIE_MS); });
    if (await hasEnded()) return leave();
    // Not all at once, after a server that all were connected to has stopped.
    setTimeout(watch, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  });
}

watch();
