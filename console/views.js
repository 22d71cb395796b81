// One function for each view: what it reads, how often, and how it is shown. A view is {title,
// sources, draw}: draw(sources, context) returns a template; each source has {answer, error, stale, …}.
import * as actions from "./actions.js";
import { ago, count, instant, linkTo, number, verdictOf } from "./read.js";
import { chip, facts, field, findings, form, html, nothing, problem, reading, table, topology, verdict } from "./parts.js";

const OPEN = ["RUNNING", "PENDING_REDRIVE"];
// These can be resumed, also by another user.
const RESUMED = ["ABORTED", "TIMED_OUT"];
const CALM = 20, LIVELY = 4;
const hash = (...segments) => `#/${segments.map(encodeURIComponent).join("/")}`;
const code = (text) => html`<code>${text}</code>`;
const linkToOperation = (id) => html`<a href=${hash("operations", id)}>${id}</a>`;
const title = (text, ...marks) => html`<h1 tabindex="-1">${text} ${marks}</h1>`;

/** Every cluster of the control plane. */
export function clusters({ api, change }) {
  const read = async () => {
    const answer = await api.get(["clusters"], { limit: 100 });
    for (let next = answer.body.next; next; ) {
      const more = await api.get(["clusters"], { limit: 100, next });
      answer.body.clusters.push(...more.body.clusters);
      next = more.body.next;
    }
    return answer;
  };
  const line = (one, { stale }) => [
    one.name ? html`<a href=${hash("clusters", one.name)}>${one.name}</a>` : one.stack,
    html`${verdict(verdictOf(one.verdict, one.checkedAt, { now: Date.now(), stale }))} ${one.frozen ? chip("FROZEN") : nothing}
      <span class="small">${one.checkedAt ? `checked ${ago(Date.now() - Date.parse(one.checkedAt))} ago` : "never checked"}</span>`,
    `${count(one.brokers.joined)} of ${count(one.brokers.declared)}`,
    one.version || "?",
    one.operation ? linkToOperation(one.operation.operationId) : "–",
    one.monthlyCost ? `${one.monthlyCost} USD` : "?",
    one.status,
  ];
  return {
    title: "Clusters",
    sources: { clusters: [read, () => CALM] },
    draw: ({ clusters: source }) => html`${title("Clusters")}${reading(source, "The list of clusters")}
      ${source.answer ? source.answer.body.clusters.length ? table("Clusters", ["Cluster", "Verdict", "Brokers joined", "Version", "Running operation", "Cost per month", "Stack"], source.answer.body.clusters.map((one) => line(one, source)), "wide") : html`<p>There is no cluster yet.</p>` : nothing}
      <details><summary>New cluster</summary>
      ${planForm("Plan a new cluster", ({ name, parameters }) => change(actions.plan(name, provisioning(parameters))), [field("Name", "name")], '{"Brokers": 3}')}</details>`,
  };
}

// What is no JSON is sent as it is: the API refuses it and names the field.
function provisioning(text) {
  try {
    return { provision: { parameters: JSON.parse(text) } };
  } catch {
    return { provision: { parameters: text } };
  }
}

const planForm = (legend, send, fields, example, options) =>
  form(legend, [...fields, field("Parameters as JSON", "parameters", { rows: 4, value: example })], { Plan: send }, { note: "Parameters that are left out keep their values, or get the defaults of a new cluster.", ...options });

