/** Writes an answer that is made here into Redis as it comes, for clients that come back to another replica. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ReplyHeaders } from "../core/reply.ts";
import type { KeptEnd } from "../run/kept-answer.ts";
import type { KeptEvent } from "../run/kept-events.ts";
import type { KeptMirror, MirrorBreak } from "../run/kept-mirror.ts";
import type { MadeLeg } from "../run/takeover.ts";
import { writeEnd, writeEvent } from "./kept-record.ts";
import { DELETE_IF_SAME, FENCED, LEFT } from "./mirror-scripts.ts";
import type { RedisKeys } from "./redis-keys.ts";
import type { RedisLink } from "./redis-link.ts";

export interface RedisMirrorOptions {
  readonly link: RedisLink;
  readonly keys: RedisKeys;
  readonly id: string;
  /** The key that its request's name has, where it has one. */
  readonly nameKey: string | undefined;
  readonly ttlMs: number;
  /** Whose it is, where another replica may take it over: nothing is written once it is another's. */
  readonly owner?: string | undefined;
}

/** A maker that has said nothing for so long has gone; in milliseconds. */
export const LEASE_MS = 4_000;
/** What is still made does not expire between two signs of its maker's life, however short the time that answers are kept. */
export const LEAST_MS = 60_000;
/** How long those that read it may take to hear of a failure that is not kept. */
const TOLD_WITHIN_MS = 10_000;

/** For so long it is tried to find out whose an answer is. */
const MOST_TRIES = 10;
const TRY_EVERY_MS = 500;

interface Write {
  /** Of what is sent, about. */
  readonly bytes?: number;
  readonly how?: "quietly" | "told";
  readonly onWritten?: () => void;
}

export class RedisMirror implements KeptMirror {
  readonly #options: RedisMirrorOptions;
  /** `broken`: something could not be written, and what follows it is of no use. */
  #state: "making" | "over" | "broken" = "making";
  #onBroken: (why: MirrorBreak) => void = () => {};
  /** When the lease was last asked for that it has; see {@link now}. */
  #leasedAt = now();

  constructor(options: RedisMirrorOptions) {
    this.#options = options;
  }

  get isAhead(): boolean {
    return this.#options.owner !== undefined;
  }

  begin(headers: ReplyHeaders): void {
    this.#write([["hset", this.#meta, "head", JSON.stringify(headers)], this.#expire(this.#meta)]);
  }

  leg(legs: readonly MadeLeg[]): void {
    if (this.isAhead) this.#write([["hset", this.#meta, "legs", JSON.stringify(legs)]], { how: "quietly" });
  }

