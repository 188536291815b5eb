/** One answer being made, for one client or several: its attempts, which of them has won, what was given, how it ended. */

import type { AnswerLimits } from "../attempt/attempt-context.ts";
import { type AttemptLoopOptions, type PlannedAttempt, runAttempts } from "../attempt/attempt-loop.ts";
import { attemptOnce } from "../attempt/attempt-once.ts";
import type { AttemptPolicy, PastAttempt, RunState } from "../attempt/attempt-policy.ts";
import { withinLimits } from "../attempt/enter-rate.ts";
import { NativeSession } from "../attempt/native-session.ts";
import { UsageMeter } from "../attempt/usage-meter.ts";
import type { RateAccess } from "../balance/rate/rate-access.ts";
import type { StickyUpstreams } from "../balance/sticky-upstreams.ts";
import type { AnswerRecorder } from "../core/answer-record.ts";
import type { Attempt } from "../core/attempt.ts";
import type { AttemptOutput, AttemptResult } from "../core/attempt-output.ts";
import type { Exchange } from "../core/exchange.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { HeldMemory, HeldShare } from "../core/held-memory.ts";
import type { Observer, Propagator } from "../core/observer.ts";
import type { ResumedBy } from "../core/outcome.ts";
import type { Progress } from "../core/progress.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import { type Transcript, TranscriptBuilder } from "../core/transcript.ts";
import { Gate } from "./gate.ts";
import { ForwardingJournal, type RunClient } from "./journal.ts";
import { Lag, type TimedSink } from "./lag.ts";
import { Taken } from "./taken.ts";
import type { MadeLeg } from "./takeover.ts";

export interface RunOptions {
  /** The exchange that started it: whose request is answered, and to whom its attempts are reported. */
  readonly exchange: Exchange;
  readonly policy: AttemptPolicy;
  readonly limits: AnswerLimits;
  readonly times: RunTimes;
  readonly held: HeldMemory;
  readonly observer: Observer;
  readonly propagator: Propagator;
  /** Where it is written down who made what; undefined where there is one upstream. */
  readonly sticky?: StickyUpstreams | undefined;
  /** Writes down what is given, so that it can go on after a break; undefined where it is not to be continued. */
  readonly recorder?: AnswerRecorder | undefined;
  /** The limits of the client's key; undefined where it has none. */
  readonly key?: RateAccess | undefined;
  /** What an upstream keeps for it. */
  readonly session: NativeSession;
  /** Where its answer goes in place of the clients that listen. @defaultValue to them */
  readonly journal?: RunClient | undefined;
  /** Told of each attempt that clients have some of, before they are given any of it. */
  onLeg?(leg: MadeLeg): void;
  /** What was made of its answer before, elsewhere: it goes on from there. */
  readonly past?: PastRun | undefined;
}

/** A run of another replica that has ended when clients had some of its answer. */
export interface PastRun {
  /** Those that clients have some of, in their order. One at least. */
  readonly attempts: readonly PastAttempt[];
  readonly seams: readonly ResumedBy[];
  /** What clients have. */
  readonly given: Iterable<StreamEvent>;
}

/** In milliseconds. */
export interface RunTimes {
  /** From the request's arrival: no attempt begins after it. */
  readonly totalMs: number;
  /** From the request's arrival: an answer that no client has seen anything of is given up. */
  readonly uncommittedMs: number;
  /** The setting that this follows. */
  readonly uncommittedSetting: string;
  /** From the commit; false for no limit. */
  readonly streamMs: number | false;
}

export type RunEnd =
  | { readonly kind: "won"; readonly result: AttemptResult }
  | { readonly kind: "failed"; readonly failure: Failure };

/** What each piece of a text that is written down costs beside its characters, about. */
const PIECE_BYTES = 96;

export class Run {
  readonly attempts: Attempt[] = [];
  readonly #options: RunOptions;
  readonly #listeners = new ForwardingJournal();
  readonly #journal: RunClient;
  readonly #transcript: TranscriptBuilder;
  readonly #seams: ResumedBy[] = [];
  readonly #controller = new AbortController();
  readonly #end: Promise<RunEnd>;
  /** What is written down of the answer, so that it can go on. */
  readonly #written: HeldShare;
  /** Shows late what is given; undefined where it is shown as it comes. */
  #lag: Lag | undefined;
  #state: RunState = { at: "waiting" };
  #deadline: NodeJS.Timeout | undefined;
  readonly #taken = new Taken();

  /** Starts at once. */
  constructor(options: RunOptions) {
    this.#options = options;
    this.#journal = options.journal ?? this.#listeners;
    this.#transcript = new TranscriptBuilder(options.recorder);
    options.exchange.attempts = this.attempts;
    this.#written = options.held.open({ evict: (failure) => this.abort(failure) });
    if (options.past !== undefined) this.#goOnFrom(options.past);
    this.#end = this.#answer();
  }

  get id(): string {
    return this.#options.exchange.id;
  }

  get state(): RunState {
    return this.#state;
  }

