/** The clocks of one call, in one timer: the first sign of life, silence, life without content, the end after a finish. */
import { Failure } from "../core/failure.ts";

export interface WatchdogOptions {
  /** From the handover to a connection until the first sign of life, in milliseconds; 0 for no limit. */
  readonly firstTokenMs: number;
  /** Without content, though there are signs of life, in milliseconds; 0 for no limit. */
  readonly aliveMs: number;
  /** After the first content, from one byte to the next, in milliseconds. */
  readonly idleMs: number;
  /** While the client takes nothing of what it has been sent, in milliseconds; 0 for no limit. */
  readonly pausedMs: number;
  /** When silence begins to be a stall: once the head has come, or only once there was content. */
  readonly idleFrom: "head" | "content";
}

/**
 * What came from the upstream:
 * - `life`: bytes without content. A comment, a ping, a role: what a dead server does not send
 * - `content`: something that was asked for, or any byte of a body that is not judged piece by piece
 * - `finished`: all has been said, and only the end of the body is missing
 */
export type Sign = "life" | "content" | "finished";

/** How long an answer that has finished may leave its connection open, in milliseconds; some servers never close it. */
export const FINISHED_MS = 10_000;

type Phase = "not sent" | "silent" | "alive" | "flowing" | "finished" | "over";

/**
 * While the client is slow the upstream is paused, and a paused upstream is not stalled: only the client's own clock runs.
 * Each read moves a time, and no timer: the one timer looks, when it fires, how much is left.
 */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #onFire: (failure: Failure) => void;
  #phase: Phase = "not sent";
  /** When the client became too slow; undefined while it is not. */
  #pausedAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** On the clock of `performance.now()`, as all here: the last byte, or the handover. */
  #heardAt = 0;
  /** The last content, or the handover. */
  #contentAt = 0;

  constructor(options: WatchdogOptions, onFire: (failure: Failure) => void) {
    this.#options = options;
    this.#onFire = onFire;
  }

  /** The request goes out on a connection; what it waited for one does not count. Again where it is sent a second time. */
  begin(): void {
    if (this.#phase !== "not sent" && this.#phase !== "silent") return;
    this.#phase = "silent";
    this.#heardAt = this.#contentAt = performance.now();
    this.#arm();
  }

  notice(sign: Sign): void {
    const phase = this.#phase;
    if (phase === "over") return;
    this.#heardAt = performance.now();
    const next = phaseAfter(phase, sign);
    // What comes behind a finish is no content, though all stays said.
    if (sign === "content" || (sign === "finished" && next !== phase)) this.#contentAt = this.#heardAt;
    if (next === phase) return;
    this.#phase = next;
    this.#arm();
  }

  pause(): void {
    this.#pausedAt ??= performance.now();
    this.#arm();
  }

  resume(): void {
    if (this.#pausedAt === undefined) return;
    this.#pausedAt = undefined;
    if (this.#isReading) this.#heardAt = this.#contentAt = performance.now();
    this.#arm();
  }

  stop(): void {
    this.#phase = "over";
    this.#disarm();
  }

  /** Only what is being read can be paused; without content too, where the gate was full before there was any. */
  get #isReading(): boolean {
    return this.#phase === "alive" || this.#phase === "flowing" || this.#phase === "finished";
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    this.#disarm();
    const leftMs = this.#leftMs();
    if (leftMs < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#look(), leftMs);
  }

  #look(): void {
    if (this.#leftMs() > 0) {
      this.#arm();
      return;
    }
    // What arrived while this process was busy is read first: timers come before it in a turn of the event loop.
    setImmediate(() => {
      if (this.#timer === undefined) return;
      if (this.#leftMs() > 0) this.#arm();
      else this.#onFire(this.#limit().failure());
    });
  }

  /** Whole milliseconds, as timers keep them. */
  #leftMs(): number {
    return Math.max(0, Math.round(this.#limit().at - performance.now()));
  }

  /** What ends the call next, and when. */
  #limit(): { readonly at: number; failure(): Failure } {
    const { firstTokenMs, aliveMs, idleMs, pausedMs } = this.#options;
    if (this.#pausedAt !== undefined && this.#isReading) {
      return { at: this.#pausedAt + (pausedMs || Number.POSITIVE_INFINITY), failure: () => unread(pausedMs) };
    }
    const aliveAt = this.#contentAt + (aliveMs || Number.POSITIVE_INFINITY);
    switch (this.#phase) {
      case "silent":
        return { at: this.#heardAt + (firstTokenMs || Number.POSITIVE_INFINITY), failure: () => lateFirstToken(firstTokenMs) };
      case "alive":
        return { at: aliveAt, failure: () => aliveWithoutContent(aliveMs) };
      case "flowing": {
        const idleAt = this.#heardAt + idleMs;
        return idleAt <= aliveAt
          ? { at: idleAt, failure: () => stalled(`nothing more for ${inWords(idleMs)}`, "timeouts.idle") }
          : {
              at: aliveAt,
              failure: () => stalled(`signs of life but no more content for ${inWords(aliveMs)}`, "timeouts.alive"),
            };
      }
      case "finished": {
        const ms = Math.min(FINISHED_MS, idleMs);
        const endAt = Math.min(this.#heardAt + ms, aliveAt);
        return { at: endAt, failure: () => stalled(`nothing more for ${inWords(ms)} after its finish`, "timeouts.idle") };
      }
      default:
        return { at: Number.POSITIVE_INFINITY, failure: () => stalled("nothing", "timeouts.idle") };
    }
  }
}

function phaseAfter(phase: Phase, sign: Sign): Phase {
  if (sign === "finished") return "finished";
  if (sign === "content") return "flowing";
  if (phase === "silent" || phase === "not sent") return "alive";
  // Another choice has begun behind the finish.
  return phase === "finished" ? "flowing" : phase;
}

function lateFirstToken(ms: number): Failure {
  return new Failure("first_token_timeout", `the upstream sent no content within ${inWords(ms)}`, {
    setting: "timeouts.firstToken",
  });
}

/** It works on the request still, and would work on it twice if it were asked again. */
function aliveWithoutContent(ms: number): Failure {
  const message = `the upstream sent signs of life but no content within ${inWords(ms)}`;
  return new Failure("first_token_timeout", message, { scope: "elsewhere", setting: "timeouts.alive" });
}

function unread(ms: number): Failure {
  return new Failure("deadline_exceeded", `the client took nothing more of its answer for ${inWords(ms)}`, {
    setting: "timeouts.total",
  });
}

function stalled(what: string, setting: string): Failure {
  return new Failure("stream_stalled", `the upstream sent ${what}`, { setting });
}

function inWords(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`;
}
