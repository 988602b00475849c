// Who is logged in, and what that means for the page. The session is a cookie that no script can read; what
// a script needs is the session's CSRF token, which it keeps in memory and asks for again after a reload.
const nightlatch = document.querySelector('meta[name="nightlatch"]').content;
const notice = document.getElementById("notice");
const form = document.getElementById("login");
const inside = document.getElementById("inside");
let csrfToken = "";

// An answer, or null where there was none: neither says anything of the session.
async function ask(method, path, body) {
  const headers = method === "GET" ? {} : { "X-CSRF-Token": csrfToken };
  if (body) headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(nightlatch + path, {
      method, headers, body: body && JSON.stringify(body), credentials: "include",
    });
    return { status: answer.status, said: await answer.json() };
  } catch {
    return null;
  }
}

function show(user, words = "") {
  notice.textContent = words;
  form.hidden = user !== null;
  inside.hidden = user === null;
  document.getElementById("name").textContent = user ? user.name || user.username : "";
}

// 401 alone means that nobody is logged in. Everything else means that nobody knows: nothing changes but the notice.
async function refresh(words = "") {
  const answer = await ask("GET", "/api/v1/session");
  if (answer?.status === 200) {
    csrfToken = answer.said.csrf_token;
    show(answer.said.user, words);
    watch();
  } else if (answer?.status === 401) {
    show(null, words);
  } else {
    notice.textContent = "It cannot be looked up just now who you are. You stay logged in.";
    setTimeout(refresh, 1000 * (answer?.said.retry_after_s ?? 2));
  }
}

// The server says at once when the session ends, wherever that happened.
let socket = null;
function watch() {
  if (socket) return;
  socket = new WebSocket(nightlatch.replace(/^http/, "ws") + "/api/v1/session/events");
  socket.onclose = ({ code }) => {
    socket = null;
    if (code === 4401) show(null, "Your session has ended.");
    else setTimeout(refresh, 2000);
  };
}

form.onsubmit = async (event) => {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(form));
  const answer = await ask("POST", "/api/v1/auth/login", { username, password });
  if (answer?.status === 200) {
    form.reset();
    await refresh();
  } else {
    notice.textContent = answer?.said.detail ?? "The login cannot be reached just now.";
  }
};

document.getElementById("logout").onclick = async () => {
  const answer = await ask("POST", "/api/v1/auth/logout");
  if (answer?.status === 200 || answer?.status === 401) show(null, "You are logged out.");
  else notice.textContent = answer?.said.detail ?? "The logout cannot be confirmed just now. Try again.";
};

await refresh();
