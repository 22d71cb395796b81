// A client of the REST API. Each request is signed for the API's own host and sent to this origin
// under the same path: what serves the console forwards it with the API's Host.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { AwsV4Signer } from "./vendor/aws4fetch.js";

// API Gateway responds within 29 seconds or not at all (docs/api.md).
const PATIENCE = 35_000;

/** No usable response: the outcome of a change is not known. */
export class Unreachable extends Error {}

/** The API's problem document (RFC 9457), with the request that it answers. */
export class Refused extends Error {
  constructor(status, problem, request, retryAfter) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    Object.assign(this, { status, problem, request, retryAfter });
  }
}

// What RFC 3986 reserves and encodeURIComponent leaves is encoded in the canonical request of SigV4.
const encoded = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

/** Path of an API resource from its segments: ["clusters", "demo"] is /clusters/demo. */
export const pathOf = (segments) => segments.map((one) => `/${encoded(one)}`).join("");

/** Whether a change may have been carried out although it failed like this. */
export const isUnsure = (error) =>
  error instanceof Unreachable || (error instanceof Refused && (error.status < 400 || error.status >= 500));

/** Query string of what is given, encoded as it is signed. */
export function queryOf(query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const text = pairs.map((pair) => pair.map(encoded).join("=")).join("&");
  return text && `?${text}`;
}

/** Id of the operation that a 202 leads to: the last segment of Location, under any base path. */
export const operationOf = ({ location, body }) =>
  location ? decodeURIComponent(location.split("/").at(-1)) : body.operationId;

export class Api {
  /** credentials() resolves to {accessKeyId, secretAccessKey, sessionToken}. */
  constructor(config, credentials) {
    Object.assign(this, { config, credentials });
  }

  get(segments, query, accept) {
    return this.ask({ method: "GET", path: segments, query, headers: accept ? { Accept: accept } : {} });
  }

  /** Resolves to {status, body, etag, retryAfter, location, release}; throws Refused or Unreachable. */
  async ask({ method, path, query, headers = {}, text }) {
    const { api, region } = this.config;
    // A browser resolves these in a path: the request would be another one than the one that is shown.
    const lost = path.find((one) => ["", ".", ".."].includes(one));
    if (lost !== undefined) throw new Error(`The name is "${lost}"; allowed is one other than "", "." and "..".`);
    const target = `${api.base}${pathOf(path)}${queryOf(query)}`;
    const sent = text === undefined ? headers : { ...headers, "Content-Type": "application/json" };
    const signer = new AwsV4Signer({
      ...(await this.credentials()),
      method, region, service: "execute-api", url: `https://${api.host}${target}`, headers: sent, body: text,
    });
    const signed = await signer.sign();
    let response, content;
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      response = await fetch(target, {
        method, headers: signed.headers, body: text, signal, cache: "no-store", redirect: "error",
      });
      content = await response.text();
    } catch (problem) {
      throw new Unreachable(`The API did not respond (${problem.message}).`);
    }
    const header = (name) => response.headers.get(name);
    const body = (header("content-type") || "").includes("json") ? parsed(content) : content;
    const retryAfter = Number(header("retry-after")) || null;
    // A page of something else in between is no answer of the API, whatever its status.
    const usable = headers.Accept === "text/plain" ? body !== undefined : (body && typeof body === "object") || response.status === 204;
    if (response.ok && usable) {
      return {
        status: response.status, body, retryAfter, etag: header("etag"), location: header("location"),
        release: header("x-camunda-ecs-version"),
      };
    }
    const plain = (header("content-type") || "").startsWith("text/plain") ? content.slice(0, 300) : "";
    const detail = response.ok ? "The response is not one of the API." : plain;
    const problem = body && typeof body === "object" ? body : { title: `HTTP ${response.status}`, detail };
    throw new Refused(response.status, problem, { method, path: pathOf(path) }, retryAfter);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
