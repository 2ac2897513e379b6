// Asks the API as a page of this server.
export class Refused extends Error {
  constructor(problem) {
    super(problem.title);
    this.code = problem.code;
    this.mend = problem.mend;
    this.diagnostics = problem.diagnostics ?? [];
  }
}

export async function send(method, path, body, fields = {}) {
  const response = await fetch(path, {
    method,
    headers: { "content-type": "application/json", "x-piranha-csrf": document.body.dataset.csrf, ...fields },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.ok) {
    return response.status === 204 ? null : response.json();
  }
  const problem = await response.json().catch(() => ({ title: `the server answered ${response.status}`, code: "other" }));
  throw new Refused(problem);
}

// Does something for which the password may have to be entered again, and asks for it then.
export async function confirmed(action) {
  try {
    return await action();
  } catch (error) {
    const dialog = document.getElementById("again");
    if (error.code !== "confirm_password" || !dialog) {
      throw error;
    }
    const password = document.getElementById("again-password");
    password.value = "";
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((closed) => {
      dialog.addEventListener("close", closed, { once: true });
    });
    if (dialog.returnValue !== "go") {
      throw error;
    }
    await send("POST", "/api/v1/session/confirm", { password: password.value });
    return action();
  }
}

// Tells above the page what went wrong; nothing takes it away again.
export function fault(error) {
  const place = document.getElementById("fault");
  place.textContent = error ? (error.mend ? `${error.message}: ${error.mend}` : error.message) : "";
  place.hidden = !error;
}
