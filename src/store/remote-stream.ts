/** An answer that is, or was, made by another replica, as this one's clients read it out of Redis. */
import type { Api } from "../core/exchange.ts";
import type { Failure } from "../core/failure.ts";
import type { RunClient } from "../run/journal.ts";
import { type KeptAnswer, type KeptEnd, type KeptFacts, type KeptState, lastWords, type ReadEnd } from "../run/kept-answer.ts";
import { textOf } from "../run/kept-text.ts";
import { makerLost } from "../run/takeover.ts";
import { type Entry, numberOf, readEnd, readEvent, readFacts } from "./kept-record.ts";
import type { RedisKeys } from "./redis-keys.ts";
import type { RedisLink } from "./redis-link.ts";
import { partLost, unreachable } from "./remote-failures.ts";
import { type More, RemoteReading, type Snapshot } from "./remote-reading.ts";

/** Seconds, and microseconds. */
type Time = readonly [string, string];
type Found = [meta: (string | null)[], lease: string | null, first: Entry[], last: Entry[], time: Time];

/** Where it is read from. */
interface Place {
  readonly link: RedisLink;
  readonly keys: RedisKeys;
  /** Goes on with it, where its maker has gone; undefined where no replica does. @returns whether it is made again, here or elsewhere */
  readonly takeOver: (() => Promise<boolean>) | undefined;
}

interface FoundAt extends Place {
  readonly quietMs: number;
  readonly seen: Snapshot;
  readonly replica: string;
  readonly hasOwner: boolean;
}

export class RemoteStream implements KeptAnswer {
  readonly id: string;
  readonly client: string;
  readonly request: string;
  readonly api: Api;
  readonly isPiped = false;
  /** Its maker. */
  #replica: string;
  /** Another replica may take it over. */
  readonly #hasOwner: boolean;
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #takeOver: Place["takeOver"];
  /** For how long it had been quiet when it was found, on the clock of the store; and when that was, on our own. */
  readonly #quiet: { readonly ms: number; readonly at: number };
  #seen: Snapshot;
  #first = 1;
  #last = 0;

  private constructor(id: string, facts: KeptFacts, at: FoundAt) {
    this.id = id;
    this.client = facts.client;
    this.request = facts.request;
    this.api = facts.api;
    this.#replica = at.replica;
    this.#hasOwner = at.hasOwner;
    this.#takeOver = at.takeOver;
    this.#link = at.link;
    this.#keys = at.keys;
    this.#quiet = { ms: at.quietMs, at: performance.now() };
    this.#seen = at.seen;
  }

  /** @returns undefined for one that the store does not have; throws where that cannot be known. */
  static async find(id: string, place: Place): Promise<RemoteStream | undefined> {
    const { link, keys } = place;
    const got = await link.attempt((redis) =>
      redis
        .multi()
        .hmget(keys.meta(id), "facts", "head", "end", "left", "last", "started", "replica", "owner")
        .get(keys.lease(id))
        .xrange(keys.events(id), "-", "+", "COUNT", 1)
        .xrevrange(keys.events(id), "+", "-", "COUNT", 1)
        .time()
        .exec(),
    );
    if (!got) throw unreachable();
    const [meta, lease, first, last, time] = got.map(([, value]) => value) as Found;
    const [text, head, end, left, of, started, replica, owner] = meta;
    const facts = text ? readFacts(text) : undefined;
    if (facts === undefined) return undefined;
    const seen = snapshotOf(head, end, of, lease);
    const quietMs = timeOf(time) - Math.max(Number(started ?? 0), Number(left ?? 0));
    const stream = new RemoteStream(id, facts, { ...place, quietMs, seen, replica: replica ?? "", hasOwner: Boolean(owner) });
    stream.#first = numberOf(first[0]) ?? 1;
    stream.#last = seen.last ?? numberOf(last[0]) ?? 0;
    return stream;
  }

  get isTaken(): boolean {
    return this.#seen.lease === "1";
  }

  get isOver(): boolean {
    return this.#seen.end !== undefined;
  }

