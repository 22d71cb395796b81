// What the views show of what the API returns: pure functions, no DOM, no clock.

const TONES = {
  SUCCEEDED: "good", PASS: "good", READY: "good", HEALTHY: "good",
  PARTIAL: "warn", WARN: "warn", DEGRADED: "warn", ABORTED: "warn", UNKNOWN: "warn", FROZEN: "warn",
  NOT_STARTED: "warn", "may replace": "warn", "replace tasks": "warn",
  FAILED: "bad", TIMED_OUT: "bad", FAIL: "bad", REFUSED: "bad", DOWN: "bad", remove: "bad",
  replace: "bad", refused: "bad",
};
/** Tone of a word of the API; the word carries what the colour repeats. */
export const tone = (word) => (Object.hasOwn(TONES, word) ? TONES[word] : "info");

// A check that is older than three of the default schedule says what was, not what is.
export const OLD_SECONDS = 15 * 60;
const SEVERITIES = ["DOWN", "DEGRADED", "UNKNOWN", "INFO"];

/** The verdict as it may be shown: {word, was}. Absent is UNKNOWN; stale or old is what was. */
export function verdictOf(verdict, checkedAt, { now, stale }) {
  if (!verdict) return { word: "UNKNOWN", was: false };
  const age = checkedAt ? (now - Date.parse(checkedAt)) / 1000 : Infinity;
  return { word: verdict, was: stale || !(age <= OLD_SECONDS) };
}

/** Findings, the worst first; a severity that is not known comes first of all. */
export const worstFirst = (findings) =>
  [...findings].sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));

/** "8 s", "12 min", "3 h", "5 d". */
export function ago(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** An instant of the API in UTC without fractions; a dash for none. */
export const instant = (text) => (text ? String(text).replace("T", " ").replace(/(\.\d+)?Z$/, " UTC") : "–");

/** A count that may not be known. */
export const count = (value) => (value ?? "?");

const MOVES = ["JOINING", "LEAVING", "LEARNER", "RECOVERING"];
const LETTERS = { leader: "L", follower: "F", inactive: "I" };

/** A replica as it is drawn: {kind, letter, words}, as on the pages of operations. */
export function cell({ role = "", health = "", state = "" }) {
  const letter = LETTERS[role] || "?";
  const words = [role || "role not seen", health, state.toLowerCase()].filter(Boolean).join(", ");
  if (["unhealthy", "dead"].includes(health)) return { kind: "ill", letter: `${letter}!`, words };
  if (MOVES.includes(state)) return { kind: "moving", letter: `${letter}+`, words };
  return { kind: ["leader", "follower"].includes(role) ? role : "unseen", letter, words };
}

const byNumber = (a, b) => a - b || String(a).localeCompare(String(b));

/** Partitions by brokers from Cluster.topology and .members; null where neither is known. */
export function grid(topology, members) {
  if (!topology) return null;
  const states = Object.fromEntries((members || []).map((one) => [one.broker, one.state]));
  const rows = Object.fromEntries(topology.map((row) => [row.broker, row]));
  const brokers = [...new Set([...Object.keys(rows), ...Object.keys(states)])].sort(byNumber);
  const names = topology.flatMap((row) => Object.keys(row.partitions || {}));
  const partitions = [...new Set(names)].sort(byNumber);
  return {
    brokers: brokers.map((name) => ({ name, state: states[name] || "", version: rows[name]?.version || "" })),
    partitions: partitions.map((name) => ({
      name,
      cells: brokers.map((broker) => {
        const seen = rows[broker]?.partitions?.[name];
        return seen ? cell({ ...seen, state: seen.state || (MOVES.includes(states[broker]) ? states[broker] : "") }) : null;
      }),
    })),
  };
}

/** A link that may be followed: https, or http from a page that is served by http itself. */
export function linkTo(url, protocol) {
  const found = URL.canParse(url) ? new URL(url) : null;
  return found && ["https:", protocol === "http:" && "http:"].includes(found.protocol) ? found.href : null;
}

/** What a form holds as a number if it is one; anything else as it is, for the API to refuse. */
export const number = (text) => (/^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text);
