// Parts of the views. lit-html sets values as text and attributes, never as markup.
import { html, nothing } from "./vendor/lit-html.js";
import { ago, grid, tone, worstFirst } from "./read.js";
import { Refused } from "./api.js";

export { html, nothing };

export const chip = (word, kind = tone(word)) => html`<span class="chip ${kind}">${word}</span>`;

/** The verdict: what was true once is never shown in the colour of what is. */
export const verdict = ({ word, was }) => (was ? chip(`was ${word}`, "was") : chip(word));

export const facts = (pairs) => html`<dl>${pairs
  .filter(([, value]) => value !== null && value !== undefined && value !== "")
  .map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;

export const table = (label, heads, rows, kind = "") => html`<div class="scroll" role="region" aria-label=${label} tabindex="0">
  <table class=${kind}><caption class="hidden">${label}</caption>
  <thead><tr>${heads.map((one) => html`<th scope="col">${one}</th>`)}</tr></thead>
  <tbody>${rows.map(([first, ...rest]) => html`<tr><th scope="row">${first}</th>${rest.map((one) => html`<td>${one}</td>`)}</tr>`)}</tbody>
  </table></div>`;

/** What was refused or did not respond, with what to do. */
export function problem(error) {
  if (!(error instanceof Refused)) return html`<div class="note bad"><p>${error.message}</p></div>`;
  const { problem: found, request, status } = error;
  // Also an expired token and a clock that is wrong are 403, and no policy is missing then.
  const lacking = status === 403 && request && /not authorized/i.test(found.detail || "");
  return html`<div class="note bad">
    <p><strong>${found.error || found.title || "Refused"}</strong> ${found.detail || ""}</p>
    ${lacking ? html`<p>Lacking right: <code>execute-api:Invoke</code> on <code>${request.method}${request.path}</code>. The policies viewer, planner, operator and administrator have more of them in this order.</p>` : nothing}
    ${found.errors?.length ? table("What is wrong", ["Field", "Given", "Allowed"], found.errors.map((one) => [html`<code>${one.field}</code>`, one.given, one.allowed])) : nothing}
    ${found.nextStep ? html`<p>Next: ${found.nextStep}</p>` : nothing}
    ${found.operationId ? html`<p>Operation <a href="#/operations/${encodeURIComponent(found.operationId)}">${found.operationId}</a></p>` : nothing}
    ${found.requestId ? html`<p class="small">Request ${found.requestId}</p>` : nothing}</div>`;
}

/** When a source was read, and that it is stale, with the reason; nothing before the first answer. */
export function reading(source, what) {
  const { at, stale, error, next } = source;
  const time = at ? `${new Date(at).toISOString().slice(11, 19)} UTC` : "";
  if (!stale) return html`<p class="muted">Read at ${time}${next === null ? "" : `, again every ${Math.round(next)} s`}.</p>`;
  if (!at && !error) return html`<p class="muted">Reading ${what} …</p>`;
  const old = at ? `Not current: what is shown is of ${time}, ${ago(Date.now() - at)} ago.` : `${what} could not be read: its state is unknown.`;
  return html`<div class="stale"><p><strong>${old}</strong>${error && next !== null ? ` Another attempt follows within ${Math.round(next)} s.` : ""}</p></div>${error ? problem(error) : nothing}`;
}

const drawn = (one) => html`<span class="cell ${one.kind}"><span aria-hidden="true">${one.letter}</span><span class="hidden">${one.words}</span></span>`;

/** Partitions by brokers; unknown where no broker was reached. */
export function topology(cluster) {
  const found = grid(cluster.topology, cluster.members);
  if (!found) return html`<p>Unknown: no broker responded.</p>`;
  const heads = ["Partition", ...found.brokers.map((one) => html`Broker ${one.name}${one.state && one.state !== "ACTIVE" ? html` <span class="small">${one.state.toLowerCase()}</span>` : nothing}`)];
  const rows = found.partitions.map((one) => [`Partition ${one.name}`, ...one.cells.map((seen) => (seen ? drawn(seen) : html`<span class="hidden">none</span>`))]);
  return html`${table("Partitions by brokers", heads, rows, "grid")}
  <ul class="legend">${[["leader", "L", "leads"], ["follower", "F", "follows"], ["moving", "F+", "joins or leaves"], ["ill", "L!", "unhealthy or dead"], ["unseen", "?", "role not seen"]].map(
    ([kind, letter, words]) => html`<li><span class="cell ${kind}" aria-hidden="true">${letter}</span>${words}</li>`)}</ul>`;
}

export const findings = (found) => (found.length ? html`<ul class="findings">${worstFirst(found).map((one) => html`<li>
  <h3>${chip(one.severity)} ${one.title} <span class="small">${one.code}${one.subject ? `, ${one.subject}` : ""}</span></h3>
  ${facts([["Seen", one.seen], ["Expected", one.expected], ["To do", one.remedy], ["Expected because", one.explainedBy], ["Being resolved", one.transient]])}</li>`)}</ul>` : html`<p>No findings.</p>`);

/** A form of an action: fields with labels, one button for each thing that it can do. */
export function form(legend, fields, buttons, { disabled = false, note = "" } = {}) {
  const submit = (event) => {
    event.preventDefault();
    const chosen = event.submitter?.value || Object.keys(buttons)[0];
    buttons[chosen](Object.fromEntries(new FormData(event.target)), event.target);
  };
  return html`<form novalidate @submit=${submit}><fieldset ?disabled=${disabled}><legend>${legend}</legend>
    ${note ? html`<p class="small">${note}</p>` : nothing}
    <div class="fields">${fields}</div>
    <p class="buttons">${Object.keys(buttons).map((name) => html`<button value=${name}>${name}</button>`)}</p></fieldset></form>`;
}

export const field = (label, name, attributes = {}) => html`<label>${label}
  ${attributes.options ? html`<select name=${name}>${attributes.options.map((one) => html`<option value=${one} ?selected=${one === attributes.value}>${one || "any"}</option>`)}</select>`
    : attributes.rows ? html`<textarea name=${name} rows=${attributes.rows} spellcheck="false" .defaultValue=${attributes.value || ""}></textarea>`
    : html`<input name=${name} type=${attributes.type || "text"} value=${attributes.value ?? ""} inputmode=${attributes.inputmode || "text"} autocomplete="off">`}</label>`;
