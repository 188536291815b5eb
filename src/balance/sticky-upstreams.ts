/** Which upstream made what clients come back for: a response, a file, a batch. Another one would not know it. */
import type { ExchangeRequest } from "../core/exchange.ts";
import type { Candidate } from "./candidate.ts";

/** Clients may make any number of things; the newest are the ones that are asked for. */
const MAX_KEPT = 10_000;
/** Longer names are none. */
const MAX_NAME_LENGTH = 200;

/** Where a request names what an upstream has made: in its path, and in these fields of its body. */
const FIELDS =
  /"(?:previous_response_id|conversation|file_id|input_file_id|training_file|container|batch_id|assistant_id|thread_id|vector_store_id)"\s*:\s*(?:\{\s*"id"\s*:\s*)?"([^"\\]{1,200})"/g;

export class StickyUpstreams {
  /** The names of upstreams, by what they made. */
  readonly #makers = new Map<string, string>();

  remember(made: string, upstream: string): void {
    if (made === "" || made.length > MAX_NAME_LENGTH) return;
    this.#makers.delete(made);
    const [oldest] = this.#makers.keys();
    if (oldest !== undefined && this.#makers.size >= MAX_KEPT) this.#makers.delete(oldest);
    this.#makers.set(made, upstream);
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