  append(events: readonly KeptEvent[], first: number, dropped: number, onWritten: () => void): void {
    const { keys, id } = this.#options;
    const entries = events.map(({ event, kind }, at) => ["xadd", keys.events(id), `${first + at}-0`, ...writeEvent(event, kind)]);
    const trim = dropped > 0 ? [["xtrim", keys.events(id), "MINID", `${dropped + 1}-0`]] : [];
    const bytes = events.reduce((sum, { event }) => sum + event.data.length, 0);
    // Who takes it over has to know whether all is there.
    const told = this.isAhead ? [["hset", this.#meta, "told", String(first + events.length - 1)]] : [];
    this.#write([...entries, ...told, ...trim, this.#expire(keys.events(id))], { bytes, onWritten });
  }

  end(end: KeptEnd, last: number, isKept: boolean, onWritten: () => void): void {
    const { keys, id, nameKey, ttlMs } = this.#options;
    const ms = String(isKept ? ttlMs : TOLD_WITHIN_MS);
    const text = writeEnd(end);
    this.#write(
      [
        // A server that is full for a moment may take this, and not the events before it.
        ["hset", this.#meta, "end", text, "last", String(last)],
        // Nobody has to ask again.
        ...(this.isAhead ? [["hdel", this.#meta, "asked", "legs"]] : []),
        ["pexpire", this.#meta, ms],
        ["pexpire", keys.events(id), ms],
        ["del", keys.lease(id)],
        ...(nameKey === undefined ? [] : [["pexpire", nameKey, ms]]),
      ],
      { bytes: text.length, onWritten },
    );
    if (this.#state === "making") this.#state = "over";
  }

  onBroken(listener: (why: MirrorBreak) => void): void {
    if (this.isAhead) this.#onBroken = listener;
  }

  left(): void {
    if (this.#state !== "making") return;
    const { link, owner = "" } = this.#options;
    void link.attempt((redis) => redis.eval(LEFT, 1, this.#meta, owner));
  }

  forgetName(): void {
    const { link, nameKey, id, owner = "" } = this.#options;
    if (nameKey !== undefined) void link.attempt((redis) => redis.eval(DELETE_IF_SAME, 2, nameKey, this.#meta, id, owner));
  }

  forget(): void {
    const { keys, id, link } = this.#options;
    this.#state = "over";
    this.forgetName();
    void this.#send([["del", this.#meta, keys.events(id), keys.lease(id)]]);
    link.publish(keys.channel(id), "");
  }

  /** Its maker lives. @param isTaken an upstream works on it */
  beat(isTaken: boolean): void {
    if (this.#state !== "making") return;
    const { keys, id, nameKey } = this.#options;
    const askedAt = now();
    this.#write(
      [
        ["set", keys.lease(id), isTaken ? "1" : "0", "PX", String(LEASE_MS)],
        this.#expire(this.#meta),
        this.#expire(keys.events(id)),
        ...(nameKey === undefined ? [] : [this.#expire(nameKey)]),
      ],
      {
        how: "quietly",
        onWritten: () => {
          this.#leasedAt = askedAt;
        },
      },
    );
  }

  get #meta(): string {
    return this.#options.keys.meta(this.#options.id);
  }

  /** Nothing stands there for ever, should its maker be killed at this moment. */
  #expire(key: string): string[] {
    return ["pexpire", key, String(Math.max(this.#options.ttlMs, LEAST_MS))];
  }

  #write(commands: string[][], { bytes = 0, how = "told", onWritten }: Write = {}): void {
    if (this.#state !== "making") return;
    const { keys, id } = this.#options;
    const all = how === "told" ? [...commands, ["publish", keys.channel(id), ""]] : commands;
    void this.#send(all, bytes).then((sent) => {
      if (sent === "written") {
        if (this.#state !== "broken" && this.isAhead) onWritten?.();
        return;
      }
      if (this.#state === "broken") return;
      this.#state = "broken";
      void this.#whyBroken(sent).then((why) => this.#onBroken(why));
    });
  }

  /** Where nothing can be written, another may have taken it over all the same, if this process has stood still: that is found out first. */
  async #whyBroken(sent: MirrorBreak): Promise<MirrorBreak> {
    const { link, owner } = this.#options;
    if (sent === "taken over" || owner === undefined || !mayHaveLapsed(this.#leasedAt)) return sent;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const whose = await link.attempt((redis) => redis.hget(this.#meta, "owner"));
      if (whose !== undefined) return whose !== null && whose !== owner ? "taken over" : "unwritten";
      await sleep(TRY_EVERY_MS, undefined, { ref: false });
    }
    return "unwritten";
  }

  async #send(commands: string[][], bytes = 0): Promise<"written" | MirrorBreak> {
    const { link, owner } = this.#options;
    if (owner === undefined)
      return (await link.attempt((redis) => redis.pipeline(commands).exec().then(throwFirst), bytes)) ?? "unwritten";
    const args = commands.flatMap((command) => [String(command.length), ...command]);
    const done = await link.attempt((redis) => redis.eval(FENCED, 1, this.#meta, owner, ...args), bytes);
    return done === 1 ? "written" : done === 0 ? "taken over" : "unwritten";
  }
}

/** On two clocks, in milliseconds: the one of spans stands still while some machines sleep, and the time of day can be set. */
function now(): { readonly span: number; readonly day: number } {
  return { span: performance.now(), day: Date.now() };
}

function mayHaveLapsed(since: ReturnType<typeof now>): boolean {
  const { span, day } = now();
  return Math.max(span - since.span, day - since.day) >= LEASE_MS;
}

function throwFirst(results: [error: Error | null, result: unknown][] | null): "written" {
  const failed = results?.find(([error]) => error !== null)?.[0];
  if (failed) throw failed;
  return "written";
}
