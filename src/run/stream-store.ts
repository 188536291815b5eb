/** Where answers are kept, in this process or for several: found by id, or by the request that asked for them. */
import type { KeptAnswer, KeptFacts } from "./kept-answer.ts";
import type { KeptStream } from "./kept-stream.ts";
import type { StoredRequest } from "./takeover.ts";

/** Times in milliseconds, sizes in bytes. */
export interface KeepOptions {
  /** How long an answer is kept when it is over. */
  readonly ttl: number;
  readonly linger: number;
  readonly maxStreamBytes: number;
  /** Of all that is kept here. */
  readonly maxTotalBytes: number;
}

/** By what a request that was made before is known again. */
export interface RequestName {
  readonly kind: "idempotency-key" | "retry";
  readonly value: string;
  /** Whether the answer that has this name is the one that is asked for: else a new one takes the name. */
  mayJoin(known: KeptAnswer): boolean;
}

export type Claim =
  | { readonly kind: "known"; readonly stream: KeptAnswer }
  /** It is about to be made, by whoever asked. */
  | { readonly kind: "new"; readonly stream: KeptStream };

export interface StreamStore {
  /** @throws Failure `overloaded` where that cannot be known now. */
  find(id: string): Promise<KeptAnswer | undefined>;
  /**
   * The answer of that name, or else a new one: of two that ask at once one is first.
   * @param asked the request as it may be kept, should another replica have to go on with its answer; undefined where it may not.
   */
  claim(
    facts: KeptFacts,
    options: KeepOptions,
    name: RequestName | undefined,
    asked: () => StoredRequest | undefined,
  ): Promise<Claim>;
}
