/** Writes an answer that is made here into Redis as it comes, for clients that come back to another replica. */
import type { ReplyHeaders } from "../core/reply.ts";
import type { KeptEnd } from "../run/kept-answer.ts";
import type { KeptEvent } from "../run/kept-events.ts";
import type { KeptMirror } from "../run/kept-mirror.ts";
import { writeEnd, writeEvent } from "./kept-record.ts";
import type { RedisKeys } from "./redis-keys.ts";
import type { RedisLink } from "./redis-link.ts";

export interface RedisMirrorOptions {
  readonly link: RedisLink;
  readonly keys: RedisKeys;
  readonly id: string;
  /** The key that its request's name has, where it has one. */
  readonly nameKey: string | undefined;
  readonly ttlMs: number;
}

/** A maker that has said nothing for so long has gone; in milliseconds. */
export const LEASE_MS = 4_000;
/** What is still made does not expire between two signs of its maker's life, however short the time that answers are kept. */
const LEAST_MS = 60_000;
/** How long those that read it may take to hear of a failure that is not kept. */
const TOLD_WITHIN_MS = 10_000;

/** Deletes a key only where it has this value. */
export const DELETE_IF_SAME = 'if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0';

/** Its last client has left, on the one clock that all replicas see. */
const LEFT = `
local time = redis.call("TIME")
redis.call("HSET", KEYS[1], "left", time[1] * 1000 + math.floor(time[2] / 1000))`;

export class RedisMirror implements KeptMirror {
  readonly #options: RedisMirrorOptions;
  /** `broken`: something could not be written, and what follows it is of no use. */
  #state: "making" | "over" | "broken" = "making";

  constructor(options: RedisMirrorOptions) {
    this.#options = options;
  }

  begin(headers: ReplyHeaders): void {
    this.#write([["hset", this.#meta, "head", JSON.stringify(headers)], this.#expire(this.#meta)]);
  }

  append(events: readonly KeptEvent[], first: number, dropped: number): void {
    const { keys, id } = this.#options;
    const entries = events.map(({ event, kind }, at) => ["xadd", keys.events(id), `${first + at}-0`, ...writeEvent(event, kind)]);
    const trim = dropped > 0 ? [["xtrim", keys.events(id), "MINID", `${dropped + 1}-0`]] : [];
    this.#write(
      [...entries, ...trim, this.#expire(keys.events(id))],
      events.reduce((sum, { event }) => sum + event.data.length, 0),
    );
  }

  end(end: KeptEnd, last: number, isKept: boolean): void {
    const { keys, id, nameKey, ttlMs } = this.#options;
    const ms = String(isKept ? ttlMs : TOLD_WITHIN_MS);
    const text = writeEnd(end);
    this.#write(
      [
        // A server that is full for a moment may take this, and not the events before it.
        ["hset", this.#meta, "end", text, "last", String(last)],
        ["pexpire", this.#meta, ms],
        ["pexpire", keys.events(id), ms],
        ["del", keys.lease(id)],
        ...(nameKey === undefined ? [] : [["pexpire", nameKey, ms]]),
      ],
      text.length,
    );
    if (this.#state === "making") this.#state = "over";
  }

  left(): void {
    this.#write([["eval", LEFT, "1", this.#meta], this.#expire(this.#meta)]);
  }

  forgetName(): void {
    const { link, nameKey, id } = this.#options;
    if (nameKey !== undefined) void link.attempt((redis) => redis.eval(DELETE_IF_SAME, 1, nameKey, id));
  }

  forget(): void {
    const { keys, id, link } = this.#options;
    this.#state = "over";
    void link.attempt((redis) => redis.del(this.#meta, keys.events(id), keys.lease(id)));
    this.forgetName();
    link.publish(keys.channel(id), "");
  }

  /** Its maker lives. @param isTaken an upstream works on it */
  beat(isTaken: boolean): void {
    if (this.#state !== "making") return;
    const { keys, id, nameKey } = this.#options;
    this.#write(
      [
        ["set", keys.lease(id), isTaken ? "1" : "0", "PX", String(LEASE_MS)],
        this.#expire(this.#meta),
        this.#expire(keys.events(id)),
        ...(nameKey === undefined ? [] : [this.#expire(nameKey)]),
      ],
      0,
      "quietly",
    );
  }

  get #meta(): string {
    return this.#options.keys.meta(this.#options.id);
  }

  /** Nothing stands there for ever, should its maker be killed at this moment. */
  #expire(key: string): string[] {
    return ["pexpire", key, String(Math.max(this.#options.ttlMs, LEAST_MS))];
  }

  #write(commands: string[][], bytes = 0, how: "quietly" | "told" = "told"): void {
    if (this.#state !== "making") return;
    const { link, keys, id } = this.#options;
    const all = how === "told" ? [...commands, ["publish", keys.channel(id), ""]] : commands;
    const written = link.attempt(async (redis) => {
      const results = await redis.pipeline(all).exec();
      const failed = results?.find(([error]) => error !== null)?.[0];
      if (failed) throw failed;
      return true;
    }, bytes);
    void written.then((isWritten) => {
      if (isWritten === undefined) this.#state = "broken";
    });
  }
}
