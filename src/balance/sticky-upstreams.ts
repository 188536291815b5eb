/** Which upstream made what clients come back for: a response, a file, a batch. Another one would not know it. */
import type { ExchangeRequest } from "../core/exchange.ts";
import type { Candidate } from "./candidate.ts";

/** Clients may make any number of things; the newest are the ones that are asked for. */
const MAX_KEPT = 10_000;
/** Longer names are none. */
const MAX_NAME_LENGTH = 200;
/** A request that names more is asked about so many. */
const MAX_ASKED = 1_000;

/** Where a request names what an upstream has made: in its path, and in these fields of its body. */
const FIELDS =
  /"(?:previous_response_id|conversation|file_id|input_file_id|training_file|container|batch_id|assistant_id|thread_id|vector_store_id)"\s*:\s*(?:\{\s*"id"\s*:\s*)?"([^"\\]{1,200})"/g;

/** What other processes have seen being made, for clients that come to this one with it. */
export interface SharedMakers {
  remember(made: string, upstream: string): void;
  /** @returns the names of the upstreams, by what they made, as far as that is known. Never rejects. */
  find(made: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

export class StickyUpstreams {
  /** The names of upstreams, by what they made. */
  readonly #makers = new Map<string, string>();
  readonly #shared: SharedMakers | undefined;

  /** @param shared where several processes serve; undefined for one alone. */
  constructor(shared?: SharedMakers) {
    this.#shared = shared;
  }

  remember(made: string, upstream: string): void {
    if (made === "" || made.length > MAX_NAME_LENGTH) return;
    this.#keep(made, upstream);
    this.#shared?.remember(made, upstream);
  }

  #keep(made: string, upstream: string): void {
    this.#makers.delete(made);
    const [oldest] = this.#makers.keys();
    if (oldest !== undefined && this.#makers.size >= MAX_KEPT) this.#makers.delete(oldest);
    this.#makers.set(made, upstream);
  }

  /** Those that are known, of so many names. */
  find(names: readonly string[]): ReadonlyMap<string, string> {
    return new Map(names.map((name) => [name, this.#makers.get(name)] as const).filter(isKnown));
  }

  /** Learns from the others who made what the request names, before it is narrowed. @returns undefined where there is nothing to wait for. */
  learn(request: ExchangeRequest): Promise<void> | undefined {
    if (this.#shared === undefined) return undefined;
    const names = [...new Set(namesIn(request))].filter((name) => name !== "" && name.length <= MAX_NAME_LENGTH);
    const strange = names.filter((name) => !this.#makers.has(name)).slice(0, MAX_ASKED);
    if (strange.length === 0) return undefined;
    return this.#shared.find(strange).then((found) => {
      for (const [made, upstream] of found) this.#keep(made, upstream);
    });
  }

  /** The maker of what a request names, where it is one of the candidates and is known; otherwise all of them. */
  narrow(candidates: readonly Candidate[], request: ExchangeRequest): readonly Candidate[] {
    if (this.#makers.size === 0 || candidates.length < 2) return candidates;
    for (const name of namesIn(request)) {
      const maker = this.#makers.get(name);
      const found = candidates.filter(({ upstream }) => upstream.name === maker);
      if (found.length > 0) return found;
    }
    return candidates;
  }
}

function isKnown(pair: readonly [string, string | undefined]): pair is readonly [string, string] {
  return pair[1] !== undefined;
}

function* namesIn({ path, body, plain }: ExchangeRequest): Generator<string> {
  for (const part of path.split(/[/?&=]/)) {
    try {
      yield decodeURIComponent(part);
    } catch {
      // A name that cannot be read is none that was remembered.
    }
  }
  const bytes = plain ?? (Buffer.isBuffer(body) ? body : undefined);
  if (bytes === undefined) return;
  for (const [, name = ""] of bytes.toString("utf8").matchAll(FIELDS)) yield name;
}
