// Credentials, by one of two ways of signing in. Both give {get, begin, end}: get() resolves to
// credentials that are valid for some minutes, or throws SignedOut; nothing of them is stored.

const EARLY = 5 * 60_000;
// Credentials are used until the last of them expires in a request under way.
const LAST = 10_000;
const PATIENCE = 10_000;
const PENDING = "camunda-ecs.sign-in";

/** There are no credentials; the message gives the reason. */
export class SignedOut extends Error {}

/** The way that config.json names. page is {location, history, storage, fetch, crypto, channel, left}:
 * channel reaches the other tabs, left(reason) is called when this one is signed out. */
export function signIn(config, page) {
  return config.signIn.kind === "cognito" ? new Cognito(config, page) : new Local(page);
}

class Local {
  constructor(page) {
    Object.assign(this, { page, user: "the local account", found: null });
  }

  async get() {
    if (this.found) return this.found;
    const response = await this.page.fetch("/credentials", { cache: "no-store" });
    if (!response.ok) throw new SignedOut(`The local server gave no credentials: ${await response.text()}`);
    return (this.found = await response.json());
  }

  returned() {}
}

/**
 * Amazon Cognito: authorization code with PKCE at the hosted pages, then credentials of the identity
 * pool. https://docs.aws.amazon.com/cognito/latest/developerguide/using-pkce-in-authorization-code.html
 * https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetCredentialsForIdentity.html
 */
class Cognito {
  constructor(config, page) {
    const { domain, clientId, userPoolId, identityPoolId } = config.signIn;
    Object.assign(this, { page, domain, clientId, identityPoolId, region: config.region });
    this.login = `cognito-idp.${config.region}.amazonaws.com/${userPoolId}`;
    this.redirect = `${page.location.origin}/`;
    Object.assign(this, { tokens: null, found: null, until: 0, user: "", identity: null, over: "" });
    page.channel.onmessage = () => this.#leave("Signed out in another tab.");
  }

  /** Go to the hosted page. The verifier and the present view wait in this tab's session storage. */
  async begin() {
    const { crypto, storage, location } = this.page;
    const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
    const pending = { state: random(), verifier: random(), hash: location.hash };
    storage.setItem(PENDING, JSON.stringify(pending));
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier));
    location.assign(`${this.domain}/oauth2/authorize?${new URLSearchParams({
      response_type: "code", client_id: this.clientId, redirect_uri: this.redirect, scope: "openid email",
      state: pending.state, code_challenge_method: "S256", code_challenge: base64url(new Uint8Array(digest)),
    })}`);
  }

  /** Take up what the hosted page returned in the address, which is cleaned at once. */
  async returned() {
    const { location, history, storage } = this.page;
    const given = new URLSearchParams(location.search);
    if (!given.has("state") && !given.has("code") && !given.has("error")) return;
    const pending = JSON.parse(storage.getItem(PENDING) || "null");
    storage.removeItem(PENDING);
    history.replaceState(null, "", `/${pending?.hash || ""}`);
    if (!pending || given.get("state") !== pending.state) {
      throw new SignedOut("The sign-in was not begun in this tab, or was begun again since. Sign in again.");
    }
    if (given.has("error")) {
      throw new SignedOut(`Sign-in was refused: ${given.get("error_description") || given.get("error")}`);
    }
    await this.#token({
      grant_type: "authorization_code", code: given.get("code") || "", redirect_uri: this.redirect,
      code_verifier: pending.verifier,
    });
  }

  async get() {
    if (!this.tokens) throw new SignedOut(this.over || "Sign in to continue.");
    if (this.found && Date.now() < this.until - EARLY) return this.found;
    // Calls at the same time share one renewal.
    this.renewal ??= this.#renewed().finally(() => (this.renewal = null));
    try {
      return await this.renewal;
    } catch (error) {
      // When Cognito is disturbed, the credentials that are still valid do.
      if (error instanceof SignedOut || !this.found || Date.now() >= this.until - LAST) throw error;
      return this.found;
    }
  }

  /** Sign out here and in the other tabs, and end the session of the hosted page. */
  async end() {
    this.page.channel.postMessage("");
    await Promise.race([this.#leave("Signed out."), new Promise((done) => setTimeout(done, 3000))]);
    const query = new URLSearchParams({ client_id: this.clientId, logout_uri: this.redirect });
    this.page.location.assign(`${this.domain}/logout?${query}`);
  }

  /** Forget everything, then revoke the refresh token. */
  async #leave(reason) {
    const token = this.tokens?.refresh_token;
    Object.assign(this, { tokens: null, found: null, until: 0, identity: null, user: "", over: reason });
    this.page.left(reason);
    if (token) await this.#sent("/oauth2/revoke", { token, client_id: this.clientId }).catch(() => undefined);
  }

  async #renewed() {
    if (Date.now() >= this.tokens.until - EARLY) {
      await this.#token({ grant_type: "refresh_token", refresh_token: this.tokens.refresh_token });
    }
    const Logins = { [this.login]: this.tokens.id_token };
    this.identity ??= (await this.#pool("GetId", { IdentityPoolId: this.identityPoolId, Logins })).IdentityId;
    const { Credentials } = await this.#pool("GetCredentialsForIdentity", { IdentityId: this.identity, Logins });
    if (this.over) throw new SignedOut(this.over);
    this.until = Credentials.Expiration * 1000;
    return (this.found = {
      accessKeyId: Credentials.AccessKeyId, secretAccessKey: Credentials.SecretKey, sessionToken: Credentials.SessionToken,
    });
  }

  async #token(fields) {
    const { status, found } = await this.#sent("/oauth2/token", { ...fields, client_id: this.clientId });
    if (this.over) throw new SignedOut(this.over);
    if (status !== 200 || !found.id_token) {
      this.tokens = null;
      throw new SignedOut(`No tokens (${found.error || `HTTP ${status}`}). Sign in again.`);
    }
    // A refresh returns no new refresh token, unless its rotation is on.
    this.tokens = { ...this.tokens, ...found, until: Date.now() + found.expires_in * 1000 };
    this.user = claim(found.id_token, "email") || claim(found.id_token, "cognito:username");
  }

  async #pool(operation, body) {
    const { status, found } = await this.#sent(`https://cognito-identity.${this.region}.amazonaws.com/`, JSON.stringify(body), {
      "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": `AWSCognitoIdentityService.${operation}`,
    });
    if (status === 200) return found;
    const reason = found.message || found.__type || `HTTP ${status}`;
    throw new SignedOut(`No credentials (${reason}). The user may be in no group: groups carry the rights.`);
  }

  /** Send fields of a form to a path of the domain, or a text. Only a definite answer is one: {status, found}. */
  async #sent(to, given, headers = {}) {
    const form = typeof given === "string" ? given : new URLSearchParams(given);
    const url = new URL(to, this.domain).href;
    let response;
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      response = await this.page.fetch(url, { method: "POST", credentials: "omit", headers, body: form, signal });
    } catch (problem) {
      throw new Error(`Cognito did not respond (${problem.message}).`);
    }
    const { status } = response, found = await response.json().catch(() => ({}));
    if (status < 500 && status !== 429 && !/TooManyRequests/.test(found.__type)) return { status, found };
    throw new Error(`Cognito did not respond (${found.message || found.__type || `HTTP ${status}`}).`);
  }
}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

/** A claim of an ID token, only to be shown: nothing rests on it here. */
function claim(token, name) {
  try {
    const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return String(JSON.parse(text)[name] ?? "");
  } catch {
    return "";
  }
}
