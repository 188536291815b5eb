/** What went wrong with an exchange: one class, stable codes, and who failed and what may still help as fields. */
import type { SeamRule } from "./answer-record.ts";
import type { UpstreamReply } from "./reply.ts";

export type FailureCode =
  | "upstream_unreachable"
  | "upstream_status"
  | "first_token_timeout"
  | "stream_stalled"
  | "deadline_exceeded"
  | "empty_stream"
  | "stream_truncated"
  | "stream_corrupted"
  | "upstream_error_event"
  | "overloaded"
  | "circuit_open"
  | "rate_limited"
  | "draining"
  | "unauthorized"
  | "invalid_request"
  | "body_too_large"
  | "not_found"
  | "stream_gone"
  | "client_gone"
  | "internal_error";

/** Who failed. `internal` is a defect of ours, or a refusal of ours. */
export type FailureSource = "upstream" | "downstream" | "internal";

/**
 * What may still help:
 * - `again`: the same request may succeed at the same upstream
 * - `elsewhere`: this upstream will not serve it, another one may (its key, its balance, its models)
 * - `never`: the request itself, the client's own key, or a limit of ours
 */
export type FailureScope = "again" | "elsewhere" | "never";

/**
 * A failure that cost the upstream nothing, since it did no work for the request. Such failures are counted in time, all others
 * in attempts.
 * - `connection`: there is no connection to it, for no request at all (refused, DNS, TLS)
 * - `answer`: it turned this request away at once (503, 529, a reset, a model that loads); others it may serve
 */
export type Outage = "connection" | "answer";

interface FailureKind {
  /** HTTP status when nothing was sent yet. */
  readonly status: number;
  readonly source: FailureSource;
  readonly scope: FailureScope;
  /** `error.type` on the wire. */
  readonly type: "upstream_error" | "invalid_request_error" | "perennial_error";
}

/** Every failure code and what it implies. These codes are a public contract: add, never rename. */
export const FAILURES: Readonly<Record<FailureCode, FailureKind>> = {
  upstream_unreachable: upstream(502),
  upstream_status: upstream(502),
  first_token_timeout: upstream(504),
  stream_stalled: upstream(504),
  deadline_exceeded: { ...upstream(504), scope: "never" },
  empty_stream: upstream(502),
  stream_truncated: upstream(502),
  stream_corrupted: upstream(502),
  upstream_error_event: upstream(502),
  overloaded: refusal(503, "perennial_error"),
  circuit_open: refusal(503, "perennial_error"),
  rate_limited: refusal(429, "perennial_error"),
  draining: refusal(503, "perennial_error"),
  unauthorized: refusal(401, "invalid_request_error"),
  invalid_request: refusal(400, "invalid_request_error"),
  body_too_large: refusal(413, "invalid_request_error"),
  not_found: refusal(404, "invalid_request_error"),
  stream_gone: refusal(410, "invalid_request_error"),
  client_gone: { status: 499, source: "downstream", scope: "never", type: "perennial_error" },
  internal_error: refusal(500, "perennial_error"),
};

export interface FailureDetails {
  /** HTTP status when nothing was sent yet. @defaultValue the code's own, from {@link FAILURES} */
  readonly status?: number;
  readonly source?: FailureSource;
  readonly scope?: FailureScope;
  /** The setting whose limit was met, such as `timeouts.idle`, or the header that had narrowed it: to raise it may help. */
  readonly setting?: string | undefined;
  /** How long the upstream asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number;
  /** What the upstream said in its own words. Shown to the client, never logged: it may quote the prompt. */
  readonly upstreamMessage?: string;
  /** The upstream's answer, for `upstream_status`. */
  readonly reply?: UpstreamReply;
  /** The upstream whose failure it is, where another one was asked after it. */
  readonly upstream?: string;
  /** The stream had a good end but no content, which a model may mean: see the empty rule in docs/architecture.md. */
  readonly formallyWhole?: boolean;
  /** Why an answer that broke could not go on. */
  readonly seam?: SeamRule | undefined;
  /** Absent for a failure that may have cost something. */
  readonly outage?: Outage | false | undefined;
  /** Of `stream_corrupted`: tells the bytes of this answer from those of another. */
  readonly fingerprint?: string;
  /** All the attempts that may cost something have been made: another round of them by the client would multiply the cost. */
  readonly exhausted?: boolean;
  readonly cause?: unknown;
}

/** The one error type below the server. `message` is ours and safe to log. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: FailureCode;
  readonly status: number;
  readonly source: FailureSource;
  readonly scope: FailureScope;
  readonly type: FailureKind["type"];
  readonly setting: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly upstreamMessage: string | undefined;
  readonly reply: UpstreamReply | undefined;
  readonly upstream: string | undefined;
  readonly formallyWhole: boolean;
  readonly seam: SeamRule | undefined;
  readonly outage: Outage | undefined;
  readonly fingerprint: string | undefined;
  readonly exhausted: boolean;

  constructor(code: FailureCode, message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    const kind = FAILURES[code];
    this.code = code;
    this.status = details.status ?? kind.status;
    this.source = details.source ?? kind.source;
    this.scope = details.scope ?? kind.scope;
    this.type = kind.type;
    this.setting = details.setting;
    this.retryAfterMs = details.retryAfterMs;
    this.upstreamMessage = details.upstreamMessage;
    this.reply = details.reply;
    this.upstream = details.upstream;
    this.formallyWhole = details.formallyWhole ?? false;
    this.seam = details.seam;
    this.outage = details.outage || undefined;
    this.fingerprint = details.fingerprint;
    this.exhausted = details.exhausted ?? false;
  }
}

/** The same failure, of which more is known by now; what is undefined in `more` is not known any more. */
export function withDetails(
  failure: Failure,
  more: { [Name in keyof FailureDetails]: FailureDetails[Name] | undefined },
): Failure {
  const known = Object.fromEntries(
    Object.entries({ ...failure, cause: failure.cause, ...more }).filter(([, value]) => value !== undefined),
  );
  return new Failure(failure.code, failure.message, known as FailureDetails);
}

/** Anything that was thrown, as a Failure: what is not one already is a defect of ours. */
export function toFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  return new Failure("internal_error", "Perennial failed on this request; this is a bug, please report it.", { cause: thrown });
}

/**
 * What may help after an HTTP status. Again after those that the OpenAI SDKs retry (408, 409, 429 and every 5xx but
 * 501 and 505, which will not change) and after 425; elsewhere after those that say something of the upstream's account, key or models.
 */
export function scopeOfStatus(status: number): FailureScope {
  if (status === 408 || status === 409 || status === 425 || status === 429) return "again";
  if (status >= 500) return status === 501 || status === 505 ? "never" : "again";
  return status === 402 || status === 403 || status === 404 ? "elsewhere" : "never";
}

function upstream(status: number): FailureKind {
  return { status, source: "upstream", scope: "again", type: "upstream_error" };
}

function refusal(status: number, type: FailureKind["type"]): FailureKind {
  return { status, source: "internal", scope: "never", type };
}
