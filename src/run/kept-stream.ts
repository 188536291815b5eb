/** A run's answer, kept in memory while it is made and for a time after, with a cursor for each client that reads it. */
import type { EventKind } from "../core/event-sink.ts";
import type { Api, Lingered } from "../core/exchange.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { Progress } from "../core/progress.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { RunClient } from "./journal.ts";
import { type KeptAnswer, type KeptEnd, type KeptFacts, type KeptState, lastWords, type ReadEnd } from "./kept-answer.ts";
import { KeptEvents } from "./kept-events.ts";
import type { KeptMirror } from "./kept-mirror.ts";
import { KeptReader } from "./kept-reader.ts";
import { textOf } from "./kept-text.ts";
import { Linger } from "./linger.ts";
import type { Run } from "./run.ts";

export interface KeptStreamOptions extends KeptFacts {
  readonly id: string;
  /** How long its run goes on when its last client has left, in milliseconds. */
  readonly lingerMs: number;
  /** Most that is kept of it, in bytes. */
  readonly maxBytes: number;
  /** Undefined where it is kept here alone. */
  readonly mirror?: KeptMirror | undefined;
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

type Head =
  | { readonly kind: "stream"; readonly headers: ReplyHeaders }
  /** A body that is passed on as it comes, and cannot be kept. */
  | { readonly kind: "piped" };

export class KeptStream implements KeptAnswer, RunClient {
  readonly id: string;
  readonly client: string;
  readonly request: string;
  readonly api: Api;
  readonly #options: KeptStreamOptions;
  readonly #events = new KeptEvents();
  #readers: readonly KeptReader[] = [];
  readonly #drainListeners = new Set<() => void>();
  /** The upstream was told to wait, and has not been told to go on. */
  #isUpstreamPaused = false;
  #run: Run | undefined;
  #end: KeptEnd | undefined;
  #head: Head | undefined;
  #characters = 0;
  /** What was counted of its events. */
  #counted = 0;
  #isDiscarded = false;
  readonly #linger: Linger;
  /** The number of the last event that came while a client listened. */
  #leftBehind = 0;
  /** When its last client left, on the clock of `performance.now()`. */
  #leftAt: number | undefined;
  readonly startedAt = performance.now();
  readonly mirror: KeptMirror | undefined;
  /** The number of the last event that the mirror has. */
  #mirrored = 0;

