/** The answers that are kept in memory: found by id, or by the request that asked for them, until there is no time or room for them. */
import { randomBytes } from "node:crypto";
import { Failure } from "../core/failure.ts";
import type { HeldMemory, HeldShare } from "../core/held-memory.ts";
import type { KeptFacts } from "./kept-answer.ts";
import { KeptStream } from "./kept-stream.ts";

/** Times in milliseconds, sizes in bytes. */
export interface KeepOptions {
  /** How long an answer is kept when it is over. */
  readonly ttl: number;
  readonly linger: number;
  readonly maxStreamBytes: number;
  /** Of all that is kept. */
  readonly maxTotalBytes: number;
}

/** By what a request that was made before is known again. */
export type RequestName = { readonly kind: "idempotency-key" | "retry"; readonly value: string };

interface Kept {
  readonly stream: KeptStream;
  readonly name: string | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** 128 bits. */
const ID_BYTES = 16;

export class KeptStreams {
  readonly #byId = new Map<string, Kept>();
  readonly #byName = new Map<string, Kept>();
  /** Those that are over, the one that has been so for longest first. */
  readonly #over = new Set<Kept>();
  readonly #share: HeldShare;
  #maxTotalBytes = 0;
  #isDraining = false;

  constructor(held: HeldMemory) {
    this.#share = held.open();
    held.onShortage((bytes) => this.#free(bytes, "all"));
  }

  /** How many are kept, those that are still made included. */
  get size(): number {
    return this.#byId.size;
  }

  get bytes(): number {
    return this.#share.bytes;
  }

  /** An answer that is about to be made. @param name takes the place of whatever had that name. */
  open(facts: KeptFacts, options: KeepOptions, name?: RequestName): KeptStream {
    this.#maxTotalBytes = options.maxTotalBytes;
    const stream = new KeptStream({
      ...facts,
      id: randomBytes(ID_BYTES).toString("hex"),
      lingerMs: this.#isDraining ? 0 : options.linger,
      maxBytes: Math.min(options.maxStreamBytes, options.maxTotalBytes),
      onBytes: (change) => this.#count(kept, change),
      onOver: () => this.#onOver(kept, options.ttl),
      onRead: () => this.#discardUnread(kept),
      onStopped: () => this.#forget(kept),
    });
    const kept: Kept = { stream, name: name && nameOf(name), timer: undefined };
    this.#byId.set(stream.id, kept);
    if (kept.name !== undefined) this.#byName.set(kept.name, kept);
    return stream;
  }

  find(id: string): KeptStream | undefined {
    return this.#byId.get(id)?.stream;
  }

  findNamed(name: RequestName): KeptStream | undefined {
    return this.#byName.get(nameOf(name))?.stream;
  }

  /** No client can come back any more: what runs for none ends, and what its last client leaves ends with it. */
  drain(): void {
    this.#isDraining = true;
    for (const { stream } of this.#byId.values()) {
      stream.lingersNoMore();
      stream.giveUp(new Failure("client_gone", "the client left, and Perennial is shutting down"));
    }
  }

  /** Nothing is kept for longer, where replay was turned off. */
  clear(): void {
    for (const kept of [...this.#over]) this.#forget(kept);
  }

  #onOver(kept: Kept, ttlMs: number): void {
    const { stream } = kept;
    const { end } = stream;
    const hasFailed = end?.kind === "failed";
    // Who asks again is to get an answer, not the end of one that nobody waited for; what never began can be begun anew.
    if (hasFailed && (!stream.isBegun || end.failure.code === "client_gone")) this.#forgetName(kept);
    const isKept = this.#byId.has(stream.id) && !stream.isPiped && !(hasFailed && !stream.isBegun);
    if (!isKept) {
      this.#forget(kept);
      return;
    }
    this.#over.add(kept);
    kept.timer = setTimeout(() => this.#forget(kept), ttlMs).unref();
    this.#free(this.bytes - this.#maxTotalBytes, "unread");
  }

  #count(kept: Kept, change: number): void {
    this.#share.add(change);
    const surplus = this.bytes - this.#maxTotalBytes;
    if (change <= 0 || surplus <= 0) return;
    const left = surplus - this.#free(surplus, "unread");
    // All the others are being made, or read: it makes room by itself.
    if (left > 0 && !kept.stream.isOver) kept.stream.shrinkTo(Math.max(0, kept.stream.bytes - left));
  }

  /**
   * The answers that have been over for longest go first.
   * @param which only those that nobody reads; or as well, of those that run, what every reader has.
   * @returns how many bytes were freed.
   */
  #free(bytes: number, which: "unread" | "all"): number {
    const before = this.bytes;
    const freed = (): number => before - this.bytes;
    for (const kept of this.#over) {
      if (freed() >= bytes) return freed();
      if (!kept.stream.hasReaders) this.#forget(kept);
    }
    if (which === "unread") return freed();
    for (const { stream } of this.#byId.values()) {
      if (freed() >= bytes) break;
      stream.forgetRead();
    }
    return freed();
  }

  #forget(kept: Kept): void {
    clearTimeout(kept.timer);
    this.#byId.delete(kept.stream.id);
    this.#over.delete(kept);
    this.#forgetName(kept);
    this.#discardUnread(kept);
  }

  #forgetName(kept: Kept): void {
    // Another may have it by now.
    if (kept.name !== undefined && this.#byName.get(kept.name) === kept) this.#byName.delete(kept.name);
  }

  /** What is still being made, or read, counts until it is not. */
  #discardUnread({ stream }: Kept): void {
    if (!this.#byId.has(stream.id) && stream.isOver && !stream.hasReaders) stream.discard();
  }
}

function nameOf({ kind, value }: RequestName): string {
  return `${kind} ${value}`;
}
