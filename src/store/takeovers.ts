/** Goes on with answers whose makers have gone: claims each for this replica, and has it made from where its clients are. */
import { randomUUID } from "node:crypto";
import type { KeptStreams } from "../run/kept-streams.ts";
import type { MadeLeg, Place, StoredRequest, Successor } from "../run/takeover.ts";
import { type Entry, numberOf, readEvent, readFacts } from "./kept-record.ts";
import { TAKE_OVER } from "./mirror-scripts.ts";
import type { RedisKeys } from "./redis-keys.ts";
import type { RedisLink } from "./redis-link.ts";
import { LEASE_MS, LEAST_MS, RedisMirror } from "./redis-mirror.ts";

export interface TakeoversOptions {
  readonly link: RedisLink;
  readonly keys: RedisKeys;
  readonly local: KeptStreams;
  /** This one's name. */
  readonly replica: string;
  readonly successor: Successor;
  /** How long a client that reads is believed in, in milliseconds. */
  readonly readingMs: number;
}

/** Of one answer: a request that ends whoever makes it is not handed on for ever. */
const MOST = 2;

type Text = string | null;
type Got = [facts: string, asked: string, legs: Text, head: Text, name: Text, told: Text, entries: Entry[]];

export class Takeovers {
  readonly #options: TakeoversOptions;
  /** Those that are being claimed: several clients may notice at once. */
  readonly #claims = new Map<string, Promise<boolean>>();

  constructor(options: TakeoversOptions) {
    this.#options = options;
  }

  /** Never rejects. @returns whether the answer is made again, or over: here, or by another replica that was faster. */
  take(id: string): Promise<boolean> {
    const known = this.#claims.get(id);
    if (known !== undefined) return known;
    // What another version has written is perhaps none that this one can read.
    const claim = this.#claim(id)
      .catch(() => false)
      .finally(() => this.#claims.delete(id));
    this.#claims.set(id, claim);
    return claim;
  }

  async #claim(id: string): Promise<boolean> {
    const { link, keys, replica, successor, local } = this.#options;
    if (local.here(id) !== undefined) return true;
    // Before it is claimed: what is claimed must be made.
    const place = await successor();
    if (place === undefined) return false;
    const owner = randomUUID();
    const all = [keys.meta(id), keys.lease(id), keys.events(id)];
    const args = [owner, replica, String(LEASE_MS), String(MOST), String(LEAST_MS)];
    let isBegun = false;
    try {
      const got = await link.attempt((redis) => redis.eval(TAKE_OVER, 3, ...all, ...args));
      isBegun = Array.isArray(got) && this.#begin(id, owner, got as Got, place);
      return isBegun || got === "made";
    } finally {
      if (!isBegun) place.release();
    }
  }

  #begin(id: string, owner: string, [text, asked, legsText, head, name, last, entries]: Got, place: Place): boolean {
    const { link, keys, local, readingMs } = this.#options;
    const facts = readFacts(text);
    if (facts === undefined) return false;
    const request: StoredRequest = JSON.parse(asked);
    const told = Number(last ?? 0);
    const first = numberOf(entries[0]) ?? told + 1;
    const isCut = first > 1 || (numberOf(entries.at(-1)) ?? 0) !== told;
    const legs: MadeLeg[] = legsText ? JSON.parse(legsText) : [];
    const mirror = new RedisMirror({ link, keys, id, nameKey: name || undefined, ttlMs: place.keep.ttl, owner });
    const events = entries.map(([, fields]) => readEvent(fields));
    const past = { head: head ? JSON.parse(head) : undefined, legs, first, events };
    const stream = local.open(facts, place.keep, undefined, { id, mirror, past });
    stream.madeForOthers(readingMs);
    place.begin({ stream, request, legs, isCut });
    return true;
  }
}
