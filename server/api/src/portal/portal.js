"use strict";

// The tokens of a login go to the application in the fragment of its address, which no server sees
// and nothing here keeps: neither localStorage nor a cookie.

const form = document.querySelector("form");
const status = document.getElementById("status");

function say(text, bad) {
  status.textContent = text;
  status.classList.toggle("bad", Boolean(bad));
}

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "omit",
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(answer.detail || "The server answered " + response.status);
  }
  return answer;
}

function handOver(login) {
  const target = form.dataset.target;
  if (!target) {
    form.hidden = true;
    say("You are logged in as " + login.email + ".");
    return;
  }
  const url = new URL(target, location.origin);
  url.hash = new URLSearchParams({
    access_token: login.access_token,
    refresh_token: login.refresh_token,
    token_type: login.token_type,
  }).toString();
  location.replace(url);
}

const views = {
  async login({ email, password }) {
    handOver(await post("/api/auth/login", { email, password }));
  },
  async register({ email, password }) {
    await post("/api/auth/register", { email, password });
    handOver(await post("/api/auth/login", { email, password }));
  },
  async "reset-request"({ email }) {
    const answer = await post("/api/auth/password-reset/request", { email });
    form.hidden = true;
    say(answer.message + ".");
  },
  async reset({ password }) {
    const token = location.pathname.split("/").pop();
    await post("/api/auth/password-reset/confirm", { token, password });
    form.hidden = true;
    say("Your password was changed. You can log in with it now.");
  },
};

if (form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    say("");
    try {
      await views[form.dataset.view](Object.fromEntries(new FormData(form)));
    } catch (error) {
      say(error.message, true);
    } finally {
      button.disabled = false;
    }
  });
}
