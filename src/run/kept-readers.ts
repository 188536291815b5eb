/** The clients that read an answer that is kept, each at its own pace; the fastest sets that of the upstream. */
import type { EventKind } from "../core/event-sink.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { Progress } from "../core/progress.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { StreamEvent } from "../core/stream-event.ts";
import type { RunClient } from "./journal.ts";
import type { ReadEnd } from "./kept-answer.ts";
import type { KeptContent } from "./kept-content.ts";
import { KeptReader } from "./kept-reader.ts";

export interface KeptReadersOptions {
  readonly content: KeptContent;
  /** Most that is kept of it, in bytes. */
  readonly maxBytes: number;
  /** A client's part in it is over before the answer is. @returns whether it waits for the end all the same */
  onLeave(failure: Failure, isLast: boolean): "waits" | "left";
  /** None reads it any more. */
  onIdle(): void;
}

export class KeptReaders {
  readonly #options: KeptReadersOptions;
  readonly #content: KeptContent;
  #all: readonly KeptReader[] = [];
  readonly #drainListeners = new Set<() => void>();
  /** The upstream was told to wait, and has not been told to go on. */
  #isUpstreamPaused = false;

  constructor(options: KeptReadersOptions) {
    this.#options = options;
    this.#content = options.content;
  }

  get count(): number {
    return this.#all.length;
  }

  /** The number of the last event that each of them has. */
  get haveAll(): number {
    return Math.min(...this.#all.map(({ cursor }) => cursor));
  }

  read(client: RunClient, after: number, signal: AbortSignal): Promise<ReadEnd> {
    const { ledger, head } = this.#content;
    return new Promise((resolve) => {
      const reader = new KeptReader(client, ledger.eventOf(after) ?? after, (end) => {
        this.#all = this.#all.filter((other) => other !== reader);
        signal.removeEventListener("abort", onAbort);
        resolve(end);
        // The others must not wait for one that has left.
        this.#drained();
        if (this.count === 0) this.#options.onIdle();
      });
      if (reader.cursor === after) reader.renumbersAfter = ledger.renumbersAfter;
      const onAbort = (): void => this.#leave(reader, toFailure(signal.reason));
      this.#all = [...this.#all, reader];
      reader.onDrain(() => {
        this.#catchUp(reader);
        this.#drained();
      });
      signal.addEventListener("abort", onAbort);
      if (head?.kind === "stream") client.commit(head.headers);
      this.#catchUp(reader);
      // The upstream may stand, for one that takes nothing any more: its client's connection of before, as a rule.
      this.#drained();
      if (signal.aborted) onAbort();
    });
  }

  progress(progress: Progress): void {
    for (const { client } of this.#all) client.progress(progress);
  }

  commit(headers: ReplyHeaders): void {
    for (const reader of this.#all) {
      reader.client.commit(headers);
      reader.isLive = !this.#content.ledger.isAhead;
    }
  }

  push(event: StreamEvent, kind: EventKind): void {
    for (const reader of this.#all) {
      if (!reader.isLive) continue;
      reader.client.push(event, kind);
      reader.cursor++;
    }
  }

  /** @returns false when the upstream has to wait. */
  flush(): boolean {
    const { events } = this.#content;
    let isFlowing = this.count === 0;
    for (const reader of this.#all) {
      if (!reader.isLive) isFlowing ||= events.bytesAfter(reader.cursor) < this.#options.maxBytes / 2;
      else if (reader.client.flush()) isFlowing = true;
      else {
        reader.isLive = false;
        this.#stop(reader);
      }
    }
    return this.#paced(isFlowing);
  }

  finish(): void {
    for (const reader of this.#all) if (reader.isLive) reader.client.finish();
  }

  begin(status: number, headers: ReplyHeaders): void {
    for (const { client } of this.#all) client.begin(status, headers);
  }

  write(chunk: Buffer): boolean {
    let isFlowing = true;
    for (const { client } of this.#all) if (!client.write(chunk)) isFlowing = false;
    return this.#paced(isFlowing);
  }

  onDrain(listener: () => void): () => void {
    this.#drainListeners.add(listener);
    return () => void this.#drainListeners.delete(listener);
  }

  /** They may be told more than before. */
  show(): void {
    for (const reader of this.#all) this.#catchUp(reader);
    this.#drained();
  }

  /** They may be told how it ended. */
  showEnd(): void {
    const { shownEnd: end, shown, isPiped } = this.#content;
    if (end === undefined) return;
    for (const reader of this.#all) {
      // Of a body that is passed on the bytes have gone.
      if (isPiped) reader.end({ kind: "over", end });
      // The end stands behind what it lacks.
      else if (reader.goneFor !== undefined && reader.cursor < shown) this.#endEarly(reader, reader.goneFor);
      else this.#catchUp(reader);
    }
  }

  /** What follows is known here alone, and has numbers of its own. */
  renumber(): void {
    for (const reader of this.#all) reader.renumbersAfter = this.#content.ledger.renumbersAfter;
  }

  /** Another replica goes on with it. */
  move(): void {
    for (const reader of this.#all) reader.end({ kind: "moved", after: reader.cursor });
  }

  #paced(isFlowing: boolean): boolean {
    if (!isFlowing) this.#isUpstreamPaused = true;
    return isFlowing;
  }

  #drained(): void {
    if (!this.#isUpstreamPaused) return;
    this.#isUpstreamPaused = false;
    for (const listener of this.#drainListeners) listener();
  }

  /** Gives a reader what it lacks, and from then on what comes. */
  #catchUp(reader: KeptReader): void {
    const { head, end, shownEnd, events, shown, ledger } = this.#content;
    if (reader.isLive ? end === undefined : head === undefined && end === undefined) return;
    switch (reader.catchUp(events, shown)) {
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
        reader.isLive = head !== undefined && !ledger.isAhead;
        if (shownEnd === undefined) return;
        reader.client.finish();
        reader.end({ kind: "over", end: shownEnd });
        return;
    }
    // While it is made the clocks of its run end the wait for a client.
    if (end !== undefined) reader.client.takeOrLeave?.();
  }

  #catchUpAgain(reader: KeptReader): void {
    if (!this.#all.includes(reader)) return;
    this.#catchUp(reader);
    this.#drained();
  }

  #leave(reader: KeptReader, failure: Failure): void {
    // The last one waits for the end: what was read by now may be whole.
    reader.goneFor = failure;
    if (this.#options.onLeave(failure, this.count === 1) === "left") this.#endEarly(reader, failure);
  }

  #endEarly(reader: KeptReader, failure: Failure): void {
    const lastEvent = this.#content.events.at(reader.cursor)?.event ?? reader.stoppedAt;
    reader.end({ kind: "left", failure, lastEvent });
  }

  #stop(reader: KeptReader): void {
    reader.stoppedAt = this.#content.events.at(reader.cursor)?.event;
  }
}

const TOO_SLOW = "the client read so slowly that what it has not got is not kept any more";
