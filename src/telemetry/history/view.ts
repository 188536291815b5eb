/** What the dashboard is told, as it goes over the wire: times in milliseconds, never a word of what was asked or answered. */
import type { RateSnapshot } from "../../balance/rate/rate-policy.ts";
import type { SeamRule } from "../../core/answer-record.ts";
import type { PaidTwice } from "../../core/attempt.ts";
import type { FailureCode } from "../../core/failure.ts";
import type { Outcome, ResumedBy } from "../../core/outcome.ts";
import type { NamedUpstreamState } from "../../core/upstream-state.ts";
import type { Words } from "../../dialect/words.ts";

/** Who failed, as one would say it: the request is the client's question, key or model. */
export type Fault = "upstream" | "request" | "client" | "perennial";

export interface AttemptView {
  readonly n: number;
  readonly upstream: string;
  /** Since the request's arrival. */
  readonly atMs: number;
  /** How long it took; until now, while it runs. */
  readonly ms: number;
  readonly running: boolean;
  readonly status: number | undefined;
  readonly failure: FailureCode | undefined;
  readonly fault: Fault | undefined;
  /** Another one beside it was faster (`hedge`). */
  readonly lost?: true | undefined;
  /** How long the next attempt was put off; undefined when none followed. */
  readonly waitMs: number | undefined;
}

export interface StreamEnd {
  readonly at: "ended";
  readonly outcome: Outcome;
  readonly failure: FailureCode | undefined;
  readonly fault: Fault | undefined;
  /** HTTP status that the client got. */
  readonly status: number | undefined;
  /** How its answer went on over each of its breaks. */
  readonly seams: readonly ResumedBy[];
  /** By which rule it did not go on over the last; undefined where that was not tried. */
  readonly seam: SeamRule | undefined;
  /** What that cost although it had been paid for; undefined where it cost nothing. */
  readonly paidTwice?: PaidTwice | undefined;
}

export type StreamState =
  /** No upstream has been asked yet: each that could be is out, or rests. */
  | { readonly at: "held" }
  /** It waits for one of the upstream's connections, or for a rate limit. */
  | { readonly at: "queued" }
  /** Its upstream has been asked, and has brought no content yet. */
  | { readonly at: "waiting" }
  /** An attempt has failed unseen, and the next is to come. */
  | { readonly at: "retrying" }
  /** Its content goes to the client. */
  | { readonly at: "flowing" }
  | StreamEnd;

export interface StreamView {
  readonly id: string;
  /** Unix time. */
  readonly startedAt: number;
  readonly ms: number;
  readonly dialect: string;
  readonly streamed: boolean;
  readonly model: string | undefined;
  readonly upstream: string | undefined;
  readonly state: StreamState;
  /** Of very many the first and the last, as their numbers say. */
  readonly attempts: readonly AttemptView[];
  /** How long it has waited for a connection; undefined where it did not. */
  readonly queuedMs: number | undefined;
  /** How long it has waited for rate limits; undefined where it did not. */
  readonly limitedMs: number | undefined;
  /** When the gate opened, since arrival: from then on nothing could be asked again unseen. */
  readonly committedMs: number | undefined;
  readonly firstTokenMs: number | undefined;
  readonly longestGapMs: number | undefined;
  readonly characters: number;
  /** Characters a second, lately; undefined before it was measured, and after the end. */
  readonly perSecond: number | undefined;
  readonly events: number;
  readonly bytes: number;
  readonly heartbeats: number;
}

export interface EndedStream extends StreamView {
  readonly state: StreamEnd;
}

/** What was asked and answered, where `dashboard.text` has it shown: bounded, with what was left out counted in characters. */
export interface TextView {
  /** The last messages; of each its beginning. */
  readonly prompt: readonly { readonly role: string; readonly text: string; readonly leftOut: number }[];
  /** Messages before these. */
  readonly promptLeftOut: number;
  /** The beginning of the answer, as the client got it. */
  readonly answer: readonly Words[];
  /** Between the beginning and the end. */
  readonly leftOut: number;
  /** The end of a long answer. */
  readonly end: string;
}

/** What a stream's own page is told. */
export interface StreamPageView extends StreamView {
  readonly texts?: TextView | undefined;
}

