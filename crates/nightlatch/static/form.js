// Small comforts for forms; every page works without them.
"use strict";

// A second click while the answer is on its way would register, and fail, twice. The guard ends by
// itself so that a person who stopped the page can send again.
const GUARD_MS = 5000;

for (const form of document.forms) {
  let sentAt = -GUARD_MS;
  form.addEventListener("submit", (event) => {
    if (event.timeStamp - sentAt < GUARD_MS) event.preventDefault();
    else sentAt = event.timeStamp;
  });
  addEventListener("pageshow", () => { sentAt = -GUARD_MS; });
}

for (const input of document.querySelectorAll("input[type=password]")) {
  const button = document.createElement("button");
  const label = input.labels[0].textContent.toLowerCase();
  const show = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-label", `${button.textContent} ${label}`);
  };
  button.type = "button";
  button.className = "reveal";
  button.addEventListener("click", () => show(input.type === "password"));
  // A password sent from a text field would land in the browser's form history.
  input.form.addEventListener("submit", () => show(false));
  input.after(button);
  show(false);
}
