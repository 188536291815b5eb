/** A run's answer, kept in memory while it is made and for a time after, for the clients that read it. */
import type { EventKind } from "../core/event-sink.ts";
import type { Api, Lingered } from "../core/exchange.ts";
import { Failure } from "../core/failure.ts";
import type { Progress } from "../core/progress.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { RunClient } from "./journal.ts";
import type { KeptAnswer, KeptEnd, KeptFacts, KeptState, ReadEnd } from "./kept-answer.ts";
import { KeptContent, type KeptPast } from "./kept-content.ts";
import type { KeptMirror, MirrorBreak } from "./kept-mirror.ts";
import { KeptReaders } from "./kept-readers.ts";
import { Linger } from "./linger.ts";
import type { Run } from "./run.ts";
import type { MadeLeg } from "./takeover.ts";

export interface KeptStreamOptions extends KeptFacts {
  readonly id: string;
  /** How long its run goes on when its last client has left, in milliseconds. */
  readonly lingerMs: number;
  /** Most that is kept of it, in bytes. */
  readonly maxBytes: number;
  /** Undefined where it is kept here alone. */
  readonly mirror?: KeptMirror | undefined;
  /** What was made of it before, elsewhere, by a replica that has gone. */
  readonly past?: KeptPast | undefined;
  /** What is kept of it has changed by so many bytes. */
  onBytes(change: number): void;
  /** It is over. */
  onOver(): void;
  /** It is over, and its last reader has what it wanted. */
  onRead(): void;
  /** Its client wants it no more. */
  onStopped(): void;
}

/** What a stream costs beside its events, about. */
const STREAM_BYTES = 1_024;
/** What is kept is let go a little at a time, not an event for each event that comes. */
const SLACK = 1 / 16;

export class KeptStream implements KeptAnswer, RunClient {
  readonly id: string;
  readonly client: string;
  readonly request: string;
  readonly api: Api;
  readonly mirror: KeptMirror | undefined;
  readonly startedAt = performance.now();
  readonly #options: KeptStreamOptions;
  readonly #content: KeptContent;
  readonly #readers: KeptReaders;
  readonly #linger: Linger;
  /** The attempts that clients have some of. */
  readonly #legs: MadeLeg[];
  #run: Run | undefined;
  /** What was counted of its events. */
  #counted = 0;
  #isDiscarded = false;
  /** The number of the last event that came while a client listened. */
  #leftBehind = 0;
  /** When its last client left, on the clock of `performance.now()`. */
  #leftAt: number | undefined;
  /** The number of the last event that the mirror was given. */
  #mirrored: number;