export interface Saved {
  /** Whole answers that had failed at first, as `perennial_recovered_total` counts them. */
  readonly recovered: number;
  /** Whole answers, continued across a break. */
  readonly resumed: number;
  /** Characters of these two, as far as they were streamed. */
  readonly characters: number;
  /** Whole answers whose ending was supplied. Some clients would have done without. */
  readonly repaired: number;
  /** Breaks that could not be mended, and that the client was told of. */
  readonly interrupted: number;
  readonly failed: number;
  readonly total: number;
  /** Unix time: midnight, or the start of the program. */
  readonly since: number;
}

export interface CauseView {
  readonly upstream: string | undefined;
  readonly code: FailureCode;
  readonly fault: Fault;
  /** Attempts, or whole requests where no attempt was made, that failed so in the last hour. */
  readonly count: number;
}

export interface MinuteView {
  /** Unix time of its begin. */
  readonly at: number;
  /** Exchanges that ended in it; an outcome that is missing did not occur. */
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  /** Those that failed or were interrupted, but for requests that could not have succeeded anywhere. */
  readonly lost: number;
}

export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

export interface TimingView {
  readonly hour: Percentiles | undefined;
  /** One for each minute, the oldest first; null where nothing was measured. */
  readonly minutes: readonly (Percentiles | null)[];
}

/** What attempts at one upstream came to in the last hour. */
export interface UpstreamTally {
  readonly name: string;
  readonly attempts: number;
  readonly failed: number;
  /** In the last five minutes. */
  readonly lately: { readonly attempts: number; readonly failed: number };
}

export interface HistoryView {
  /** Unix time. */
  readonly now: number;
  readonly startedAt: number;
  readonly open: {
    readonly count: number;
    readonly held: number;
    readonly queued: number;
    readonly waiting: number;
    readonly retrying: number;
    readonly flowing: number;
    /** Characters a second, all together. */
    readonly perSecond: number;
    /** Some of them: those in trouble first, then the oldest. */
    readonly streams: readonly StreamView[];
  };
  /** Requests since the start of the program. */
  readonly total: number;
  readonly today: Saved;
  /** The last hour, the oldest minute first. */
  readonly minutes: readonly MinuteView[];
  readonly causes: readonly CauseView[];
  readonly firstToken: TimingView;
  readonly longestGap: TimingView;
  readonly tallies: readonly UpstreamTally[];
  /** Exchanges that wait now for a connection, by upstream; those of which none waits are left out. */
  readonly queues: Readonly<Record<string, number>>;
  /** The latest that have ended, the latest first. */
  readonly recent: readonly StreamView[];
  /** The same of those that were not simply complete, nor broken off by their client: they are soon out of sight among the others. */
  readonly troubled: readonly StreamView[];
}

export interface UpstreamView extends NamedUpstreamState {
  /** Host and port alone: a URL may hold a secret. */
  readonly host: string;
  readonly profile: string | undefined;
  readonly api: string;
  /** Undefined where their number is not limited. */
  readonly maxConnections: number | undefined;
  /** `off` where it does not rest by itself; `half-open` where the next request, or the one that is asked now, decides. */
  readonly breaker: "off" | "closed" | "open" | "half-open";
}

/** All that the page shows. What is not there yet is not in it, and has no place on the page. */
export interface DashboardView extends HistoryView {
  /** The page was opened with a key. */
  readonly signedIn: boolean;
  readonly sandbox: boolean;
  /** Prompts and answers are shown on the pages of streams (`dashboard.text`). */
  readonly showsTexts: boolean;
  /** The page may ask the sandbox, through Perennial and past it. */
  readonly canTry: boolean;
  /** Every upstream that is to answer a first question has done so. */
  readonly warm: boolean;
  readonly maxStreams: number;
  readonly heldBytes: number;
  /** In the order of the configuration; of very many, those that rest and then the first. */
  readonly upstreams: readonly UpstreamView[];
  readonly upstreamCount: number;
  /** Costly retries of the last ten seconds, and how many there may be (`retry.budget`). */
  readonly retries: { readonly made: number; readonly allowed: number };
  /** Where rate limits are set: those of upstreams, then those of clients' keys; of very many keys, those that are waited for first. */
  readonly rates: readonly RateSnapshot[];
  /** Clients' keys that have rate limits. */
  readonly limitedKeyCount: number;
}