  /** Its clients may be given a sign of life. */
  get isTaken(): boolean {
    return this.#taken.isTaken;
  }

  /** What its clients have been given. */
  get transcript(): Transcript {
    return this.#transcript;
  }

  /** How its answer went on over each of its breaks. */
  get seams(): readonly ResumedBy[] {
    return this.#seams;
  }

  /** Resolves once it is over, whether or not a client listens. */
  get ended(): Promise<RunEnd> {
    return this.#end;
  }

  /**
   * Gives the answer to a client, until the run ends or `signal` ends the client's part in it. Leaving ends the run only when no
   * other client listens.
   * @returns how the run ended, or for what reason the client left it.
   */
  async listen(client: RunClient, signal: AbortSignal): Promise<RunEnd> {
    const detach = this.#listeners.attach(client);
    const left = new Promise<RunEnd>((resolve) => {
      const leave = (): void => {
        const failure = toFailure(signal.reason);
        if (this.#listeners.clientCount > 1) {
          detach();
          resolve({ kind: "failed", failure });
        }
        // The last one waits for the end: what was read by now may be whole.
        else this.abort(failure);
      };
      if (signal.aborted) leave();
      else signal.addEventListener("abort", leave, { once: true });
    });
    const end = await Promise.race([this.#end, left]);
    detach();
    return end;
  }

  /** Ends whatever attempt or wait is under way. */
  abort(reason: Failure): void {
    this.#controller.abort(reason);
  }

  #goOnFrom({ attempts, seams, given }: PastRun): void {
    for (const event of given) this.#transcript.append(event);
    this.#seams.push(...seams);
    const legs = attempts.map(({ attempt }) => attempt);
    this.attempts.push(...legs);
    const attempt = legs.at(-1);
    if (attempt !== undefined) this.#state = { at: "committed", attempt, legs, given: this.#transcript.record };
  }

  async #answer(): Promise<RunEnd> {
    const { exchange, times } = this.#options;
    if (this.#state.at === "waiting") this.#startDeadline(times.uncommittedMs, exchange.arrivedAt, times.uncommittedSetting);
    else this.#startStreamDeadline();
    const end = await this.#runAttempts().then(
      (result): RunEnd => ({ kind: "won", result }),
      (thrown: unknown): RunEnd => ({ kind: "failed", failure: toFailure(thrown) }),
    );
    clearTimeout(this.#deadline);
    this.#endLag(end);
    this.#state = { at: "over" };
    this.#written.release();
    this.#options.session.end(end.kind === "won");
    return end;
  }

  /** @param from on the clock of `performance.now()`. */
  #startDeadline(ms: number, from: number, setting: string): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(
      () => this.abort(new Failure("deadline_exceeded", `the answer was not complete within ${ms / 1_000} s`, { setting })),
      // The upload may have taken all of it.
      Math.max(0, from + ms - performance.now()),
    );
  }

  #runAttempts(): Promise<AttemptResult> {
    const { exchange, policy, observer, held, times, key } = this.#options;
    const onAhead = (ahead: number): void => this.#tell({ at: "queue", ahead });
    const loop: AttemptLoopOptions = {
      exchange,
      attempts: this.attempts,
      policy,
      observer,
      past: this.#options.past?.attempts,
      deadlineAt: exchange.arrivedAt + times.totalMs,
      signal: this.#controller.signal,
      state: () => this.#state,
      onProgress: (progress) => this.#tell(progress),
    };
    // The last attempt's refusal is kept: the client may get it as it is.
    const kept = held.open({ evict: (failure) => this.abort(failure) });
    const attempt = (planned: PlannedAttempt): Promise<AttemptResult> => this.#attempt(planned, kept);
    const made = withinLimits(key, { exchange, observer, signal: loop.signal, onAhead }, (onUsed) =>
      runAttempts(loop, attempt, onUsed),
    );
    return made.finally(() => kept.release());
  }

  /** @param kept counts what an attempt was refused with. */
  async #attempt(planned: PlannedAttempt, kept: HeldShare): Promise<AttemptResult> {
    const { attempt, plan, isHopeful, signal } = planned;
    const { exchange, limits, propagator, held, sticky, key } = this.#options;
    const { rate } = plan.candidate;
    this.#taken.begins(isHopeful);
    const share = held.open({ evict: (failure) => this.abort(failure) });
    // What an upstream keeps for an attempt that runs beside another is not the run's before it wins.
    const session = attempt.hedge ? new NativeSession() : this.#options.session;
    const meter = rate?.countsTokens || key?.countsTokens ? new UsageMeter(planned.onUsed) : undefined;
    const output = this.#outputOf(planned, share, session);
    try {
      const result = await attemptOnce({
        exchange,
        attempt,
        plan,
        limits,
        held: share,
        propagated: propagator.headersFor(exchange, attempt),
        signal,
        session,
        output: meter?.watch(output) ?? output,
        onMade: sticky && ((id) => sticky.remember(id, attempt.upstream)),
        onLimit: rate && ((forMs) => rate.hold(forMs)),
      });
      meter?.end(result);
      return result;
    } catch (thrown) {
      const failure = toFailure(thrown);
      meter?.end(undefined);
      kept.set(failure.reply?.body.length ?? 0);
      this.#taken.failed(failure, attempt.hedge === true);
      if (attempt.hedge && !this.#isAnsweredBy(attempt)) session.end(false);
      throw thrown;
    } finally {
      // The attempt's gate and hold are gone, with what they held.
      share.release();
    }
  }

  #tell(progress: Progress): void {
    if (progress.at === "queue") this.#taken.queues();
    if (this.#taken.isTaken && this.#state.at === "waiting") this.#journal.progress(progress);
  }

  #outputOf({ attempt, onTaken, onContent }: PlannedAttempt, held: HeldShare, session: NativeSession): AttemptOutput {
    const journal = this.#journal;
    const commit = (begin: () => void): boolean => {
      const hasWon = onContent?.() !== false && this.#commit(attempt, session, begin);
      if (hasWon && session !== this.#options.session) this.#options.session.yieldTo(session);
      return hasWon;
    };
    return {
      onContent,
      onTaken: () => {
        this.#taken.works();
        onTaken();
      },
      openStream: (headers, { at, lagMs, onFailure, onSettle }) => {
        const { maxBodyBytes, maxGateBytes } = this.#options.limits;
        const gate = new Gate({
          next: this.#recorded,
          held,
          openAt: at,
          lagMs,
          onFailure,
          maxBytes: at === "whole" ? maxBodyBytes : maxGateBytes,
          commit: () =>
            commit(() => {
              this.#startLag(lagMs);
              journal.commit(headers);
            }),
        });
        onSettle(() => gate.stop());
        return gate;
      },
      given: this.#transcript.record,
      nextLeg: (by) => ({ sink: this.#recorded, accept: () => this.#goOn(attempt, by) }),
      openBody: (status, headers) => void commit(() => journal.begin(status, headers)),
      write: (chunk) => journal.write(chunk),
      onDrain: (listener) => journal.onDrain(listener),
    };
  }

  /** The last station but the lag: what is written down here is what clients are given, however the answer ends. */
  readonly #recorded: TimedSink = {
    push: (event, kind, cameAt) => {
      this.#transcript.append(event);
      if (this.#lag === undefined) this.#journal.push(event, kind);
      else this.#lag.push(event, kind, cameAt);
    },
    flush: () => {
      const { record } = this.#transcript;
      if (record !== undefined) this.#written.set(record.text.length + record.ends.length * PIECE_BYTES);
      return (this.#lag ?? this.#journal).flush();
    },
    finish: () => (this.#lag ?? this.#journal).finish(),
  };

  /** @param ms as the upstream's policy says that has won. */
  #startLag(ms: number): void {
    if (ms === 0) return;
    const { held, limits } = this.#options;
    const evict = (failure: Failure): void => this.abort(failure);
    this.#lag = new Lag({
      next: this.#journal,
      held: held.open({ evict }),
      ms,
      maxBytes: limits.maxGateBytes,
      onFailure: evict,
    });
  }

  #endLag(end: RunEnd): void {
    try {
      if (end.kind === "failed" && end.failure.code === "client_gone") this.#lag?.drop();
      else this.#lag?.end();
    } catch {
      // A client that cannot be given this is told by its failure, or finds out by itself.
      this.#lag?.drop();
    }
  }

  #isAnsweredBy(attempt: Attempt): boolean {
    return this.#state.at === "committed" && this.#state.attempt === attempt;
  }

  /** @returns false when another attempt has won before, or the run is over. */
  #commit(attempt: Attempt, session: NativeSession, begin: () => void): boolean {
    if (this.#state.at !== "waiting") return false;
    this.#state = { at: "committed", attempt, legs: [attempt], given: this.#transcript.record };
    // What flows may flow on: a stream that stops is the watchdog's to notice.
    clearTimeout(this.#deadline);
    this.#startStreamDeadline();
    this.#tellLeg(attempt, session);
    begin();
    this.#options.observer.onCommit?.(this.#options.exchange, attempt);
    return true;
  }

  #startStreamDeadline(): void {
    const { streamMs } = this.#options.times;
    if (streamMs !== false) this.#startDeadline(streamMs, performance.now(), "timeouts.stream");
  }

  #tellLeg({ upstream, servedModel }: Attempt, session: NativeSession, by?: ResumedBy): void {
    this.#options.onLeg?.({ upstream, servedModel, by, kept: session.kept?.name });
  }

  /** @returns false when the run is over. */
  #goOn(attempt: Attempt, by: ResumedBy): boolean {
    const state = this.#state;
    if (state.at !== "committed") return false;
    this.#state = { ...state, attempt, legs: [...(state.legs ?? []), attempt] };
    this.#seams.push(by);
    this.#tellLeg(attempt, this.#options.session, by);
    this.#lag?.goOn();
    return true;
  }
}
