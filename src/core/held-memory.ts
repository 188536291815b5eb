/** The memory that is held for clients, summed over all who hold some, and what happens when there is no room for more. */
import { Failure } from "./failure.ts";
import { LinkedList } from "./linked-list.ts";
import { type StreamEvent, wireBytes } from "./stream-event.ts";

/** Who can give back what a share counts. */
export interface Holder {
  /** Ends what holds it; the share is released in the course of that, soon. */
  evict?(failure: Failure): void;
  /** Its request has not begun to be served: it is turned away before any that runs is. @defaultValue false */
  readonly isNewcomer?: boolean;
}

export interface HeldShare {
  readonly bytes: number;
  /** @param bytes more than before, or fewer when negative. */
  add(bytes: number): void;
  /** So much is held now, whatever it was before. */
  set(bytes: number): void;
  /** What is called to hand on what is held; it may hand on less. @returns what ends that. */
  onPressure(relieve: () => void): () => void;
  /** All of it is gone, and no more is counted. */
  release(): void;
}

export class HeldMemory {
  /** `limits.maxHeldBytes`; a new configuration may change it. */
  maxBytes: number;
  #bytes = 0;
  readonly #shares = new LinkedList<Share>();
  #isChecking = false;
  /** What has been handed on to clients, and will be gone as soon as they have read it. */
  #handedOn = 0;

  readonly #spares: ((bytes: number) => void)[] = [];

  constructor(maxBytes = Number.POSITIVE_INFINITY) {
    this.maxBytes = maxBytes;
  }

  /** Held at this moment. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A share that starts empty; its holder must release it at the end. */
  open(holder: Holder = {}): HeldShare {
    const share = new Share(holder, {
      count: (bytes) => this.#count(bytes),
      forget: () => place.remove(),
    });
    const place = this.#shares.add(share);
    return share;
  }

  /** What is only kept in case it is asked for goes before anything that is in use. @param free frees so many bytes, or all it can. */
  onShortage(free: (bytes: number) => void): void {
    this.#spares.push(free);
  }

  /**
   * For a request that has not begun to be served: larger ones like it are turned away before it.
   * @throws Failure `overloaded` where there is no room for so many bytes more, so that nothing that runs must go for them.
   */
  admit(bytes: number, share?: HeldShare): void {
    const size = (share?.bytes ?? 0) + bytes;
    this.#freeSpares(this.#bytes + bytes - this.maxBytes);
    const exceeds = (): boolean => this.#bytes + bytes > this.maxBytes;
    // All shares are looked through only where there is no room: this is asked for each piece of every body.
    while (exceeds() && this.#bytes + bytes - this.#leavingBytes() > this.maxBytes) {
      const largest = this.#largest((other) => other.holder.isNewcomer === true && other !== share && other.bytes > size);
      if (largest === undefined) throw this.#overloaded("Perennial holds as much as it may (limits.maxHeldBytes)");
      this.#evict(largest);
    }
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (bytes > 0) this.#check();
  }

  #check(): void {
    if (this.#bytes <= this.maxBytes || this.#isChecking) return;
    this.#isChecking = true;
    // Not in the middle of a read, whose end would then find its attempt gone.
    queueMicrotask(() => this.#makeRoom(new Set()));
  }

  #freeSpares(bytes: number): void {
    if (bytes > 0) for (const free of this.#spares) free(bytes);
  }

  /** The largest first: it hands on what it holds, or else it ends. */
  #makeRoom(relieved: Set<Share>): void {
    this.#freeSpares(this.#bytes - this.maxBytes);
    while (this.#bytes - this.#leavingBytes() - this.#handedOn > this.maxBytes) {
      const largest = this.#largest(() => true);
      if (largest === undefined) break;
      if (!relieved.has(largest) && largest.canRelieve) {
        this.#relieve(largest, relieved);
        return;
      }
      this.#evict(largest);
    }
    this.#isChecking = false;
  }

  #relieve(share: Share, relieved: Set<Share>): void {
    const before = { own: share.bytes, all: this.#bytes };
    relieved.add(share);
    share.relieve();
    // Clients' streams write what they are given in a microtask, and only then is it counted again.
    queueMicrotask(() => {
      this.#countHandedOn(share, before);
      this.#makeRoom(relieved);
    });
  }

  /** What has changed hands, from the gate to the client's socket. */
  #countHandedOn(share: Share, before: { readonly own: number; readonly all: number }): void {
    this.#handedOn += Math.max(0, before.own - share.bytes - (before.all - this.#bytes));
    const timer = setTimeout(() => {
      this.#handedOn = 0;
      this.#check();
    }, READ_WITHIN_MS);
    timer.unref();
  }

  #evict(share: Share): void {
    share.isLeaving = true;
    share.holder.evict?.(
      this.#overloaded("Perennial held too much for all of its clients (limits.maxHeldBytes), and most for this one"),
    );
  }

  #largest(mayGo: (share: Share) => boolean): Share | undefined {
    let largest: Share | undefined;
    for (const share of this.#shares.values()) {
      const isLarger = share.bytes > (largest?.bytes ?? 0);
      if (isLarger && !share.isLeaving && share.holder.evict !== undefined && mayGo(share)) largest = share;
    }
    return largest;
  }

  /** What those hold that have been told to go. */
  #leavingBytes(): number {
    let bytes = 0;
    for (const share of this.#shares.values()) if (share.isLeaving) bytes += share.bytes;
    return bytes;
  }

  #overloaded(what: string): Failure {
    return new Failure("overloaded", `${what}. Send the request again in a moment.`, { retryAfterMs: RETRY_AFTER_MS });
  }
}

/** Most of what is held is gone in a moment. */
const RETRY_AFTER_MS = 1_000;

/** How long a client may take to read what it was handed because there was no room for it. */
const READ_WITHIN_MS = 1_000;

const NOBODY: readonly (() => void)[] = [];

class Share implements HeldShare {
  readonly holder: Holder;
  bytes = 0;
  isLeaving = false;
  readonly #memory: { count(bytes: number): void; forget(): void };
  #relievers: readonly (() => void)[] = NOBODY;
  #isOver = false;

  constructor(holder: Holder, memory: { count(bytes: number): void; forget(): void }) {
    this.holder = holder;
    this.#memory = memory;
  }

  get canRelieve(): boolean {
    return this.#relievers.length > 0;
  }

  relieve(): void {
    // The station that is last on the way came first: what the one before it hands on must find it as it was.
    for (const relieve of this.#relievers.toReversed()) relieve();
  }

  add(bytes: number): void {
    if (this.#isOver) return;
    this.bytes += bytes;
    this.#memory.count(bytes);
  }

  set(bytes: number): void {
    if (bytes !== this.bytes) this.add(bytes - this.bytes);
  }

  onPressure(relieve: () => void): () => void {
    this.#relievers = [...this.#relievers, relieve];
    return () => {
      this.#relievers = this.#relievers.filter((other) => other !== relieve);
    };
  }

  release(): void {
    this.set(0);
    this.#isOver = true;
    this.#relievers = NOBODY;
    this.#memory.forget();
  }
}

/** What an event costs beside its text: the object, its place in a list, the string's own head. */
const EVENT_BYTES = 128;

/** What an event costs while it is held, about: of short ones most is not text. */
export function heldBytes(event: StreamEvent): number {
  return wireBytes(event) + EVENT_BYTES;
}

/** The same event, on its own: its text is a part of all that was read with it, which it would keep. */
export function detached(event: StreamEvent): StreamEvent {
  return { event: event.event, data: Buffer.from(event.data).toString(), characters: event.characters };
}
