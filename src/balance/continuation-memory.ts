/** What has been learnt of an upstream's way of continuing answers: refused, or proved to be right, for each model. */

/** Another version may be behind the same address by then, in milliseconds. */
const KEPT_MS = 3_600_000;
/** Clients name the models. */
const MAX_KEYS = 1_000;

export interface ServerProof {
  /** It goes on where the beginning stops. */
  readonly goesOn: boolean;
  /** It takes whitespace off the end of the beginning, and the model writes it again. */
  readonly trims: boolean;
}

interface Kept<T> {
  readonly value: T;
  /** On the clock of `performance.now()`. */
  readonly until: number;
}

export class ContinuationMemory {
  readonly #refusals = new Map<string, Kept<true>>();
  readonly #proofs = new Map<string, Kept<ServerProof>>();
  /** Those that are being sought: all who need one wait for the same. */
  readonly #seeking = new Map<string, Promise<ServerProof>>();

  /** It has refused to continue an answer of this model. */
  refuse(model: string): void {
    keep(this.#refusals, model, true);
  }

  hasRefused(model: string): boolean {
    return read(this.#refusals, model) === true;
  }

  /** What is known by now. */
  proofOf(key: string): ServerProof | undefined {
    return read(this.#proofs, key);
  }

  /** @param seek asks the upstream; what it throws is not kept. */
  async prove(key: string, seek: () => Promise<ServerProof>): Promise<ServerProof> {
    const known = this.proofOf(key);
    if (known !== undefined) return known;
    const sought = this.#seeking.get(key) ?? seek();
    this.#seeking.set(key, sought);
    try {
      const proof = await sought;
      keep(this.#proofs, key, proof);
      return proof;
    } finally {
      this.#seeking.delete(key);
    }
  }
}

function keep<T>(map: Map<string, Kept<T>>, key: string, value: T): void {
  map.delete(key);
  const [oldest] = map.keys();
  if (oldest !== undefined && map.size >= MAX_KEYS) map.delete(oldest);
  map.set(key, { value, until: performance.now() + KEPT_MS });
}

function read<T>(map: Map<string, Kept<T>>, key: string): T | undefined {
  const kept = map.get(key);
  if (kept === undefined || kept.until > performance.now()) return kept?.value;
  map.delete(key);
  return undefined;
}
