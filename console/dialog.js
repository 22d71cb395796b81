// The dialog before a change: it shows the request exactly as it is sent, and what was refused.
import { render } from "./vendor/lit-html.js";
import { html, nothing, problem } from "./parts.js";
import { isUnsure, operationOf, pathOf } from "./api.js";
import { requestOf } from "./actions.js";

// Requests without a definite answer by what they request, and what the dialog shows now.
const unsettled = new Map();
let current = null;

/** What was accepted is over, and with it what else was requested of the same resource. */
function settle(request) {
  for (const [name, one] of unsettled) if (one.path[1] === request.path[1]) unsettled.delete(name);
}

/**
 * Ask for confirmation of an action and send it. done(answer) is called after a success.
 * One Idempotency-Key for each request, in whichever dialog, until there is a definite answer. An
 * answer that arrives when the dialog shows something else, or nothing, changes no view.
 */
export function confirm({ api, action, etag, done, navigate, say }) {
  const element = document.getElementById("dialog");
  const made = requestOf(action, { etag, key: crypto.randomUUID() });
  const name = JSON.stringify([made.method, made.path, made.text]);
  const request = unsettled.get(name) || made, repeated = request !== made, mine = (current = {});
  const here = () => element.open && current === mine;
  let typed = "", sending = false, error = null, doubted = repeated;

  async function send(event) {
    event.preventDefault();
    if (sending || (action.typed && typed !== action.typed)) return;
    sending = true;
    error = null;
    if (action.keyed) unsettled.set(name, request);
    draw();
    try {
      const answer = await api.ask(request);
      settle(request);
      if (here()) {
        element.close();
        if (answer.status === 202) navigate(`#/operations/${encodeURIComponent(operationOf(answer))}`);
      }
      done(answer);
    } catch (problem) {
      error = problem;
      doubted ||= isUnsure(error);
      // The API compares keys first, so that its refusal is of a request that was not carried out.
      const definite = error.status && !isUnsure(error) && ![403, 429].includes(error.status);
      if (definite || !doubted) unsettled.delete(name);
      if (!here()) say(`${action.title}: ${error.message}`);
    }
    sending = false;
    if (current === mine) draw();
    if (error && current === mine && !element.open) element.showModal();
  }

  const lines = Object.entries({ ...request.headers, ...(request.text === undefined ? {} : { "Content-Type": "application/json" }) });
  const shown = [`${request.method} ${api.config.api.base}${pathOf(request.path)}`, ...lines.map((pair) => pair.join(": "))].join("\n");

  function draw() {
    const ready = !sending && (!action.typed || typed === action.typed);
    render(html`<form novalidate @submit=${send}>
      <h2 id="dialog-title">${action.title}</h2>
      ${action.note ? html`<p>${action.note}</p>` : nothing}
      ${repeated ? html`<p>The outcome of this request is not known. It is the one of before with its key, so that it is carried out once.</p>` : nothing}
      <p>This request is sent:</p>
      <pre tabindex="0" aria-label="Request">${request.text === undefined ? shown : `${shown}\n\n${request.text}`}</pre>
      ${action.typed ? html`<label>Type the name ${action.typed} again
        <input name="typed" autocomplete="off" .value=${typed} @input=${(event) => { typed = event.target.value; draw(); }}></label>` : nothing}
      <div role="alert">${error ? problem(error) : nothing}
      ${error && isUnsure(error) ? html`<p>${action.keyed ? "Whether it was carried out is not known. Sent again from this dialog, it has the same key and is carried out once." : "Whether it was carried out is not known: look at the current state first."}</p>` : nothing}</div>
      <p class="buttons"><button type="submit" class="loud" ?disabled=${!ready}>${sending ? "Sending …" : error ? "Send again" : "Send"}</button>
      <button type="button" @click=${() => element.close()}>Close</button></p></form>`, element);
  }

  draw();
  element.showModal();
}
