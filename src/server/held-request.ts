/** What one request's body counts for, from its first byte to the end of its exchange: it may have to be sent again. */
import type { Exchange } from "../core/exchange.ts";
import type { Failure } from "../core/failure.ts";
import type { HeldMemory, HeldShare } from "../core/held-memory.ts";
import type { BodyAccount } from "./body-limit.ts";

type HeldState =
  | { readonly at: "reading"; readonly stop: ((failure: Failure) => void) | undefined }
  | { readonly at: "evicted"; readonly failure: Failure }
  | { readonly at: "serving"; readonly exchange: Pick<Exchange, "abort"> };

export class HeldRequest implements BodyAccount {
  readonly #memory: HeldMemory;
  readonly #share: HeldShare;
  #state: HeldState = { at: "reading", stop: undefined };

  constructor(memory: HeldMemory) {
    this.#memory = memory;
    this.#share = memory.open(this);
  }

  get isNewcomer(): boolean {
    return this.#state.at !== "serving";
  }

  /** @throws Failure `overloaded` */
  take(bytes: number): void {
    if (this.#state.at === "evicted") throw this.#state.failure;
    this.#memory.admit(bytes, this.#share);
    this.#share.add(bytes);
  }

  onEvicted(stop: (failure: Failure) => void): void {
    this.#state = { at: "reading", stop };
  }

  /** It is read: from now on its exchange ends when there is no room for it. @throws Failure `overloaded` when it has had to go. */
  serve(exchange: Pick<Exchange, "abort">): void {
    if (this.#state.at === "evicted") throw this.#state.failure;
    this.#state = { at: "serving", exchange };
  }

  evict(failure: Failure): void {
    const state = this.#state;
    if (state.at === "serving") state.exchange.abort(failure);
    if (state.at !== "reading") return;
    this.#state = { at: "evicted", failure };
    state.stop?.(failure);
  }

  release(): void {
    this.#share.release();
  }
}
