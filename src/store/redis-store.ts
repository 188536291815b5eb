/** Answers kept for every replica: those made here in memory, and in Redis as well; those of others out of it. */
import { randomUUID } from "node:crypto";
import type { KeptAnswer, KeptFacts } from "../run/kept-answer.ts";
import { type KeptStreams, nameOf, newStreamId } from "../run/kept-streams.ts";
import type { Claim, KeepOptions, RequestName, StreamStore } from "../run/stream-store.ts";
import type { StoredRequest, Successor } from "../run/takeover.ts";
import { writeFacts } from "./kept-record.ts";
import { CLAIM } from "./mirror-scripts.ts";
import { createKeys, type RedisKeys } from "./redis-keys.ts";
import { RedisLink } from "./redis-link.ts";
import { LEASE_MS, RedisMirror } from "./redis-mirror.ts";
import { RedisRates } from "./redis-rates.ts";
import { RemoteStream } from "./remote-stream.ts";
import { Takeovers } from "./takeovers.ts";

export interface RedisStoreOptions {
  readonly url: string;
  /** The authorities that are trusted for it, PEM; undefined for the well-known ones. */
  readonly ca?: string | undefined;
  /** Of every key. */
  readonly prefix: string;
  /** Where what is made here is kept first of all. */
  readonly local: KeptStreams;
  /** Goes on with answers whose makers have gone; undefined where no replica does. */
  readonly successor?: Successor | undefined;
  onChange(isUp: boolean, reason: string): void;
  onRefusal(reason: string): void;
}

const BEAT_MS = 1_000;
/** A client elsewhere that has said that it reads, every second, is believed for so long. */
const READING_MS = 5_000;
/** Before its first beat. */
const FIRST_MS = 60_000;

export class RedisStore implements StreamStore {
  readonly #local: KeptStreams;
  /** The rate limits that all replicas count together. */
  readonly rates: RedisRates;
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #replica = randomUUID();
  /** Undefined where no replica goes on with what another has begun. */
  readonly #takeovers: Takeovers | undefined;
  readonly #beats: NodeJS.Timeout;

  constructor({ url, ca, prefix, local, successor, onChange, onRefusal }: RedisStoreOptions) {
    this.#local = local;
    this.#keys = createKeys(prefix);
    this.#link = new RedisLink({ url, ca, onChange, onRefusal });
    this.rates = new RedisRates(this.#link, this.#keys);
    const at = { link: this.#link, keys: this.#keys, replica: this.#replica, local };
    this.#takeovers = successor && new Takeovers({ ...at, successor, readingMs: READING_MS });
    this.#link.subscribe(this.#keys.replica(this.#replica), (message) => this.#onMessage(message));
    this.#beats = setInterval(() => this.#beat(), BEAT_MS).unref();
  }

  open(): Promise<void> {
    return this.#link.open();
  }

  get isUp(): boolean {
    return this.#link.isUp;
  }

  async find(id: string): Promise<KeptAnswer | undefined> {
    return this.#local.here(id) ?? (await this.#findRemote(id));
  }

  async claim(
    facts: KeptFacts,
    options: KeepOptions,
    name: RequestName | undefined,
    askedFor: () => StoredRequest | undefined,
  ): Promise<Claim> {
    if (!this.#link.isUp) return this.#local.claim(facts, options, name);
    const here = name && this.#local.findNamed(name);
    if (name !== undefined && here !== undefined && name.mayJoin(here)) return { kind: "known", stream: here };
    const id = newStreamId();
    const asked = this.#takeovers && askedFor();
    const owner = asked && randomUUID();
    const known = await this.#claimName(id, facts, name, owner && { owner, asked });
    if (known === "not done") return this.#local.claim(facts, options, name);
    if (known !== undefined) return { kind: "known", stream: known };
    const nameKey = name && this.#keys.name(nameOf(name));
    const mirror = new RedisMirror({ link: this.#link, keys: this.#keys, id, nameKey, ttlMs: options.ttl, owner });
    return { kind: "new", stream: this.#local.open(facts, options, name, { id, mirror }) };
  }

  close(): Promise<void> {
    clearInterval(this.#beats);
    this.rates.close();
    return this.#link.close();
  }

  /** @returns the answer that has the name; undefined when the new one has it. */
  async #claimName(
    id: string,
    facts: KeptFacts,
    name: RequestName | undefined,
    owned: { readonly owner: string; readonly asked: StoredRequest | undefined } | undefined,
  ): Promise<KeptAnswer | "not done" | undefined> {
    const text = writeFacts(facts);
    const asked = owned === undefined ? "" : JSON.stringify(owned.asked);
    const nameKey = name === undefined ? this.#keys.name(id) : this.#keys.name(nameOf(name));
    let unwanted = "";
    // Another may take the name in between.
    for (let tries = 0; tries < 3; tries++) {
      const keys = [nameKey, this.#keys.meta(id), this.#keys.lease(id)];
      const made = [id, unwanted, text, this.#replica, String(FIRST_MS), String(LEASE_MS)];
      const more = [owned?.owner ?? "", asked, name === undefined ? "" : nameKey];
      const known = await this.#link.attempt((redis) => redis.eval(CLAIM, 3, ...keys, ...made, ...more), asked.length);
      if (known === undefined) return "not done";
      if (known === null) return undefined;
      const stream = await this.#usable(String(known), name);
      if (stream !== undefined) return stream;
      unwanted = String(known);
    }
    return "not done";
  }

  #findRemote(id: string): Promise<RemoteStream | undefined> {
    return RemoteStream.find(id, { link: this.#link, keys: this.#keys, takeOver: this.#takeovers && (() => this.#takeOver(id)) });
  }

  async #takeOver(id: string): Promise<boolean> {
    return (await this.#takeovers?.take(id)) ?? false;
  }

  async #usable(id: string, name: RequestName | undefined): Promise<KeptAnswer | undefined> {
    const found = await this.find(id).catch(() => undefined);
    const isLost = found instanceof RemoteStream && found.isLost;
    if (isLost && !(await this.#takeOver(id))) return undefined;
    const stream = isLost ? await this.find(id).catch(() => undefined) : found;
    return stream !== undefined && name?.mayJoin(stream) ? stream : undefined;
  }

  #beat(): void {
    for (const { mirror, isTaken, isOver } of this.#local.all) if (!isOver && mirror instanceof RedisMirror) mirror.beat(isTaken);
  }

  #onMessage(message: string): void {
    const [what, id = ""] = message.split(" ");
    const stream = this.#local.here(id);
    if (what === "read") stream?.readElsewhere(READING_MS);
    if (what === "stop") void stream?.stop();
  }
}