  constructor(options: KeptStreamOptions) {
    const { id, client, request, api, mirror, past, maxBytes, lingerMs } = options;
    this.#options = options;
    this.id = id;
    this.client = client;
    this.request = request;
    this.api = api;
    this.mirror = mirror;
    this.#content = new KeptContent(api, mirror?.isAhead ?? false, past);
    this.#mirrored = this.#content.events.last;
    this.#legs = this.#mirrored > 0 ? [...(past?.legs ?? [])] : [];
    this.#readers = new KeptReaders({
      content: this.#content,
      maxBytes,
      onLeave: (failure, isLast) => this.#onLeave(failure, isLast),
      onIdle: () => this.#onIdle(),
    });
    this.#linger = new Linger({
      ms: lingerMs,
      characters: () => this.#content.characters,
      giveUp: (failure) => this.giveUp(failure),
    });
    mirror?.onBroken((why) => this.#onBroken(why));
  }

  /** The run that makes it has begun. */
  begunBy(run: Run): void {
    this.#run = run;
  }

  /** An attempt has won, or goes on with what there is: clients may have some of it from here on. */
  leg(leg: MadeLeg): void {
    this.#legs.push(leg);
    this.mirror?.leg(this.#legs);
  }

  /** It is made for clients elsewhere, one of which has just been heard of. @param ms how long that one is believed in */
  madeForOthers(ms: number): void {
    this.readElsewhere(ms);
    this.#startLinger();
  }

  /** How many events clients may have by now. */
  get last(): number {
    return this.#content.events.last;
  }

  /** What there is of it, as far as it is kept. */
  get given(): readonly StreamEvent[] {
    return this.#content.events.all.map(({ event }) => event);
  }

  get isTaken(): boolean {
    return this.#run?.isTaken ?? false;
  }

  get isOver(): boolean {
    return this.end !== undefined;
  }

  get end(): KeptEnd | undefined {
    return this.#content.end;
  }

  get hasReaders(): boolean {
    return this.#readers.count > 0;
  }

  /** Its client has seen something of it, by which it could not be begun anew unseen. */
  get isBegun(): boolean {
    return this.#content.head !== undefined;
  }

  get isPiped(): boolean {
    return this.#content.isPiped;
  }

  /** Those that come for it from now on can be given it: it began, or is whole, and in one piece it is no larger than what is kept. */
  get isWorthKeeping(): boolean {
    const { end } = this;
    if (this.isPiped || (end?.kind === "failed" && !this.isBegun)) return false;
    return bodyBytes(end) <= this.#options.maxBytes;
  }

  /** What was made while no client listened. */
  get lingered(): Lingered | undefined {
    return this.#linger.lingered;
  }

  /** Milliseconds since it was started, or since its last client left, whichever is less. */
  get quietMs(): number {
    return performance.now() - Math.max(this.startedAt, this.#leftAt ?? 0);
  }

  /** In bytes, as they are counted. */
  get bytes(): number {
    return this.#counted;
  }

  canGiveAfter(after: number): boolean {
    return this.#content.canGiveAfter(after);
  }

  isLast(after: number): boolean {
    return this.#content.isLast(after);
  }

  async read(client: RunClient, after: number, signal: AbortSignal): Promise<ReadEnd> {
    if (this.#content.ledger.isLost) return { kind: "moved", after };
    this.#linger.end();
    return this.#readers.read(client, after, signal);
  }

  async tell(): Promise<KeptState> {
    return this.#content.tell();
  }

  async stop(): Promise<void> {
    this.mirror?.forget();
    this.#run?.abort(new Failure("client_gone", "the client stopped the answer"));
    this.#options.onStopped();
  }

  /** Ends the run where no client listens. */
  giveUp(failure: Failure): void {
    if (!this.hasReaders) this.#run?.abort(failure);
  }

  /** It is over, and what ends it stands behind its events. */
  close(end: KeptEnd): void {
    this.#linger.end();
    this.#content.end = end;
    // It knows the request, which is not kept.
    this.#run = undefined;
    this.#mirrorOn();
    this.mirror?.end(end, this.#content.events.last, this.isWorthKeeping, () => {
      this.#content.ledger.wroteEnd();
      this.#readers.showEnd();
    });
    this.#count();
    this.#readers.showEnd();
    this.#options.onOver();
  }

  progress(progress: Progress): void {
    this.#readers.progress(progress);
  }

  commit(headers: ReplyHeaders): void {
    this.#content.head = { kind: "stream", headers };
    this.mirror?.begin(headers);
    this.#readers.commit(headers);
  }

  push(event: StreamEvent, kind: EventKind): void {
    this.#content.push(event, kind);
    this.#readers.push(event, kind);
  }

  flush(): boolean {
    const isFlowing = this.#readers.flush();
    this.#mirrorOn();
    this.#trim();
    this.#count();
    return isFlowing;
  }

  finish(): void {
    this.#readers.finish();
  }

  begin(status: number, headers: ReplyHeaders): void {
    this.#content.head = { kind: "piped" };
    this.#readers.begin(status, headers);
    if (this.hasReaders) return;
    const failure = new Failure(
      "client_gone",
      "the client left, and the answer is larger than what is kept (limits.maxBodyBytes)",
    );
    // Not within a read.
    queueMicrotask(() => this.giveUp(failure));
  }

  write(chunk: Buffer): boolean {
    return this.#readers.write(chunk);
  }

  onDrain(listener: () => void): () => void {
    return this.#readers.onDrain(listener);
  }

  /** Lets go of the oldest events, so that no more than `bytes` are kept of them. */
  shrinkTo(bytes: number): void {
    const { events } = this.#content;
    events.dropUpTo(events.lastBeyond(bytes));
    this.#count();
  }

  /** Lets go of what each of its readers has; what a client might come back for goes with it. */
  forgetRead(): void {
    if (!this.hasReaders) return;
    this.#content.events.dropUpTo(this.#readers.haveAll);
    this.#count();
  }

  /** As {@link Linger.noMore}. */
  lingersNoMore(failure: Failure): void {
    this.#linger.noMore(failure);
  }

  /** It is not kept any more. */
  discard(): void {
    this.#isDiscarded = true;
    const { events } = this.#content;
    events.dropUpTo(events.last);
    this.#count();
  }

  /** As {@link Linger.readElsewhere}. */
  readElsewhere(ms: number): void {
    this.#linger.readElsewhere(ms);
  }

  #mirrorOn(): void {
    const { events, ledger } = this.#content;
    const first = this.#mirrored + 1;
    const { last } = events;
    if (this.mirror === undefined || first > last) return;
    this.#mirrored = last;
    this.mirror.append(events.after(first - 1), first, events.dropped, () => {
      ledger.wrote(last);
      this.#readers.show();
    });
  }

  #onBroken(why: MirrorBreak): void {
    const { ledger } = this.#content;
    // What is passed on as it comes is nowhere else.
    if (why === "taken over" && !this.isPiped) {
      ledger.isTakenOver();
      this.#readers.move();
      this.#run?.abort(new Failure("client_gone", "another replica of Perennial has taken the answer over"));
      this.#options.onStopped();
      return;
    }
    ledger.isBroken();
    this.#readers.renumber();
    if (this.isOver) this.#readers.showEnd();
    else this.#readers.show();
  }

  #onLeave(failure: Failure, isLast: boolean): "waits" | "left" {
    // To a body that is not kept nobody can.
    const mayComeBack = failure.code === "client_gone" && !this.isPiped && this.#linger.isAllowed;
    if (this.isOver || !isLast || mayComeBack) return "left";
    this.#run?.abort(failure);
    return "waits";
  }

  #onIdle(): void {
    this.#leftAt = performance.now();
    this.mirror?.left();
    if (this.isOver) this.#options.onRead();
    else this.#startLinger();
  }

  #startLinger(): void {
    this.#leftBehind = this.#content.events.last;
    this.#linger.begin();
  }

  #trim(): void {
    const { maxBytes } = this.#options;
    const { events } = this.#content;
    if (events.bytes <= maxBytes) return;
    const upTo = events.lastBeyond(maxBytes * (1 - SLACK));
    // What its clients have not got must be there when they come back, or all of it was for nothing.
    if (this.#linger.isRunning && upTo > this.#leftBehind && !this.#linger.isReadElsewhere) {
      const failure = new Failure("client_gone", "the client left, and more came than is kept (replay.maxStreamBytes)");
      // Not within a read.
      queueMicrotask(() => this.giveUp(failure));
      return;
    }
    events.dropUpTo(upTo);
  }

  #count(): void {
    const body = this.isWorthKeeping ? bodyBytes(this.end) : 0;
    const change = (this.#isDiscarded ? 0 : STREAM_BYTES + this.#content.events.bytes + body) - this.#counted;
    if (change === 0) return;
    this.#counted += change;
    this.#options.onBytes(change);
  }
}

/** Of an answer in one piece. */
function bodyBytes(end: KeptEnd | undefined): number {
  return end?.kind === "answered" && end.result.kind === "reply" ? end.result.body.length : 0;
}