  /** Its maker has gone, and it will not be made to its end. */
  get isLost(): boolean {
    return !this.isOver && this.#seen.lease === undefined;
  }

  get quietMs(): number {
    return this.#quiet.ms + performance.now() - this.#quiet.at;
  }

  get #lastNumber(): number {
    return this.#last + lastWords(this.#seen.end, this.api);
  }

  canGiveAfter(after: number): boolean {
    return after >= this.#first - 1 && after <= this.#lastNumber;
  }

  isLast(after: number): boolean {
    return this.isOver && this.#lastNumber > 0 && after >= this.#lastNumber;
  }

  read(client: RunClient, after: number, signal: AbortSignal): Promise<ReadEnd> {
    return new RemoteReading({
      client,
      after,
      signal,
      more: (number) => this.#more(number),
      onMore: (listener) => this.#link.subscribe(this.#keys.channel(this.id), listener),
      // Its maker has no other way to know that it does not make it in vain.
      onReading: () => this.#link.publish(this.#keys.replica(this.#replica), `read ${this.id}`),
      onLost: async () => (await this.#takeOver?.()) ?? false,
    }).ended;
  }

  async tell(): Promise<KeptState> {
    const got = await this.#more(0, Number.MAX_SAFE_INTEGER);
    if (got === undefined) throw unreachable();
    const { events, end, last } = got;
    const hasAll = events.length === 0 || events[0]?.number === 1;
    const reached = events.at(-1)?.number ?? 0;
    // Whoever reads it will have it go on.
    const isLost = this.isLost && !(this.#hasOwner && this.#takeOver !== undefined);
    const failure = failureOf(end, isLost, reached < (last ?? 0));
    return {
      state: failure ? "failed" : end === undefined ? "running" : "whole",
      characters: events.reduce((sum, { event }) => sum + (event.characters ?? 0), 0),
      events: reached + lastWords(end, this.api),
      last: reached + lastWords(end, this.api),
      text: hasAll ? textOf(this.api, events, end) : undefined,
      failure,
    };
  }

  async stop(): Promise<void> {
    this.#link.publish(this.#keys.replica(this.#replica), `stop ${this.id}`);
    await this.#link.attempt((redis) =>
      redis.del(this.#keys.meta(this.id), this.#keys.events(this.id), this.#keys.lease(this.id)),
    );
  }

  /** What follows event `number`, and how it stands, at one moment. Undefined where the store cannot be asked now. */
  async #more(number: number, count = 256): Promise<More | undefined> {
    const { id } = this;
    const got = await this.#link.attempt((redis) =>
      redis
        .multi()
        .hmget(this.#keys.meta(id), "head", "end", "facts", "last", "replica")
        .get(this.#keys.lease(id))
        .xrange(this.#keys.events(id), `(${number}-0`, "+", "COUNT", count)
        .exec(),
    );
    if (!got) return undefined;
    const [meta, lease, entries] = got.map(([, value]) => value) as [(string | null)[], string | null, Entry[]];
    this.#seen = snapshotOf(meta[0], meta[1], meta[3], lease);
    this.#replica = meta[4] ?? this.#replica;
    const events = entries.map((entry) => ({ number: numberOf(entry) ?? 0, ...readEvent(entry[1]) }));
    return { ...this.#seen, events, isGone: !meta[2] };
  }
}

function failureOf(end: KeptEnd | undefined, isLost: boolean, lacksSome: boolean): Failure | undefined {
  if (end === undefined) return isLost ? makerLost() : undefined;
  return end.kind === "failed" ? end.failure : lacksSome ? partLost() : undefined;
}

type Field = string | null | undefined;

function snapshotOf(head: Field, end: Field, last: Field, lease: Field): Snapshot {
  return {
    head: head ? JSON.parse(head) : undefined,
    end: end ? readEnd(end) : undefined,
    last: last ? Number(last) : undefined,
    lease: lease ?? undefined,
  };
}

/** Unix time in milliseconds, as the store has it: the clocks of two replicas may be minutes apart. */
function timeOf([seconds, micros]: Time): number {
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}
