// The dialog before a change: it shows the request exactly as it is sent, and what was refused.
import { render } from "./vendor/lit-html.js";
import { html, nothing, problem } from "./parts.js";
import { operationOf, pathOf } from "./api.js";
import { requestOf } from "./actions.js";

/**
 * Ask for confirmation of an action and send it. done(answer) is called after a success.
 * One Idempotency-Key for each dialog: sent again after no response, it is the same request.
 */
export function confirm({ api, action, etag, done, navigate }) {
  const element = document.getElementById("dialog");
  const request = requestOf(action, { etag, key: crypto.randomUUID() });
  let typed = "", sending = false, error = null;

  async function send(event) {
    event.preventDefault();
    if (sending || (action.typed && typed !== action.typed)) return;
    sending = true;
    error = null;
    draw();
    try {
      const answer = await api.ask(request);
      element.close();
      if (answer.status === 202) navigate(`#/operations/${encodeURIComponent(operationOf(answer))}`);
      done(answer);
    } catch (problem) {
      error = problem;
    }
    sending = false;
    draw();
  }

  const unsure = () => error && (!error.status || error.status >= 500);
  const lines = Object.entries({ ...request.headers, ...(request.text === undefined ? {} : { "Content-Type": "application/json" }) });
  const shown = [`${request.method} ${api.config.api.base}${pathOf(request.path)}`, ...lines.map((pair) => pair.join(": "))].join("\n");

  function draw() {
    const ready = !sending && (!action.typed || typed === action.typed);
    render(html`<form novalidate @submit=${send}>
      <h2 id="dialog-title">${action.title}</h2>
      ${action.note ? html`<p>${action.note}</p>` : nothing}
      <p>This request is sent:</p>
      <pre tabindex="0" aria-label="Request">${request.text === undefined ? shown : `${shown}\n\n${request.text}`}</pre>
      ${action.typed ? html`<label>Type the name ${action.typed} again
        <input name="typed" autocomplete="off" .value=${typed} @input=${(event) => { typed = event.target.value; draw(); }}></label>` : nothing}
      <div role="alert">${error ? problem(error) : nothing}
      ${unsure() ? html`<p>${action.keyed ? "Whether it was carried out is not known. Sent again from this dialog, it has the same key and is carried out once." : "Whether it was carried out is not known: look at the current state first."}</p>` : nothing}</div>
      <p class="buttons"><button type="submit" class="loud" ?disabled=${!ready}>${sending ? "Sending …" : error ? "Send again" : "Send"}</button>
      <button type="button" @click=${() => element.close()}>Close</button></p></form>`, element);
  }

  draw();
  element.showModal();
}
