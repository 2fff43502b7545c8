"use strict";
// A form with data-passkey asks the browser for a passkey ("create" or "get") before it is sent.
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (mark) => mark.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  async function challenge(form) {
    const answer = await fetch(form.dataset.challenge, {
      method: "POST",
      headers: { "x-csrf-token": form.elements.csrf_token.value, accept: "application/json" },
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    return answer.json();
  }

  async function create(options) {
    const publicKey = {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: named(options.excludeCredentials),
    };
    const made = await navigator.credentials.create({ publicKey });
    return {
      id: made.id, rawId: text(made.rawId), type: made.type, clientExtensionResults: {},
      response: {
        clientDataJSON: text(made.response.clientDataJSON),
        attestationObject: text(made.response.attestationObject),
      },
    };
  }

  async function get(options) {
    const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: named(options.allowCredentials) };
    const shown = await navigator.credentials.get({ publicKey });
    return {
      id: shown.id, rawId: text(shown.rawId), type: shown.type, clientExtensionResults: {},
      response: {
        clientDataJSON: text(shown.response.clientDataJSON),
        authenticatorData: text(shown.response.authenticatorData),
        signature: text(shown.response.signature),
        userHandle: shown.response.userHandle ? text(shown.response.userHandle) : null,
      },
    };
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.addEventListener("submit", async (event) => {
      if (form.elements.credential.value) return;
      event.preventDefault();
      const problem = form.querySelector("[role=alert]");
      problem.hidden = true;
      try {
        const { options, ticket } = await challenge(form);
        const made = await (form.dataset.passkey === "create" ? create(options) : get(options));
        form.elements.ticket.value = ticket;
        form.elements.credential.value = JSON.stringify(made);
        form.submit();
      } catch (error) {
        problem.textContent = form.dataset.failed;
        problem.hidden = false;
        console.info(error);
      }
    });
  }
})();