  constructor(options: KeptStreamOptions) {
    this.#options = options;
    this.#linger = new Linger({
      ms: options.lingerMs,
      characters: () => this.#characters,
      giveUp: (failure) => this.giveUp(failure),
    });
    this.id = options.id;
    this.client = options.client;
    this.request = options.request;
    this.api = options.api;
    this.mirror = options.mirror;
  }

  /** The run that makes it has begun. */
  begunBy(run: Run): void {
    this.#run = run;
  }

  get isTaken(): boolean {
    return this.#run?.isTaken ?? false;
  }

  get isOver(): boolean {
    return this.#end !== undefined;
  }

  get end(): KeptEnd | undefined {
    return this.#end;
  }

  get hasReaders(): boolean {
    return this.#readers.length > 0;
  }

  /** Its client has seen something of it, by which it could not be begun anew unseen. */
  get isBegun(): boolean {
    return this.#head !== undefined;
  }

  get isPiped(): boolean {
    return this.#head?.kind === "piped";
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

  get #lastNumber(): number {
    return this.#events.last + lastWords(this.end, this.api);
  }

  canGiveAfter(after: number): boolean {
    return !this.isPiped && after >= this.#events.dropped && after <= this.#lastNumber;
  }

  isLast(after: number): boolean {
    return this.isOver && this.#lastNumber > 0 && after >= this.#lastNumber;
  }

  read(client: RunClient, after: number, signal: AbortSignal): Promise<ReadEnd> {
    return new Promise((resolve) => {
      const reader = new KeptReader(client, after, (end) => {
        this.#readers = this.#readers.filter((other) => other !== reader);
        signal.removeEventListener("abort", onAbort);
        resolve(end);
        // The others must not wait for one that has left.
        this.#drained();
        if (this.hasReaders) return;
        this.#leftAt = performance.now();
        this.mirror?.left();
        if (this.isOver) this.#options.onRead();
      });
      const onAbort = (): void => this.#leave(reader, toFailure(signal.reason));
      this.#linger.end();
      this.#readers = [...this.#readers, reader];
      reader.onDrain(() => {
        this.#catchUp(reader);
        this.#drained();
      });
      signal.addEventListener("abort", onAbort);
      if (this.#head?.kind === "stream") client.commit(this.#head.headers);
      this.#catchUp(reader);
      // The upstream may stand, for one that takes nothing any more: its client's connection of before, as a rule.
      this.#drained();
      if (signal.aborted) onAbort();
    });
  }

  async tell(): Promise<KeptState> {
    const { end } = this;
    const state = end === undefined ? "running" : end.kind === "failed" ? "failed" : "whole";
    const hasAll = this.#events.dropped === 0 && !this.isPiped;
    return {
      state,
      characters: this.#characters,
      events: this.#lastNumber,
      text: hasAll ? textOf(this.api, this.#events.all, end) : undefined,
      failure: end?.kind === "failed" ? end.failure : undefined,
    };
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
    this.#end = end;
    // It knows the request, which is not kept.
    this.#run = undefined;
    this.#mirrorOn();
    this.mirror?.end(end, this.#events.last, this.isWorthKeeping);
    this.#count();
    // Of a body that is passed on the bytes have gone.
    for (const reader of this.#readers) {
      if (this.isPiped) reader.end({ kind: "over", end });
      // The end stands behind what it lacks.
      else if (reader.goneFor !== undefined && reader.cursor < this.#events.last) this.#endEarly(reader, reader.goneFor);
      else this.#catchUp(reader);
    }
    this.#options.onOver();
  }

  progress(progress: Progress): void {
    for (const { client } of this.#readers) client.progress(progress);
  }

  commit(headers: ReplyHeaders): void {
    this.#head = { kind: "stream", headers };
    this.mirror?.begin(headers);
    for (const reader of this.#readers) {
      reader.client.commit(headers);
      reader.isLive = true;
    }
  }

  push(event: StreamEvent, kind: EventKind): void {
    this.#events.push(event, kind);
    this.#characters += event.characters ?? 0;
    for (const reader of this.#readers) {
      if (!reader.isLive) continue;
      reader.client.push(event, kind);
      reader.cursor++;
    }
  }

  /** The fastest client sets the pace: the others read what is kept. */
  flush(): boolean {
    let isFlowing = !this.hasReaders;
    for (const reader of this.#readers) {
      if (!reader.isLive) isFlowing ||= this.#events.bytesAfter(reader.cursor) < this.#options.maxBytes / 2;
      else if (reader.client.flush()) isFlowing = true;
      else {
        reader.isLive = false;
        this.#stop(reader);
      }
    }
    this.#mirrorOn();
    this.#trim();
    this.#count();
    if (!isFlowing) this.#isUpstreamPaused = true;
    return isFlowing;
  }

  finish(): void {
    for (const reader of this.#readers) if (reader.isLive) reader.client.finish();
  }

  begin(status: number, headers: ReplyHeaders): void {
    this.#head = { kind: "piped" };
    for (const { client } of this.#readers) client.begin(status, headers);
    if (this.hasReaders) return;
    const failure = new Failure(
      "client_gone",
      "the client left, and the answer is larger than what is kept (limits.maxBodyBytes)",
    );
    // Not within a read.
    queueMicrotask(() => this.giveUp(failure));
  }

  write(chunk: Buffer): boolean {
    let isFlowing = true;
    for (const { client } of this.#readers) if (!client.write(chunk)) isFlowing = false;
    if (!isFlowing) this.#isUpstreamPaused = true;
    return isFlowing;
  }

  onDrain(listener: () => void): () => void {
    this.#drainListeners.add(listener);
    return () => void this.#drainListeners.delete(listener);
  }

  /** Lets go of the oldest events, so that no more than `bytes` are kept of them. */
  shrinkTo(bytes: number): void {
    this.#events.dropUpTo(this.#events.lastBeyond(bytes));
    this.#count();
  }

  /** Lets go of what each of its readers has; what a client might come back for goes with it. */
  forgetRead(): void {
    if (!this.hasReaders) return;
    this.#events.dropUpTo(Math.min(...this.#readers.map(({ cursor }) => cursor)));
    this.#count();
  }

  /** As {@link Linger.noMore}. */
  lingersNoMore(failure: Failure): void {
    this.#linger.noMore(failure);
  }

  /** It is not kept any more. */
  discard(): void {
    this.#isDiscarded = true;
    this.#events.dropUpTo(this.#events.last);
    this.#count();
  }

  /** As {@link Linger.readElsewhere}. */
  readElsewhere(ms: number): void {
    this.#linger.readElsewhere(ms);
  }

  #mirrorOn(): void {
    const first = this.#mirrored + 1;
    if (this.mirror === undefined || first > this.#events.last) return;
    this.#mirrored = this.#events.last;
    this.mirror.append(this.#events.after(first - 1), first, this.#events.dropped);
  }

  #drained(): void {
    if (!this.#isUpstreamPaused) return;
    this.#isUpstreamPaused = false;
    for (const listener of this.#drainListeners) listener();
  }

  #trim(): void {
    const { maxBytes } = this.#options;
    if (this.#events.bytes <= maxBytes) return;
    const upTo = this.#events.lastBeyond(maxBytes * (1 - SLACK));
    // What its clients have not got must be there when they come back, or all of it was for nothing.
    if (this.#linger.isRunning && upTo > this.#leftBehind && !this.#linger.isReadElsewhere) {
      const failure = new Failure("client_gone", "the client left, and more came than is kept (replay.maxStreamBytes)");
      // Not within a read.
      queueMicrotask(() => this.giveUp(failure));
      return;
    }
    this.#events.dropUpTo(upTo);
  }

  #count(): void {
    const body = this.isWorthKeeping ? bodyBytes(this.end) : 0;
    const change = (this.#isDiscarded ? 0 : STREAM_BYTES + this.#events.bytes + body) - this.#counted;
    if (change === 0) return;
    this.#counted += change;
    this.#options.onBytes(change);
  }

  /** Gives a reader what it lacks, and from then on what comes. */
  #catchUp(reader: KeptReader): void {
    if (reader.isLive ? !this.isOver : this.#head === undefined && !this.isOver) return;
    switch (reader.catchUp(this.#events)) {
      case "lost":
        this.#endEarly(reader, new Failure("overloaded", TOO_SLOW, { setting: "replay.maxStreamBytes" }));
        return;
      case "more":
        setImmediate(() => this.#catchUpAgain(reader));
        break;
      case "slow":
        this.#stop(reader);
        break;
      case "done":
        reader.isLive = this.#head !== undefined;
        if (this.#end === undefined) return;
        reader.client.finish();
        reader.end({ kind: "over", end: this.#end });
        return;
    }
    // While it is made the clocks of its run end the wait for a client.
    if (this.isOver) reader.client.takeOrLeave?.();
  }

  #catchUpAgain(reader: KeptReader): void {
    if (!this.#readers.includes(reader)) return;
    this.#catchUp(reader);
    this.#drained();
  }

  #leave(reader: KeptReader, failure: Failure): void {
    const isLast = this.#readers.length === 1;
    // To a body that is not kept nobody can.
    const mayComeBack = failure.code === "client_gone" && !this.isPiped && this.#linger.isAllowed;
    if (this.isOver || !isLast || mayComeBack) {
      this.#endEarly(reader, failure);
      if (this.isOver || this.hasReaders) return;
      this.#leftBehind = this.#events.last;
      this.#linger.begin();
      return;
    }
    // The last one waits for the end: what was read by now may be whole.
    reader.goneFor = failure;
    this.#run?.abort(failure);
  }

  #endEarly(reader: KeptReader, failure: Failure): void {
    reader.end({ kind: "left", failure, lastEvent: this.#events.at(reader.cursor)?.event ?? reader.stoppedAt });
  }

  #stop(reader: KeptReader): void {
    reader.stoppedAt = this.#events.at(reader.cursor)?.event;
  }
}

/** Of an answer in one piece. */
function bodyBytes(end: KeptEnd | undefined): number {
  return end?.kind === "answered" && end.result.kind === "reply" ? end.result.body.length : 0;
}

const TOO_SLOW = "the client read so slowly that what it has not got is not kept any more";
