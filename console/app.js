// Starts the console: configuration, sign-in, routes by the address's hash.
import { html, nothing, render } from "./vendor/lit-html.js";
import { Api } from "./api.js";
import { confirm } from "./dialog.js";
import { follow } from "./follow.js";
import { problem } from "./parts.js";
import { SignedOut, signIn } from "./signin.js";
import * as views from "./views.js";

const main = document.getElementById("main"), head = document.getElementById("head");
const foot = document.getElementById("foot"), spoken = document.getElementById("spoken");
const ROUTES = [
  [/^#\/clusters\/([^/?]+)$/, views.cluster],
  [/^#\/operations\/([^/?]+)$/, views.operation],
  [/^#\/plans\/([^/?]+)$/, views.plan],
  [/^#\/operations(?:\?.*)?$/, views.operations],
  [/^(?:#\/?|#\/clusters|)$/, views.clusters],
];

let config, session, api, view = null, sources = {}, context = {}, entered = false;

const navigate = (address) => (location.hash = address);
const say = (words) => (spoken.textContent = words);

function open() {
  for (const source of Object.values(sources)) source.stop();
  sources = {};
  const [route, make] = ROUTES.map(([pattern, one]) => [pattern.exec(location.hash), one]).find(([found]) => found) || [];
  if (!route) {
    view = { title: "Not found", draw: () => html`<h1 tabindex="-1">Not found</h1><p>There is no such view. <a href="#/">All clusters</a></p>` };
  } else {
    const query = Object.fromEntries(new URLSearchParams(location.hash.split("?")[1] || ""));
    view = make({ api, navigate, say, change }, decoded(route[1]), query);
  }
  // once(): one reading that a person requests, beside what is followed.
  context = { extra: null, once, stale: false };
  for (const [name, [read, wait]] of Object.entries(view.sources || {})) sources[name] = follow(read, wait, draw);
  document.title = `${view.title} – Camunda on ECS`;
  // Fields of another view keep nothing of what was typed into this one.
  render(nothing, main);
  draw();
  if (entered) main.querySelector("h1")?.focus();
  entered = true;
}

function decoded(segment = "") {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

async function once(path, query, refreshed) {
  const mine = context;
  say("Reading …");
  try {
    mine.extra = { answer: await api.get(path, query) };
    if (refreshed && mine === context) Object.assign(refreshed, { answer: mine.extra.answer, error: null, stale: false, at: Date.now() });
  } catch (error) {
    mine.extra = { error };
    if (refreshed) Object.assign(refreshed, { error, stale: true });
  }
  if (mine !== context) return;
  say(mine.extra.error ? mine.extra.error.message : "Read.");
  draw();
}

function change(action, { etag } = {}) {
  const done = () => {
    say(`${action.title}: accepted.`);
    for (const source of Object.values(sources)) source.now();
  };
  confirm({ api, action, etag, done, navigate, say });
}

function draw() {
  const out = Object.values(sources).find((one) => one.error instanceof SignedOut)?.error;
  if (out) return welcome(out.message);
  try {
    render(view.draw(sources, context), main);
  } catch (error) {
    // Half of a view, or the one of before, would look current.
    const unshown = new Error(`What the API returned cannot be shown (${error.message}).`);
    render(html`<h1 tabindex="-1">${view.title}</h1>${problem(unshown)}`, main);
    say(unshown.message);
    return drawHead();
  }
  const stale = Object.values(sources).some((one) => one.stale && one.at);
  if (stale !== context.stale) say((context.stale = stale) ? "What is shown is not current." : "What is shown is current again.");
  drawHead();
}

function drawHead() {
  const here = (pattern) => (pattern.test(location.hash) ? "page" : nothing);
  render(html`<nav aria-label="Views"><strong>Camunda on ECS</strong>
    <a href="#/" aria-current=${here(/^#?\/?$|^#\/clusters/)}>Clusters</a>
    <a href="#/operations" aria-current=${here(/^#\/(operations|plans)/)}>Operations</a></nav>
    <p class="small">${config.region}${session.user ? `, ${session.user}` : ""} ${session.end ? html`<button @click=${() => session.end()}>Sign out</button>` : nothing}</p>`, head);
  render(html`<p>Release ${config.release}. The console is a client of the REST API: it can do what your rights allow, and nothing else.</p>`, foot);
}

// An answer under way is drawn into nothing.
function left(reason) {
  context = {};
  document.getElementById("dialog").close();
  welcome(reason);
}

function welcome(reason) {
  for (const source of Object.values(sources)) source.stop();
  document.title = "Sign in – Camunda on ECS";
  render(nothing, head);
  render(html`<h1 tabindex="-1">Sign in</h1><p>${reason}</p>
    ${session?.begin ? html`<p class="buttons"><button class="loud" @click=${() => session.begin()}>Sign in</button></p>` : nothing}`, main);
}

async function start() {
  const response = await fetch("config.json", { cache: "no-store" });
  if (!response.ok) throw new Error(`config.json could not be read: HTTP ${response.status}.`);
  config = await response.json();
  const channel = new BroadcastChannel("camunda-ecs.sign-out");
  session = signIn(config, { location, history, storage: sessionStorage, crypto, channel, left, fetch: (...given) => fetch(...given) });
  api = new Api(config, () => session.get());
  let reason;
  try {
    await session.returned();
    await session.get();
  } catch (error) {
    reason = error;
  }
  addEventListener("hashchange", () => {
    document.getElementById("dialog").close();
    if (session.found) open();
  });
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  if (reason) welcome(reason.message);
  else open();
}

start().catch((error) => {
  render(html`<h1>The console cannot start</h1>${problem(error)}`, main);
});
