/** An upstream that a request may be sent to, with the policy that holds for it. */
import type { ContinuationStyle } from "../core/continuing.ts";
import type { Recovery } from "../core/exchange.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { Breaker, type BreakerPolicy } from "./breaker.ts";
import { ConnectionQueue } from "./connection-queue.ts";
import { ContinuationMemory } from "./continuation-memory.ts";
import { CredentialRests } from "./credential-rests.ts";
import { Outages } from "./outages.ts";
import type { RateAccess } from "./rate/rate-access.ts";
import type { RateLimiter } from "./rate/rate-limiter.ts";
import { RefusedAsks } from "./refused-asks.ts";

export interface Candidate {
  readonly upstream: Upstream;
  readonly policy: UpstreamPolicy;
  readonly shared: UpstreamShared;
  /** Who is asked before whom. */
  readonly share: Share;
  /** What is known of the key of ours that it is asked with; undefined where it is asked with none, or the client's own. */
  readonly credential?: CredentialRests | undefined;
  /** The limits of the upstream, of all who ask it; undefined where none are set. */
  readonly limiter?: RateLimiter | undefined;
  /** Tells the key of ours that it is asked with from others, without holding it. */
  readonly account?: string | undefined;
  /** What a request must pass before it is sent there; undefined for one that is not limited. */
  readonly rate?: RateAccess | undefined;
  /** What the upstream calls the model; undefined for the name that the client used. */
  readonly model: string | undefined;
  /** Where it is asked, under its base URL; undefined for the path that the client used. */
  readonly path?: string | undefined;
}

/** Its part of the requests that it and others can serve. */
export interface Share {
  /** Those of a lower number are asked first. */
  readonly priority: number;
  /** Among those of one priority: how many requests it gets for each that one of weight 1 gets. */
  readonly weight: number;
}

/** What all exchanges with one upstream have in common; it outlives a configuration, as the upstream's connections do. */
export interface UpstreamShared {
  readonly outages: Outages;
  readonly connections: ConnectionQueue;
  readonly refusedAsks: RefusedAsks;
  readonly continuations: ContinuationMemory;
  readonly breaker: Breaker;
  /** What is known of a key of ours. */
  credential(apiKey: string): CredentialRests;
  /** Attempts that run. */
  readonly open: { count: number };
}

/** @param maxConnections undefined for no limit. */
export function createUpstreamShared(maxConnections: number | undefined): UpstreamShared {
  const credentials = new Map<string, CredentialRests>();
  return {
    credential(apiKey) {
      const known = credentials.get(apiKey) ?? new CredentialRests();
      credentials.set(apiKey, known);
      return known;
    },
    outages: new Outages(),
    connections: new ConnectionQueue(maxConnections),
    refusedAsks: new RefusedAsks(),
    continuations: new ContinuationMemory(),
    breaker: new Breaker(),
    open: { count: 0 },
  };
}

/** How an upstream is asked, and how its answers are judged; the configuration resolves one for each. All times in milliseconds. */
export interface UpstreamPolicy {
  readonly timeouts: {
    /** Longest wait for one of the upstream's connections, where their number is limited. */
    readonly queue: number;
    /** Streamed: from the handover to a connection until the first sign of life. */
    readonly firstToken: number;
    /** Streamed: without content, though there are signs of life. */
    readonly alive: number;
    /** After the first content (the head, where nothing is streamed): without one byte. */
    readonly idle: number;
    /** From the request's arrival: no attempt begins after it, and no uncommitted stream lives beyond it. */
    readonly total: number;
    /** From the request's arrival: an answer that is not streamed, and on its way. */
    readonly unstreamed: number;
    /** From the commit: a stream, however it flows; false for no limit. */
    readonly stream: number | false;
  };
  readonly gate: {
    /** A streamed answer begins to reach the client at its first content, or once it is whole. */
    readonly open: "content" | "whole";
    /** Tool calls reach the client whole, or as they come. */
    readonly toolCalls: "hold" | "stream";
    /** Longest time for which one call is held; then it goes on as it comes. */
    readonly holdFor: number;
    /** How late a stream is shown; 0 for not at all. */
    readonly lag: number;
  };
  /** When it rests that keeps failing; undefined for never. */
  readonly breaker?: BreakerPolicy | undefined;
  /** When a streamed request that finds only empty streams is asked whole: at the next attempt, at the last, or never. */
  readonly emptyFallback: "next" | "last" | "off";
  /** A raw last event that begins with all that came before is taken for the whole answer: ChatGLM3 sends it so. */
  readonly repairRawAnswer: boolean;
  /** A stream without its terminator is cut, even when every choice has finished. */
  readonly requireDone: boolean;
  /** By a finish, or by the terminator alone as well (`done`), for servers that send no finish. */
  readonly finish: "auto" | "done";
  /** What becomes of an answer that breaks when clients have some of it. */
  readonly recovery: Recovery;
  readonly resume: ResumePolicy;
  /** How it is asked to go on with an answer. */
  readonly continuation: ContinuationStyle | "rerun" | "off";
  /** How a request that is not streamed is asked: as it is, or as a stream that is watched and joined. */
  readonly nonStreaming: "direct" | "viaStream";
}

export interface ResumePolicy {
  /** What proves that a second leg belongs to the answer: its own last words, or what the server does with small questions. */
  readonly proof: "auto" | "answer" | "server";
  /** Most continuations of one answer. */
  readonly maxAttempts: number;
  /** Fewest characters of an answer that is continued. */
  readonly minChars: number;
  /** Characters that must come again. */
  readonly tail: number;
  readonly tools: "refuse" | "ifNoneCalled";
  readonly structured: "refuse" | "ifItParses";
  /** Streamed responses are asked for in the background, where the upstream keeps them. */
  readonly background: boolean;
}

/** Where nothing else is set, an answer that is not streamed may take so many times `timeouts.total`. */
export const UNSTREAMED_TOTALS = 4;
