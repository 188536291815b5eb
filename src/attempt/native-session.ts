/** What an upstream keeps of the answer that it makes for a run, so that it can be come back for after a break. */
import type { AnswerRecord } from "../core/answer-record.ts";

/** By what the upstream knows what it keeps. */
export interface KeptName {
  /** A conversation of llama.cpp, or a response that is made in the background. */
  readonly kind: "conversation" | "response";
  readonly id: string;
  /** A client that has asked for it comes back by itself. @defaultValue it was asked for by us */
  readonly isClients?: boolean | undefined;
}

export interface Kept {
  readonly name: KeptName;
  /** Where it is handed out again; undefined where that cannot be said of what was given. */
  pathAfter(given: AnswerRecord): string | undefined;
  /** From the beginning of the answer, or from behind what was given. */
  readonly from: "beginning" | "given";
  /** The upstream would generate on for nobody, since leaving does not stop it. */
  discard(): void;
}

export class NativeSession {
  #kept: Kept | undefined;
  #heir: NativeSession | undefined;

  /** An attempt begins whose answer the upstream keeps; that of the one before is not wanted any more. */
  keep(kept: Kept): void {
    this.#kept?.discard();
    this.#kept = kept;
  }

  get kept(): Kept | undefined {
    return this.#kept ?? this.#heir?.kept;
  }

  /** Another attempt has won, with a session of its own: what is kept for that one is the run's, and nothing else is wanted. */
  yieldTo(winner: NativeSession): void {
    this.end(false);
    this.#heir = winner;
  }

  /** The run is over, or goes on otherwise. @param isWhole the upstream has come to its end by itself. */
  end(isWhole: boolean): void {
    if (!isWhole) this.#kept?.discard();
    this.#kept = undefined;
    this.#heir?.end(isWhole);
  }
}
