/** Inflates a body that was compressed although identity was asked for, so that its reader sees what was meant. */
import type { Transform } from "node:stream";
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from "node:zlib";
import { Failure } from "../core/failure.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { BodyReader } from "./body-reader.ts";

export interface InflatingReader extends BodyReader {
  /** Hands on nothing until resumed; bounded, since the upstream is paused with it. */
  pause(): void;
  resume(): void;
  /** Nothing more is wanted. What bounds the size of a body is its reader, which then ends the call. */
  close(): void;
}

/** How a body is compressed; undefined when it is not. */
export function encodingOf(headers: ReplyHeaders): string | undefined {
  const named = String(headers["content-encoding"] ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== "identity");
  return named.length === 0 ? undefined : named.join(", ");
}

/** The headers of the same body, inflated. */
export function withoutEncoding(headers: ReplyHeaders): ReplyHeaders {
  const { "content-encoding": _encoding, "content-length": _length, ...kept } = headers;
  return kept;
}

/** What is there is handed on at once: events must not wait for others to fill a block. */
const FLUSHED = { flush: constants.Z_SYNC_FLUSH };

/** What an inflater may need to look back on, in bytes; its state is small beside that. */
const WINDOW_BYTES: Readonly<Record<string, number>> = { br: 4 * 1024 ** 2, zstd: 8 * 1024 ** 2 };
const SMALL_WINDOW_BYTES = 64 * 1024;

/** What reading a body of this encoding takes, in bytes. */
export function inflaterBytes(encoding: string): number {
  return WINDOW_BYTES[encoding] ?? SMALL_WINDOW_BYTES;
}

const INFLATERS: Readonly<Record<string, (start: Buffer) => Transform>> = {
  gzip: () => createGunzip(FLUSHED),
  "x-gzip": () => createGunzip(FLUSHED),
  // Servers mean either by it, with zlib's header (RFC 9110 §8.4.1.2) or without.
  deflate: (start) => (((start[0] ?? 0) & 0x0f) === 8 ? createInflate(FLUSHED) : createInflateRaw(FLUSHED)),
  br: () => createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH }),
  // No more than a coding of HTTP may need (RFC 9659); the frame itself could ask for 128 MiB.
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 23 } }),
};

/**
 * @param next reads what was meant; it may be handed data after the call was settled, and must not mind.
 * @param onCorrupted the data is not what the encoding says.
 * @throws Failure `stream_corrupted` for an encoding that is not known.
 */
export function createInflatingReader(
  encoding: string,
  next: BodyReader,
  onCorrupted: (failure: Failure) => void,
): InflatingReader {
  const create = INFLATERS[encoding];
  if (create === undefined) {
    throw new Failure("stream_corrupted", `the upstream compressed its answer (${encoding}), though identity was asked for`);
  }
  let inflater: Transform | undefined;
  let isPaused = false;
  /** Why the body ended, when that was not a clean end. */
  let cause: Failure | undefined;
  let phase: "reading" | "ending" | "over" = "reading";

  function end(how: Failure | undefined): void {
    if (phase === "over") return;
    phase = "over";
    next.onEnd(how);
  }

  function begin(start: Buffer): Transform {
    const begun = (create as (start: Buffer) => Transform)(start);
    begun.on("data", (chunk: Buffer) => next.onData(chunk));
    begun.on("end", () => end(cause));
    begun.on("error", (error: NodeJS.ErrnoException) => {
      if (phase === "over") return;
      // More was to come: a cut, as it would be in a body that is not compressed.
      const isCut = phase === "ending" && /unexpected end of file/.test(error.message);
      if (isCut) return end(cause ?? new Failure("stream_truncated", "the upstream's compressed body stops in the middle"));
      phase = "over";
      const message = `the upstream compressed its answer (${encoding}), though identity was asked for, and it cannot be inflated`;
      onCorrupted(new Failure("stream_corrupted", message, { cause: error }));
    });
    if (isPaused) begun.pause();
    return begun;
  }

  return {
    onData(chunk) {
      if (phase !== "reading" || chunk.length === 0) return;
      inflater ??= begin(chunk);
      inflater.write(chunk);
    },
    onEnd(why) {
      if (phase !== "reading") return;
      phase = "ending";
      cause = why;
      // A client that reads too slowly has not taken what is there: to the reader it has not come.
      if (inflater === undefined || (isPaused && why !== undefined)) end(why);
      else inflater.end();
    },
    pause() {
      isPaused = true;
      inflater?.pause();
    },
    resume() {
      isPaused = false;
      inflater?.resume();
    },
    close() {
      phase = "over";
      inflater?.destroy();
    },
  };
}
