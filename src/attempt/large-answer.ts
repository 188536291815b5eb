/** An answer of a size that cannot be known before (a million floats): buffered and judged up to the limit, past it passed on as it comes. */
import { type AnswerReaderOptions, createAnswerReader } from "../call/answer-reader.ts";
import type { BodyReader } from "../call/body-reader.ts";
import type { AttemptOutput } from "../core/attempt-output.ts";
import type { ReplyHeaders } from "../core/reply.ts";

export interface LargeAnswerOptions extends AnswerReaderOptions {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly output: Pick<AttemptOutput, "openBody" | "write">;
  /** The client is slow. */
  onFull(): void;
  /** All of an answer over the limit has been passed on. */
  onPiped(): void;
}

export function createLargeAnswerReader(options: LargeAnswerOptions): BodyReader {
  const { status, headers, output, maxBytes } = options;
  const whole = createAnswerReader(options);
  let buffered: Buffer[] | undefined = [];
  let bytes = 0;

  function pass(chunk: Buffer): void {
    if (!output.write(chunk)) options.onFull();
  }

  return {
    onData(chunk) {
      if (buffered === undefined) {
        options.onProgress();
        pass(chunk);
        return;
      }
      buffered.push(chunk);
      bytes += chunk.length;
      if (bytes <= maxBytes) {
        whole.onData(chunk);
        return;
      }
      const begun = buffered;
      buffered = undefined;
      options.held?.add(chunk.length - bytes);
      options.onProgress();
      output.openBody(status, headers);
      for (const part of begun) pass(part);
    },
    onEnd(cause) {
      if (buffered !== undefined) whole.onEnd(cause);
      else if (cause === undefined) options.onPiped();
      else options.onFailure(cause);
    },
  };
}
