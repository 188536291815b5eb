/** What a server is to the chaos server: its endpoints, how each says its answers, and what it does of its own accord. */
import { isObject } from "../dialect/json.ts";
import type { Heard } from "./ask-model.ts";
import type { DialectScript, ErrorDetails } from "./dialect-script.ts";
import type { Ask } from "./fault.ts";
import type { Step } from "./script.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** One request to an endpoint. */
export interface Call {
  readonly ask: Ask;
  /** The JSON body; empty where there is none. */
  readonly fields: JsonObject;
  readonly streamed: boolean;
  /** Of the body as it arrived. */
  readonly bodyBytes: number;
  /** What the model behind it said, where it has one. */
  readonly heard?: Heard | undefined;
}

export interface Endpoint {
  /** How it streams; undefined where it never does, and no fault is drawn at random. */
  readonly dialect?: DialectScript;
  /** It streams even when it was not asked to. */
  readonly alwaysStreams?: true;
  /** Its body need not be a JSON object. */
  readonly takesAnyBody?: true;
  /** The faultless JSON answer. */
  answer(ask: Ask, fields: JsonObject): unknown;
  /** What it makes of this very request when no fault is to be played; undefined for the plain answer. */
  quirk?(call: Call): (() => Iterable<Step>) | undefined;
}

export interface Personality {
  /** What stands before its clients' paths. */
  readonly basePath: "/v1" | "";
  /** How long it keeps an unused connection. */
  readonly keepAliveMs: number;
  /** It does not tell its clients so, and closes under their hands. */
  readonly hidesKeepAlive?: true;
  /** By `METHOD /path`. */
  readonly endpoints: Readonly<Record<string, Endpoint>>;
  /** Headers of every reply. */
  readonly headers: Readonly<Record<string, string>>;
  /** What is said of a path that is not there, or a body that cannot be read. */
  errorBody(status: number, message: string, details: ErrorDetails): unknown;
  /** The status for a body that is no JSON object. */
  readonly unreadableStatus: 400 | 422;
  /** Lines for whoever starts it: which prompts show what. */
  readonly hints: readonly string[];
  /** Asks the model behind it, where it has one; a fault in a model's name is then that model's. */
  hear?(endpoint: Endpoint | undefined, fields: JsonObject): Promise<Heard | undefined>;
  /** How long a request that arrives now has to wait, in milliseconds. */
  delayMs?(endpoint: Endpoint): number;
}

/** The last thing that was said to it, however the request spells that. */
export function promptOf({ query, prompt, messages }: JsonObject): string {
  if (typeof query === "string") return query;
  if (typeof prompt === "string") return prompt;
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  return isObject(last) && typeof last.content === "string" ? last.content : "";
}
