/** One attempt at an answer that is not streamed: buffered, checked, and passed on byte for byte. */
import { createAnswerReader, parseAnswer } from "../attempt/answer-reader.ts";
import { callUpstream } from "../attempt/call-upstream.ts";
import { Failure } from "../core/failure.ts";
import type { DialectAttempt } from "./attempt-stream.ts";
import { mediaType, rejectEncoded } from "./response-media.ts";

/** @returns false: an answer is passed on as it came, or not at all. */
export async function attemptAnswer(context: DialectAttempt): Promise<boolean> {
  const { exchange, dialect, response, attempt, acceptEmpty, options } = context;
  const { path, method, headers, body } = exchange.request;
  const answer = await callUpstream<{ status: number; headers: Record<string, string | string[]>; body: Buffer }>(
    {
      upstream: options.upstream,
      attempt,
      signal: exchange.signal,
      request: { method, path, headers, body, set: { "accept-encoding": "identity" }, bodyTimeoutMs: 0 },
      // Nothing comes before the whole answer is there, so only the total time limits the wait for its first byte.
      watchdog: { firstTokenMs: 0, idleMs: options.timeouts.idle },
      maxReplyBytes: options.limits.maxBodyBytes,
    },
    ({ status, headers }, control) => {
      rejectEncoded(headers);
      const type = mediaType(headers);
      if (type === "text/event-stream" || type === "text/html") {
        throw new Failure("stream_corrupted", `the upstream answered with content-type "${type}" instead of JSON`);
      }
      // The head has come: from now on silence is a stall.
      control.progress();
      return createAnswerReader({
        maxBytes: options.limits.maxBodyBytes,
        onProgress: control.progress,
        onFailure: control.fail,
        onWhole(bytes) {
          const problem = dialect.inspectAnswer(parseAnswer(bytes), acceptEmpty);
          if (problem !== undefined) throw problem;
          control.succeed({ status, headers: { ...headers }, body: bytes }, true);
        },
      });
    },
  );
  response.reply(answer.status, answer.headers, answer.body);
  return false;
}
