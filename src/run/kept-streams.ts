/** The answers that are kept in memory: found by id, or by the request that asked for them, until there is no time or room for them. */
import { randomBytes } from "node:crypto";
import { Failure } from "../core/failure.ts";
import type { HeldMemory, HeldShare } from "../core/held-memory.ts";
import type { KeptFacts } from "./kept-answer.ts";
import type { KeptPast } from "./kept-content.ts";
import type { KeptMirror } from "./kept-mirror.ts";
import { KeptStream } from "./kept-stream.ts";
import type { Claim, KeepOptions, RequestName, StreamStore } from "./stream-store.ts";

/** An answer that is kept for other processes, too. */
interface Shared {
  readonly id: string;
  readonly mirror: KeptMirror;
  /** What was made of it before, elsewhere. */
  readonly past?: KeptPast | undefined;
}

interface Kept {
  readonly stream: KeptStream;
  readonly name: string | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** 128 bits. */
const ID_BYTES = 16;

export class KeptStreams implements StreamStore {
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

  async claim(facts: KeptFacts, options: KeepOptions, name: RequestName | undefined): Promise<Claim> {
    const known = name && this.findNamed(name);
    if (name !== undefined && known !== undefined && name.mayJoin(known)) return { kind: "known", stream: known };
    return { kind: "new", stream: this.open(facts, options, name) };
  }

  /**
   * An answer that is about to be made.
   * @param name takes the place of whatever had that name.
   * @param shared where it is kept for others as well.
   */
  open(facts: KeptFacts, options: KeepOptions, name?: Pick<RequestName, "kind" | "value">, shared?: Shared): KeptStream {
    this.#maxTotalBytes = options.maxTotalBytes;
    const stream = new KeptStream({
      ...facts,
      id: shared?.id ?? newStreamId(),
      mirror: shared?.mirror,
      past: shared?.past,
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

  async find(id: string): Promise<KeptStream | undefined> {
    return this.here(id);
  }

  here(id: string): KeptStream | undefined {
    return this.#byId.get(id)?.stream;
  }

  /** Those that are kept at this moment. */
  get all(): Iterable<KeptStream> {
    return [...this.#byId.values()].map(({ stream }) => stream);
  }

  findNamed(name: Pick<RequestName, "kind" | "value">): KeptStream | undefined {
    return this.#byName.get(nameOf(name))?.stream;
  }

  /** No client can come back any more: what runs for none ends, and what its last client leaves ends with it. */
  drain(): void {
    this.#isDraining = true;
    const failure = new Failure("client_gone", "the client left, and Perennial is shutting down");
    for (const { stream } of this.#byId.values()) stream.lingersNoMore(failure);
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
    if (hasFailed && (!stream.isBegun || end.failure.code === "client_gone")) {
      this.#forgetName(kept);
      stream.mirror?.forgetName();
    }
    const isKept = this.#byId.has(stream.id) && stream.isWorthKeeping;
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
      if (kept.stream.hasReaders) continue;
      this.#forget(kept);
      kept.stream.mirror?.forget();
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

export function newStreamId(): string {
  return randomBytes(ID_BYTES).toString("hex");
}

export function nameOf({ kind, value }: Pick<RequestName, "kind" | "value">): string {
  return `${kind} ${value}`;
}
