/** One client's reading of an answer that another replica makes: told that there is more, and asking for itself every second. */
import type { EventKind } from "../core/event-sink.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { RunClient } from "../run/journal.ts";
import type { KeptEnd, ReadEnd } from "../run/kept-answer.ts";
import { makerLost } from "../run/takeover.ts";
import { partLost, unreachable } from "./remote-failures.ts";

/** What the store has of a stream at one moment. */
export interface Snapshot {
  readonly head: ReplyHeaders | undefined;
  readonly end: KeptEnd | undefined;
  /** The number of its last event, once it is over. */
  readonly last: number | undefined;
  /** Undefined where its maker has gone. */
  readonly lease: string | undefined;
}

export interface NumberedEvent {
  readonly number: number;
  readonly event: StreamEvent;
  readonly kind: EventKind;
}

export interface More extends Snapshot {
  readonly events: readonly NumberedEvent[];
  /** It was forgotten. */
  readonly isGone: boolean;
}

export interface RemoteReadingOptions {
  readonly client: RunClient;
  readonly after: number;
  readonly signal: AbortSignal;
  /** What follows an event; undefined where the store cannot be asked now. */
  more(number: number): Promise<More | undefined>;
  /** @returns what ends it. */
  onMore(listener: () => void): () => void;
  /** It reads still; called every second. */
  onReading(): void;
  /** Its maker has gone. @returns whether it is made again, by this replica or another */
  onLost(): Promise<boolean>;
}

const TICK_MS = 1_000;
/** A store that is away for longer than this ends the reading. */
const AWAY_MS = 5_000;
/** A lease that lapses between two of its renewals is no sign yet. */
const LOST_AFTER_TICKS = 2;
/** How often it is looked whether an answer is over that its client does not take. */
const LOOK_AFTER_TICKS = 10;

export class RemoteReading {
  readonly ended: Promise<ReadEnd>;
  readonly #options: RemoteReadingOptions;
  #settle: (end: ReadEnd) => void = () => {};
  #state: "idle" | "asking" | "to ask again" | "blocked" | "over" = "idle";
  #cursor: number;
  #lastEvent: StreamEvent | undefined;
  #isBegun = false;
  #answeredAt = performance.now();
  #ticksLost = 0;
  #ticksBlocked = 0;

  constructor(options: RemoteReadingOptions) {
    this.#options = options;
    this.#cursor = options.after;
    const { client, signal } = options;
    const onAbort = (): void => this.#leave(toFailure(signal.reason));
    const timer = setInterval(() => this.#tick(), TICK_MS);
    const stopListening = options.onMore(() => this.#ask());
    const stopDraining = client.onDrain(() => this.#drained());
    this.ended = new Promise((resolve) => {
      this.#settle = (end) => {
        if (this.#state === "over") return;
        this.#state = "over";
        clearInterval(timer);
        stopListening();
        stopDraining();
        signal.removeEventListener("abort", onAbort);
        resolve(end);
      };
    });
    signal.addEventListener("abort", onAbort);
    options.onReading();
    if (signal.aborted) onAbort();
    else this.#ask();
  }

  #tick(): void {
    this.#options.onReading();
    if (this.#state !== "blocked") this.#ask("tick");
    else if (++this.#ticksBlocked % LOOK_AFTER_TICKS === 0) this.#lookForEnd().catch((thrown) => this.#leave(toFailure(thrown)));
  }

  /** No clock of a run ends the wait for a client here. */
  async #lookForEnd(): Promise<void> {
    const { client, more } = this.#options;
    if ((await more(this.#cursor))?.end !== undefined && this.#state === "blocked") client.takeOrLeave?.();
  }

  #drained(): void {
    if (this.#state !== "blocked") return;
    this.#state = "idle";
    this.#ask();
  }

  #ask(why: "told" | "tick" = "told"): void {
    this.#pull(why).catch((thrown) => this.#leave(toFailure(thrown)));
  }

  async #pull(why: "told" | "tick"): Promise<void> {
    if (this.#state === "asking") this.#state = "to ask again";
    if (this.#state !== "idle") return;
    this.#state = "asking";
    const isMore = await this.#step(why);
    const after = this.#stateNow();
    if (after === "over" || after === "blocked") return;
    this.#state = "idle";
    if (isMore || after === "to ask again") await this.#pull("told");
  }

  /** As others may have made it meanwhile. */
  #stateNow(): string {
    return this.#state;
  }

  /** @returns whether there may be more already. */
  async #step(why: "told" | "tick"): Promise<boolean> {
    const { client, more } = this.#options;
    const got = await more(this.#cursor);
    if (this.#stateNow() === "over") return false;
    if (got === undefined) {
      if (performance.now() - this.#answeredAt > AWAY_MS) this.#leave(unreachable());
      return false;
    }
    this.#answeredAt = performance.now();
    if (got.isGone) {
      this.#leave(new Failure("client_gone", "the client stopped the answer"));
      return false;
    }
    if (!this.#isBegun && got.head !== undefined) {
      this.#isBegun = true;
      client.commit(got.head);
    }
    for (const { number, event, kind } of got.events) {
      if (number !== this.#cursor + 1) {
        this.#leave(new Failure("overloaded", TOO_SLOW, { setting: "replay.maxStreamBytes" }));
        return false;
      }
      client.push(event, kind);
      this.#cursor = number;
      this.#lastEvent = event;
    }
    if (got.events.length > 0) {
      if (!client.flush()) this.#state = "blocked";
      if (got.end !== undefined) client.takeOrLeave?.();
      return this.#stateNow() !== "blocked";
    }
    if (got.end !== undefined && this.#cursor < (got.last ?? 0)) {
      this.#leave(partLost());
      return false;
    }
    if (got.end !== undefined) {
      client.finish();
      this.#settle({ kind: "over", end: got.end });
      return false;
    }
    if (got.lease !== undefined) this.#ticksLost = 0;
    else if (why === "tick" && ++this.#ticksLost >= LOST_AFTER_TICKS) await this.#findMaker();
    return false;
  }

  async #findMaker(): Promise<void> {
    if (await this.#options.onLost()) this.#ticksLost = 0;
    else this.#leave(makerLost());
  }

  #leave(failure: Failure): void {
    this.#settle({ kind: "left", failure, lastEvent: this.#lastEvent });
  }
}

const TOO_SLOW = "the client read so slowly that what it has not got is not kept any more";
