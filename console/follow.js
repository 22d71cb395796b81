// Follows a resource: reads it again when the API suggests, not at all in a hidden tab, less often
// after errors. What was read stays, but counts as stale as soon as it may not be true any more.

const MOST = 60;
// Seconds beyond the next read after which an answer is stale: a slow response is waited for.
const GRACE = 15;

/** Seconds until another attempt after so many failures in a row, never sooner than Retry-After. */
export const patience = (failures, retryAfter) => Math.max(retryAfter || 0, Math.min(MOST, 2 ** failures));

/**
 * read() resolves to an answer; wait(answer) gives the seconds until the next read, or null when it
 * is final; changed() is called after each change of the returned state.
 */
export function follow(read, wait, changed) {
  const state = { answer: null, error: null, at: null, stale: true, next: null, stop, now: again };
  let failures = 0, timer = 0, late = 0, running = null, stopped = false;

  function now() {
    running ??= look().finally(() => (running = null));
    return running;
  }

  /** Read what is true from now on: a read under way may be of before. */
  function again() {
    return running ? running.then(now) : now();
  }

  async function look() {
    clearTimeout(timer);
    const began = Date.now();
    let seconds;
    try {
      const answer = await read();
      failures = 0;
      seconds = wait(answer);
      // What a person read meanwhile is newer than this answer.
      if (!state.at || state.at <= began) Object.assign(state, { answer, error: null, at: Date.now(), stale: false });
    } catch (error) {
      seconds = patience(++failures, error.retryAfter);
      Object.assign(state, { error, stale: true });
    }
    if (stopped) return;
    state.next = seconds;
    if (!state.error) {
      clearTimeout(late);
      if (seconds !== null) late = setTimeout(outdated, (seconds + GRACE) * 1000);
    }
    if (seconds !== null && !document.hidden) timer = setTimeout(now, seconds * 1000);
    changed();
  }

  function outdated() {
    state.stale = true;
    changed();
  }

  function seen() {
    clearTimeout(timer);
    if (document.hidden || state.next === null) return;
    if (state.at && Date.now() - state.at > state.next * 1000) outdated();
    now();
  }

  function stop() {
    stopped = true;
    clearTimeout(timer);
    clearTimeout(late);
    document.removeEventListener("visibilitychange", seen);
  }

  document.addEventListener("visibilitychange", seen);
  now();
  return state;
}