/** One cluster: health, topology, operations, and what can be changed. */
export function cluster({ api, change }, name) {
  const busy = (body) => body.pendingChange || OPEN.includes(body.lastOperation?.status);
  return {
    title: name,
    sources: {
      cluster: [() => api.get(["clusters", name]), ({ body }) => (busy(body) ? LIVELY : CALM)],
      health: [() => api.get(["clusters", name, "health"]), () => CALM],
      operations: [() => api.get(["operations"], { cluster: name, limit: 10 }), () => CALM],
    },
    draw(sources, context) {
      const { cluster: source, health, operations } = sources;
      const body = source.answer?.body, report = health.answer?.body;
      const now = Date.now();
      const seen = verdictOf(report?.verdict, report?.checkedAt, { now, stale: health.stale });
      const loud = { etag: source.answer?.etag };
      return html`${title(name, verdict(seen), body?.frozen ? chip(source.stale ? "was FROZEN" : "FROZEN") : nothing)}
      ${reading(source, "The cluster")}
      ${body ? html`${body.unreachable.length ? html`<div class="note warn"><p>These parts did not respond; their values are unknown:</p><ul>${body.unreachable.map((one) => html`<li>${one.part}: ${one.reason}</li>`)}</ul></div>` : nothing}
      <ul class="tiles">
        <li><span class="value">${count(body.brokers.joined)} of ${count(body.brokers.declared)}</span><span class="name">brokers joined, ${count(body.brokers.running)} running</span></li>
        <li><span class="value">${count(body.connectors.running)} of ${count(body.connectors.declared)}</span><span class="name">connectors running</span></li>
        <li><span class="value">${body.status}</span><span class="name">stack ${body.stack}</span></li>
      </ul>
      ${body.freeze || body.frozen ? html`<div class="note warn"><p>Frozen: ${body.frozen || body.freeze.reason}</p></div>` : nothing}
      ${facts([["REST", body.restUrl], ["gRPC", body.grpcEndpoint], ["Last operation", body.lastOperation ? html`${linkToOperation(body.lastOperation.operationId)} ${chip(body.lastOperation.status)}` : "none"], ["Stack", body.statusReason]])}
      <section class=${source.stale ? "stale" : ""}><h2>Topology</h2>
      ${body.pendingChange ? html`<p>Cluster change ${body.pendingChange.id}: step ${body.pendingChange.done} of ${body.pendingChange.planned}${body.pendingChange.next ? `, next: ${body.pendingChange.next}` : ""} <progress max=${body.pendingChange.planned} value=${body.pendingChange.done} aria-label="Cluster change"></progress></p>` : nothing}
      ${topology(body)}</section>` : nothing}
      <section><h2>Health</h2>${reading(health, "The health report")}
      ${report ? html`<p>${verdict(seen)} checked ${ago(now - Date.parse(report.checkedAt))} ago, ${report.verdict} since ${instant(report.since)}</p>
      ${report.rehearsal?.measured ? html`<p>Recovery time: ${ago(report.rehearsal.measured.seconds * 1000)}, rehearsed ${instant(report.rehearsal.measured.at)}</p>` : nothing}${findings(report.findings)}` : nothing}
      <p class="buttons"><button @click=${() => context.once(["clusters", name, "health"], { fresh: "true" }, health)}>Check now</button></p></section>
      <section><h2>Operations</h2>${operations.answer ? lines(operations.answer.body.operations) : reading(operations, "Operations")}
      <p><a href=${`#/operations?cluster=${encodeURIComponent(name)}`}>All operations of ${name}</a></p></section>
      <section><h2>Change it</h2>
      ${source.stale ? html`<p>Changes are possible when the present state of the cluster is known.</p>` : nothing}
      ${body ? changes(name, body, (action) => change(action, loud), source.stale) : nothing}</section>`;
    },
  };
}

function changes(name, body, change, disabled) {
  const part = (summary, content) => html`<details><summary>${summary}</summary>${content}</details>`;
  const amount = (label, key, value, direct) => form(label, [field(label, key, { inputmode: "numeric", value })], {
    Plan: (given) => change(actions.plan(name, { scale: { [key]: number(given[key]) } })),
    Scale: (given) => change(direct(name, number(given[key]))),
  }, { disabled });
  return html`${part("Scale", html`${amount("Brokers", "count", body.brokers.declared, actions.scaleBrokers)}${amount("Partitions", "partitions", "", actions.scalePartitions)}`)}
  ${part("Change parameters", planForm("Plan changed parameters", ({ parameters }) => change(actions.plan(name, provisioning(parameters))), [], '{"LogRetentionDays": 60}', { disabled }))}
  ${part("Restart", form("Restart tasks", [field("Service", "service", { options: ["brokers", "connectors"] }), field("Only this broker", "broker", { inputmode: "numeric" })], {
    Restart: (given) => change(actions.restart(name, given.service, number(given.broker))),
  }, { disabled }))}
  ${part("Rotate passwords", form("Rotate passwords", ["admin", "connectors", "database"].map((one) => html`<label class="check"><input type="checkbox" name=${one}> ${one}</label>`), {
    Rotate: (given) => change(actions.rotate(name, Object.keys(given))),
  }, { disabled }))}
  ${part("Backup", form("Take or delete a backup", [field("Backup to delete", "backup", { inputmode: "numeric" })], {
    "Take a backup": () => change(actions.takeBackup(name)),
    Delete: ({ backup }) => change(actions.deleteBackup(name, backup)),
  }, { disabled }))}
  ${part("Restore", form("Restore a backup", [field("Backup", "backup", { inputmode: "numeric" }), field("Or the newest before", "to"), html`<label class="check"><input type="checkbox" name="again"> Restore that backup once more</label>`], {
    Plan: (given) => change(actions.planRestore(name, given)),
    Restore: (given) => change(actions.restore(name, given)),
  }, { disabled, note: "Without either, the newest backup. The plan shows what is lost; it changes nothing." }))}
  ${part("Rehearse a restore", form("Restore a new backup into a trial", [], {
    Plan: () => change(actions.planRehearsal(name)),
    Rehearse: () => change(actions.rehearse(name)),
  }, { disabled, note: "The cluster runs on. The trial is compared with it, timed and removed." }))}
  ${part("Former data", form("Delete what restores have replaced", [], {
    List: () => change(actions.planFormer(name)),
    Delete: () => change(actions.deleteFormer(name)),
  }, { disabled, note: "The result of the list has what would be deleted, with its bytes." }))}
  ${part("Management API", form("Open the management API for a limited time", [field("Minutes", "minutes", { inputmode: "numeric", value: 60 }), field("Only from this range", "cidr")], {
    Open: (given) => change(actions.openManagement(name, number(given.minutes), given.cidr)),
    Close: () => change(actions.closeManagement(name)),
  }, { disabled }))}
  ${part(body.freeze ? "Lift the freeze" : "Freeze", body.freeze ? form("Lift the freeze", [], { "Lift the freeze": () => change(actions.thaw(name)) }, { disabled }) : form("Freeze", [field("Reason", "reason")], {
    Freeze: ({ reason }) => change(actions.freeze(name, reason)),
  }, { disabled }))}
  ${part("Tear down", form("Tear the cluster down", [], {
    Plan: () => change(actions.plan(name, { teardown: {} })),
    "Tear down": () => change(actions.tearDown(name)),
  }, { disabled, note: "The plan lists what is deleted, what is retained, and what that costs." }))}`;
}

const lines = (found) => (found.length ? table("Operations", ["Operation", "Status", "Kind", "Cluster", "Started", "Ended", "By"], found.map((one) => [
  linkToOperation(one.operationId), chip(one.status), one.kind, html`<a href=${hash("clusters", one.cluster)}>${one.cluster}</a>`,
  instant(one.startedAt), instant(one.endedAt), one.startedBy || "unknown",
]), "wide") : html`<p>No operations here.</p>`);

const VERBS = ["", "provision", "scale", "restart", "rotate", "manage", "backup", "restore", "rehearse", "plan", "teardown"];
const STATUS = ["", "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE", "NOT_STARTED"];

/** Operations by filters, page by page; filters and page are in the address. */
export function operations({ api, navigate }, _, query) {
  const { cluster: name = "", verb = "", status = "", next = "" } = query;
  const filters = { cluster: name, verb, status };
  const address = (more) => `#/operations?${new URLSearchParams(Object.entries({ ...filters, ...more }).filter(([, value]) => value))}`;
  return {
    title: "Operations",
    sources: { operations: [() => api.get(["operations"], { ...filters, next, limit: 25 }), () => CALM] },
    draw: ({ operations: source }) => html`${title("Operations")}
      ${form("Filter", [field("Cluster", "cluster", { value: name }), field("Kind", "verb", { options: VERBS, value: verb }), field("Status", "status", { options: STATUS, value: status })], {
        Show: (given) => navigate(`#/operations?${new URLSearchParams(Object.entries(given).filter(([, value]) => value))}`),
      })}
      ${reading(source, "The list of operations")}
      ${source.answer ? html`${lines(source.answer.body.operations)}
      <nav class="buttons" aria-label="Pages">${next ? html`<a href=${address({})}>First page</a>` : nothing}
      ${source.answer.body.next ? html`<a href=${address({ next: source.answer.body.next })}>Older operations</a>` : nothing}</nav>` : nothing}`,
  };
}

/** One operation, followed until it ends. */
export function operation({ api, change, say }, id) {
  let spoken = "";
  return {
    title: id,
    sources: { operation: [() => api.get(["operations", id]), ({ body, retryAfter }) => (OPEN.includes(body.status) ? retryAfter || LIVELY : body.status === "NOT_STARTED" || RESUMED.includes(body.status) ? CALM : null)] },
    draw({ operation: source }, context) {
      const body = source.answer?.body;
      const mark = body ? (source.stale ? verdict({ word: body.status, was: true }) : chip(body.status)) : nothing;
      return html`${title(id, mark)}${reading(source, "The operation")}${body ? shown(body, source, context) : nothing}`;
    },
  };

  function shown(body, source, context) {
    const { progress } = body, open = OPEN.includes(body.status);
    const words = `${body.status}${open && progress.step ? `, ${progress.step}` : ""}`;
    if (words !== spoken) say(`Operation ${id}: ${(spoken = words)}`);
    const planned = body.kind === "plan" && body.status === "SUCCEEDED";
    return html`${facts([["Cluster", html`<a href=${hash("clusters", body.cluster)}>${body.cluster}</a>`], ["Kind", body.kind], ["Started", instant(body.startedAt)], ["Ended", open ? "" : instant(body.endedAt)], ["Started by", body.startedBy || "unknown: not through the API"], ["First change", body.changedAt ? instant(body.changedAt) : ""], ["Cancelled by", body.cancelledBy], ["Resumed by", body.resumedBy], ["Execution", code(body.execution)]])}
    ${planned ? html`<p class="buttons"><a class="button" href=${hash("plans", id)}>Read the plan</a></p>` : nothing}
    <section><h2>Progress</h2>
    <p><progress max=${progress.planned ?? 1} value=${progress.planned === null && open ? nothing : progress.planned === null ? 1 : progress.done} aria-label="Steps"></progress> ${progress.done} of ${progress.planned ?? "?"} steps${progress.step ? html`, at ${code(progress.step)}` : nothing}</p>
    ${progress.detail ? html`<p>${progress.detail}</p>` : nothing}
    ${progress.timeline.length ? html`<ol class="timeline">${progress.timeline.map((one) => html`<li><span class="time">${instant(one.at)}</span> ${one.step}</li>`)}</ol>` : nothing}</section>
    ${body.error ? html`<section><h2>Error</h2><div class="note bad"><p><strong>${body.error.name}</strong> ${body.error.cause}</p><p>Now: ${body.error.currentState || "the state after the failure is unknown"}</p><p>Next: ${body.error.nextStep}</p></div></section>` : nothing}
    <p class="buttons">
      ${open ? html`<button ?disabled=${source.stale} @click=${() => change(actions.cancel(id))}>Cancel</button>` : nothing}
      ${RESUMED.includes(body.status) ? html`<button ?disabled=${source.stale} @click=${() => change(actions.resume(id))}>Resume</button>` : nothing}</p>
    ${open ? nothing : html`<section><h2>Report</h2>${links(context.extra)}<p class="buttons"><button @click=${() => context.once(["operations", id, "report"])}>${context.extra ? "Renew the links" : "Show the links"}</button></p></section>`}
    ${body.result ? html`<details><summary>Result as JSON</summary><pre tabindex="0">${JSON.stringify(body.result, null, 1)}</pre></details>` : nothing}`;
  }
}

function links(found) {
  if (!found) return nothing;
  if (found.error) return problem(found.error);
  const { pageUrl, reportUrl, expiresAt } = found.answer.body;
  const link = (url, words) => {
    const to = url && linkTo(url, location.protocol);
    return to ? html`<li><a href=${to} target="_blank" rel="noopener noreferrer">${words}</a></li>` : nothing;
  };
  return html`<ul>${link(pageUrl, "Page of the operation")}${link(reportUrl, "Report as JSON")}</ul><p class="muted">The links end at ${instant(expiresAt)}; until then they need no signature.</p>`;
}

/** A plan: what it changes, what it costs, and how to apply it. */
export function plan({ api, change }, id) {
  const name = id.split(".")[0];
  // A cluster that does not exist yet has no state to be held to.
  const state = () => api.get(["clusters", name]).catch((error) => {
    if (error.status === 404) return { etag: null };
    throw error;
  });
  return {
    title: `Plan ${id}`,
    sources: {
      plan: [() => api.get(["plans", id]), () => null],
      text: [() => api.get(["plans", id], {}, "text/plain"), () => null],
      cluster: [state, () => CALM],
    },
    draw({ plan: source, text, cluster: current }) {
      const found = source.answer?.body;
      return html`${title(found ? `Plan for ${found.cluster}` : `Plan ${id}`, found ? chip(found.status) : nothing)}${found ? shown(found, text, current) : reading(source, "The plan")}`;
    },
  };

  function shown(found, text, current) {
    const money = (one) => (one ? `${one.total} ${one.currency || "USD"}` : "?");
    const ready = found.status === "READY" && found.apply;
    const send = (given) => change(actions.apply({ ...found, operationId: id }, given.review === "on"), { etag: current.answer?.etag });
    return html`${found.refusal ? html`<div class="note bad"><p>${found.refusal}</p></div>` : nothing}
    ${facts([["Kind", found.kind], ["Made at", instant(found.madeAt)], ["Made by", found.author || "unknown: not through the API"], ["Expires", found.expiresAt ? instant(found.expiresAt) : ""], ["Minutes", found.minutes?.join(" to ")], ["Cost per month", found.cost ? `${money(found.cost.before)} before, ${money(found.cost.after)} after` : ""], ["Fingerprint", found.fingerprint ? code(found.fingerprint.sha256) : ""]])}
    ${found.warnings?.length ? html`<div class="note warn"><ul>${found.warnings.map((one) => html`<li>${one}</li>`)}</ul></div>` : nothing}
    ${found.changes?.length ? html`<section><h2>Changes</h2>${table("Changes", ["Resource", "Action", "Type", "Properties"], found.changes.map((one) => [one.resource, chip(one.action), one.type, one.properties.join(", ")]), "wide")}</section>` : nothing}
    <section><h2>The plan as text</h2>${text.answer ? html`<pre tabindex="0" aria-label="The plan as text">${text.answer.body}</pre>` : reading(text, "The text")}</section>
    ${ready ? html`<section><h2>Apply</h2>${current.stale ? reading(current, "The cluster") : nothing}
    ${form("Apply the plan", ["scale", "teardown"].includes(found.kind) ? [html`<label class="check"><input type="checkbox" name="review"> I approve it for another principal, who made it</label>`] : [], { Apply: send }, { disabled: current.stale, note: "It is applied exactly as it is here, or rejected with the differences." })}</section>` : nothing}
    <p>${linkToOperation(id)}</p>`;
  }
}
