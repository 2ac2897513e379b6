// Users, tokens and one's own password.
import { confirmed, fault, send } from "./api.js";

function form(id, act) {
  document.getElementById(id)?.addEventListener("submit", async (submit) => {
    submit.preventDefault();
    const fields = Object.fromEntries(new FormData(submit.target));
    try {
      await confirmed(() => act(fields));
      fault(null);
    } catch (error) {
      fault(error);
    }
  });
}

form("add-user", async ({ name, role, password }) => {
  await send("PUT", `/api/v1/users/${encodeURIComponent(name)}`, { role, password: password || undefined });
  location.reload();
});

form("add-token", async ({ name, role, days }) => {
  const { token } = await send("POST", "/api/v1/tokens", { name, role, expires: Number(days) * 86400 });
  document.getElementById("new-token").textContent = token;
  document.getElementById("shown-once").hidden = false;
});

form("own-password", async (fields) => {
  await send("PUT", "/api/v1/session/password", fields);
  location.assign("/login");
});
