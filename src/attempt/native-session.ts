/** What an upstream keeps of the answer that it makes for a run, so that it can be come back for after a break. */

interface Kept {
  readonly id: string;
  /** The upstream would generate on for nobody, since leaving does not stop it. */
  readonly discard: () => void;
}

export class NativeSession {
  #kept: Kept | undefined;

  /** An attempt begins whose answer the upstream keeps; that of the one before is not wanted any more. */
  keep(kept: Kept): void {
    this.#kept?.discard();
    this.#kept = kept;
  }

  get id(): string | undefined {
    return this.#kept?.id;
  }

  /** The run is over. @param isWhole the upstream has come to its end by itself. */
  end(isWhole: boolean): void {
    if (!isWhole) this.#kept?.discard();
    this.#kept = undefined;
  }
}
