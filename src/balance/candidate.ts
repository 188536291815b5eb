/** An upstream that a request may be sent to, with the policy that holds for it. */
import type { Upstream } from "../upstream/upstream.ts";

export interface Candidate {
  readonly upstream: Upstream;
  readonly policy: UpstreamPolicy;
  /** What the upstream calls the model; undefined for the name that the client used. */
  readonly model: string | undefined;
}

/** How an upstream is asked, and how its answers are judged; the configuration resolves one for each. All times in milliseconds. */
export interface UpstreamPolicy {
  readonly timeouts: {
    /** Longest wait for the first content of an attempt. */
    readonly firstToken: number;
    /** Longest silence between two pieces of content. */
    readonly idle: number;
    /** Longest time for the whole exchange, all attempts included. */
    readonly total: number;
  };
  readonly gate: {
    /** A streamed answer begins to reach the client at its first content, or once it is whole. */
    readonly open: "content" | "whole";
    /** Tool calls reach the client whole, or as they come. */
    readonly toolCalls: "hold" | "stream";
  };
  /** When a streamed request that finds only empty streams is asked whole: at the next attempt, at the last, or never. */
  readonly emptyFallback: "next" | "last" | "off";
  /** A raw last event that begins with all that came before is taken for the whole answer: ChatGLM3 sends it so. */
  readonly repairRawAnswer: boolean;
  /** A stream without its terminator is cut, even when every choice has finished. */
  readonly requireDone: boolean;
  /** How a request that is not streamed is asked: as it is, or as a stream that is watched and joined. */
  readonly nonStreaming: "direct" | "viaStream";
}
