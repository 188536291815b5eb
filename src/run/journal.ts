/** Where a run's answer goes, and where each of its clients is given it. */
import type { EventKind, EventSink } from "../core/event-sink.ts";
import type { Progress } from "../core/progress.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { StreamEvent } from "../core/stream-event.ts";

/** A client of a run: what it is given, in this order. */
export interface RunClient extends EventSink {
  /** A streamed answer begins, with these headers. */
  commit(headers: ReplyHeaders): void;
  /** A body that is passed through begins. */
  begin(status: number, headers: ReplyHeaders): void;
  /** Bytes of that body. @returns false when the client reads too slowly. */
  write(chunk: Buffer): boolean;
  onDrain(listener: () => void): () => void;
  /** What it waits for, while it has got nothing. */
  progress(progress: Progress): void;
  /** The numbers of what follows are higher by so much, where it is given numbers. */
  renumber?(by: number): void;
  /** No more is made, and it has not taken all: when it takes not one byte for long it is given up, and leaves. */
  takeOrLeave?(): void;
}

/** Keeps nothing: a client that listens is given each event as it comes, and the slowest client sets the pace. */
export class ForwardingJournal implements RunClient {
  /** A list, not a set: most have one entry, and it is walked for every event. */
  #clients: readonly RunClient[] = [];
  readonly #drainListeners = new Set<() => void>();

  /** @returns what ends it: a client that leaves is given nothing more. */
  attach(client: RunClient): () => void {
    this.#clients = [...this.#clients, client];
    const stopListening = client.onDrain(() => this.#drained());
    return () => {
      stopListening();
      this.#clients = this.#clients.filter((other) => other !== client);
      // The others must not wait for one that has left.
      this.#drained();
    };
  }

  get clientCount(): number {
    return this.#clients.length;
  }

  commit(headers: ReplyHeaders): void {
    for (const client of this.#clients) client.commit(headers);
  }

  push(event: StreamEvent, kind: EventKind): void {
    for (const client of this.#clients) client.push(event, kind);
  }

  flush(): boolean {
    let isFlowing = true;
    for (const client of this.#clients) if (!client.flush()) isFlowing = false;
    return isFlowing;
  }

  progress(progress: Progress): void {
    for (const client of this.#clients) client.progress(progress);
  }

  finish(): void {
    for (const client of this.#clients) client.finish();
  }

  begin(status: number, headers: ReplyHeaders): void {
    for (const client of this.#clients) client.begin(status, headers);
  }

  write(chunk: Buffer): boolean {
    let isFlowing = true;
    for (const client of this.#clients) if (!client.write(chunk)) isFlowing = false;
    return isFlowing;
  }

  onDrain(listener: () => void): () => void {
    this.#drainListeners.add(listener);
    return () => void this.#drainListeners.delete(listener);
  }

  #drained(): void {
    for (const listener of this.#drainListeners) listener();
  }
}
