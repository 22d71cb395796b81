// Credentials, by one of two ways of signing in. Both give {get, begin, end}: get() resolves to
// credentials that are valid for some minutes, or throws SignedOut; nothing of them is stored.

const EARLY = 5 * 60_000;
const PENDING = "camunda-ecs.sign-in";

/** There are no credentials; the message gives the reason. */
export class SignedOut extends Error {}

/** The way that config.json names. page is {location, history, storage, fetch, crypto}. */
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
    Object.assign(this, { tokens: null, found: null, until: 0, user: "", identity: null });
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
    if (this.found && Date.now() < this.until - EARLY) return this.found;
    if (!this.tokens) throw new SignedOut("Sign in to continue.");
    // Calls at the same time share one renewal.
    this.renewal ??= this.#renewed().finally(() => (this.renewal = null));
    return this.renewal;
  }

  /** Revoke the refresh token, forget everything, and end the session of the hosted page. */
  async end() {
    const token = this.tokens?.refresh_token;
    Object.assign(this, { tokens: null, found: null, until: 0, identity: null });
    if (token) {
      const revoked = this.#form("/oauth2/revoke", { token, client_id: this.clientId });
      await revoked.catch(() => undefined);
    }
    const query = new URLSearchParams({ client_id: this.clientId, logout_uri: this.redirect });
    this.page.location.assign(`${this.domain}/logout?${query}`);
  }

  async #renewed() {
    if (Date.now() >= this.tokens.until - EARLY) {
      await this.#token({ grant_type: "refresh_token", refresh_token: this.tokens.refresh_token });
    }
    const Logins = { [this.login]: this.tokens.id_token };
    this.identity ??= (await this.#pool("GetId", { IdentityPoolId: this.identityPoolId, Logins })).IdentityId;
    const { Credentials } = await this.#pool("GetCredentialsForIdentity", { IdentityId: this.identity, Logins });
    this.until = Credentials.Expiration * 1000;
    return (this.found = {
      accessKeyId: Credentials.AccessKeyId, secretAccessKey: Credentials.SecretKey, sessionToken: Credentials.SessionToken,
    });
  }

  async #token(fields) {
    const response = await this.#form("/oauth2/token", { ...fields, client_id: this.clientId });
    const found = await response.json().catch(() => ({}));
    if (!response.ok || !found.id_token) {
      if (response.status < 500) this.tokens = null;
      throw new SignedOut(`No tokens (${found.error || `HTTP ${response.status}`}). Sign in again.`);
    }
    // A refresh returns no new refresh token, unless its rotation is on.
    this.tokens = { ...this.tokens, ...found, until: Date.now() + found.expires_in * 1000 };
    this.user = claim(found.id_token, "email") || claim(found.id_token, "cognito:username");
  }

  #form(path, fields) {
    return this.page.fetch(`${this.domain}${path}`, { method: "POST", body: new URLSearchParams(fields), credentials: "omit" });
  }

  async #pool(operation, body) {
    const response = await this.page.fetch(`https://cognito-identity.${this.region}.amazonaws.com/`, {
      method: "POST",
      credentials: "omit",
      headers: { "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": `AWSCognitoIdentityService.${operation}` },
      body: JSON.stringify(body),
    });
    const found = await response.json().catch(() => ({}));
    if (response.ok) return found;
    const reason = found.message || found.__type || `HTTP ${response.status}`;
    throw new SignedOut(`No credentials (${reason}). The user may be in no group: groups carry the rights.`);
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
