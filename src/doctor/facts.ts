/** All that was measured of one upstream. The checks judge it, and measure nothing themselves. */
import type { Failure } from "../core/failure.ts";
import type { ReplyHeaders } from "../core/reply.ts";

export interface Facts {
  readonly upstream: UpstreamFacts;
  readonly machine: MachineFacts;
  readonly proxy: ProxyFacts;
  /** Undefined where a proxy is asked, which looks it up and connects by itself. */
  readonly address: AddressFacts | undefined;
  /** Undefined without TLS, through a proxy, and where no connection could be made. */
  readonly certificate: CertificateFacts | undefined;
  /** `GET /models`, and where that is not there under the base URL, with /v1 before it. */
  readonly models: Fetched | undefined;
  readonly modelsUnderV1: Fetched | undefined;
  /** FastAPI's page, which names the program. */
  readonly docs: Fetched | undefined;
  /** What its provider says of the account. */
  readonly balance: Fetched | undefined;
  /** The model that was asked. */
  readonly model: string | undefined;
  readonly streamed: Asked | undefined;
  readonly unstreamed: Asked | undefined;
  /** Undefined where nothing is known of how it could be asked, and where its answers are not whole. */
  readonly continuation?: ContinuationFacts | undefined;
}

/** Whether it went on with answers that it was given the beginning of. */
export interface ContinuationFacts {
  /** As it was asked. */
  readonly style: string;
  /** Undefined where the questions could not be asked. */
  readonly goesOn: boolean | undefined;
}

/** As it is configured. */
export interface UpstreamFacts {
  readonly name: string;
  readonly baseUrl: string;
  readonly profile: string;
  readonly hasKey: boolean;
  /** Why the key cannot be right, by its shape alone; it holds nothing of the key. */
  readonly keyProblem: string | undefined;
  readonly requireDone: boolean;
  readonly finish: "auto" | "done";
  readonly nonStreaming: "direct" | "viaStream";
  readonly emptyFallback: "next" | "last" | "off";
  readonly firstTokenMs: number;
  readonly recovery: "error" | "resume" | "continue";
  /** For how long the questions waited, in milliseconds. */
  readonly patienceMs: number;
}

export interface MachineFacts {
  readonly nodeVersion: string;
  /** What is wrong with it. */
  readonly nodeProblem: string | undefined;
  readonly descriptors: number | undefined;
  readonly descriptorProblem: string | undefined;
}

export type ProxyFacts =
  | { readonly kind: "none" }
  | { readonly kind: "used"; readonly variable: string; readonly host: string }
  | { readonly kind: "unusable"; readonly problem: string };

export type AddressFacts =
  | { readonly kind: "found"; readonly addresses: readonly string[]; readonly connectMs: number | undefined }
  | { readonly kind: "unknown"; readonly code: string };

export interface CertificateFacts {
  readonly issuer: string;
  /** Unix time in milliseconds. */
  readonly validTo: number;
  readonly now: number;
  /** OpenSSL's word for why it is not trusted. */
  readonly distrust: string | undefined;
}

/** A small GET. */
export interface Fetched {
  readonly path: string;
  /** Undefined where no answer came. */
  readonly status: number | undefined;
  readonly headers: ReplyHeaders;
  readonly body: string;
  readonly failure: Failure | undefined;
  /** Unix time when the head came, in milliseconds. */
  readonly at: number;
}

/** A small question, and how it was answered. */
export interface Asked {
  readonly path: string;
  /** Undefined where the answer was whole. */
  readonly failure: Failure | undefined;
  readonly recording: Recording;
}

/** What came over the wire. Times are in milliseconds from the handover to a connection. */
export interface Recording {
  readonly status: number | undefined;
  readonly headers: ReplyHeaders;
  readonly headMs: number | undefined;
  readonly firstByteMs: number | undefined;
  readonly durationMs: number;
  readonly bytes: number;
  /** The beginning of the body, as text. */
  readonly start: string;
  /** The last of it. */
  readonly tail: string;
  /** How the body ended, after the answer had. */
  readonly end: "closed" | "open" | "broken";
}
