/** Reads a body of which only its first bytes tell the kind: holds these back, and hands over to the reader that fits. */
import { type Failure, toFailure } from "../core/failure.ts";
import { parseObject } from "../dialect/json.ts";
import { isJson } from "./answer-reader.ts";
import { type BodyKind, bodyKindOf } from "./body-kind.ts";
import type { BodyReader } from "./body-reader.ts";

export interface SniffingReaderOptions {
  readonly readers: { readonly stream: () => BodyReader; readonly json: () => BodyReader };
  /** The label says that it is an event stream: then what looks like JSON and is none was a line that is no event. */
  readonly saysStream: boolean;
  /** @param kind undefined for a body that ended before it could be told. @throws Failure for what no reader takes. */
  decide(kind: BodyKind | undefined): "stream" | "json";
  /** Largest body that is kept, in bytes; what goes on behind that is what it was. */
  readonly maxBytes: number;
  onUndecided(): void;
  onFailure(failure: Failure): void;
}

type SniffingState =
  | { readonly at: "undecided"; readonly held: Buffer }
  /** JSON so far; all of it is kept, since events may follow what was no more than a line before them. */
  | {
      readonly at: "json";
      readonly reader: BodyReader;
      readonly lines: LineStarts;
      readonly reported: FirstLine;
      readonly chunks: Buffer[];
      bytes: number;
    }
  | { readonly at: "decided"; readonly reader: BodyReader }
  | { readonly at: "over" };

export function createSniffingReader(options: SniffingReaderOptions): BodyReader {
  const { readers } = options;
  let state: SniffingState = { at: "undecided", held: Buffer.alloc(0) };

  function begin(kind: BodyKind | undefined, held: Buffer): void {
    let chosen: "stream" | "json";
    try {
      chosen = options.decide(kind);
    } catch (thrown) {
      state = { at: "over" };
      options.onFailure(toFailure(thrown));
      return;
    }
    if (chosen === "stream") readAsStream([held]);
    else {
      state = { at: "json", reader: readers.json(), lines: new LineStarts(), reported: new FirstLine(), chunks: [], bytes: 0 };
      if (held.length > 0) onData(held);
    }
  }

  function readAsStream(chunks: readonly Buffer[]): BodyReader {
    const reader = readers.stream();
    state = { at: "decided", reader };
    for (const chunk of chunks) if (chunk.length > 0) reader.onData(chunk);
    return reader;
  }

  function onData(chunk: Buffer): void {
    switch (state.at) {
      case "undecided": {
        const held = Buffer.concat([state.held, chunk]);
        const kind = bodyKindOf(held);
        if (kind !== undefined) begin(kind, held);
        else {
          options.onUndecided();
          // Blank lines keep a connection alive, for minutes perhaps, and say nothing.
          state = { at: "undecided", held: held.subarray(held.length - Math.min(held.length, MOST_UNDECIDED)) };
        }
        return;
      }
      case "json":
        state.chunks.push(chunk);
        state.bytes += chunk.length;
        if (state.bytes > options.maxBytes) {
          const { reader } = state;
          state = { at: "decided", reader };
          reader.onData(chunk);
        } else if (state.lines.bringsEvent(chunk) || (options.saysStream && state.reported.isError(chunk)))
          readAsStream(state.chunks);
        else state.reader.onData(chunk);
        return;
      case "decided":
        state.reader.onData(chunk);
    }
  }

  return {
    onData,
    onEnd(cause) {
      if (state.at === "undecided") begin(undefined, state.held);
      if (state.at === "json" && options.saysStream && cause === undefined && !isJson(Buffer.concat(state.chunks))) {
        readAsStream(state.chunks).onEnd(cause);
      } else if (state.at === "json" || state.at === "decided") state.reader.onEnd(cause);
    },
  };
}

/** More than the longest word that can be in doubt, with a byte order mark before it. */
const MOST_UNDECIDED = 16;
/** An event that says something; a line of valid JSON cannot begin so. `[DONE]` is often put behind an answer that is JSON. */
const EVENT = /^data:[ \t]*(?!\[DONE\])[^ \t\r\n]/;
const MAY_BE_EVENT = /^d(?:a(?:t(?:a(?::[ \t]*(?:\[(?:D(?:O(?:NE?)?)?)?)?)?)?)?)?$/;
/** How much of a line is looked at. */
const LINE_CHARACTERS = 64;

/** Finds the first line that is an event, in a body that did not begin with one. */
class LineStarts {
  /** Of the line that has not ended; undefined once it is known to be no event. */
  #begun: string | undefined = "";

  bringsEvent(chunk: Buffer): boolean {
    for (let at = 0; at < chunk.length; ) {
      if (this.#begun !== undefined) {
        const line = this.#begun + chunk.toString("latin1", at, at + LINE_CHARACTERS);
        const isInDoubt = MAY_BE_EVENT.test(line);
        if (!isInDoubt && EVENT.test(line)) return true;
        this.#begun = isInDoubt && line.length < LINE_CHARACTERS ? line : undefined;
      }
      const end = nextLineEnd(chunk, at);
      if (end === -1) return false;
      this.#begun = "";
      at = end + 1;
    }
    return false;
  }
}

function nextLineEnd(chunk: Buffer, from: number): number {
  const feed = chunk.indexOf(0x0a, from);
  const carriage = chunk.subarray(from, feed === -1 ? chunk.length : feed).indexOf(0x0d);
  return carriage === -1 ? feed : from + carriage;
}

/** The longest bare line that is looked into for an error. */
const ERROR_BYTES = 16_384;

/** An error that is written into a stream as a bare line is told when it is there: the stream may stay open for minutes. */
class FirstLine {
  #begun: Buffer | undefined = Buffer.alloc(0);

  /** @returns true once the first line is whole, and an error. */
  isError(chunk: Buffer): boolean {
    if (this.#begun === undefined) return false;
    const line = Buffer.concat([this.#begun, chunk]);
    const end = nextLineEnd(line, 0);
    this.#begun = end === -1 && line.length < ERROR_BYTES ? line : undefined;
    return end !== -1 && Boolean(parseObject(line.toString("utf8", 0, end))?.error);
  }
}
