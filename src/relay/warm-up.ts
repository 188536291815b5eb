/** Asks a small question before the first user does: the first request after an upstream's start is slow, or comes back empty. */
import { createAnswerReader, parseAnswer } from "../attempt/answer-reader.ts";
import { callUpstream } from "../attempt/call-upstream.ts";
import type { Attempt } from "../core/attempt.ts";
import type { Dialect } from "../core/dialect.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { chooseByMediaType } from "./response-media.ts";

export interface WarmUpOptions {
  readonly upstream: Upstream;
  readonly dialect: Dialect;
  /** Where the question is asked, under the base URL. */
  readonly path: string;
  /** Fields of the question, over the default ones. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Ask again after this long without a request, in milliseconds; 0 for never. */
  readonly idleMs: number;
  /** How long one answer may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Largest answer, in bytes. */
  readonly maxBytes: number;
  onWarm(durationMs: number): void;
  /** It will be asked again after `delayMs`. */
  onFailure(failure: Failure, delayMs: number): void;
}

const QUESTION = { messages: [{ role: "user", content: "你好，你是谁？" }], max_tokens: 32, stream: false };
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;

export class WarmUp {
  /** The question has been answered whole, and the upstream has not been down since. */
  isWarm = false;
  readonly #options: WarmUpOptions;
  readonly #closed = new AbortController();
  #asking = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WarmUpOptions) {
    this.#options = options;
  }

  /** What it needs to hear of: an upstream that went down is cold when it returns, one that is used stays warm. */
  readonly observer: Observer = {
    onAttemptEnd: (_exchange, attempt) => {
      if (attempt.failure === "upstream_unreachable" && this.isWarm) {
        this.isWarm = false;
        this.#askAfter(FIRST_DELAY_MS, 1);
      } else if (this.isWarm) this.#waitForIdle();
    },
  };

  start(): void {
    this.#askAfter(0, 0);
  }

  close(): void {
    this.#closed.abort();
    clearTimeout(this.#timer);
  }

  #askAfter(delayMs: number, failures: number): void {
    if (this.#closed.signal.aborted || this.#asking) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(failures), delayMs).unref();
  }

  #waitForIdle(): void {
    if (this.#options.idleMs > 0) this.#askAfter(this.#options.idleMs, 0);
  }

  async #ask(failures: number): Promise<void> {
    const began = Date.now();
    this.#asking = true;
    try {
      await this.#askOnce();
      this.#asking = false;
      if (this.#closed.signal.aborted) return;
      this.isWarm = true;
      this.#options.onWarm(Date.now() - began);
      this.#waitForIdle();
    } catch (thrown) {
      this.#asking = false;
      if (this.#closed.signal.aborted) return;
      this.isWarm = false;
      const delayMs = Math.min(FIRST_DELAY_MS * 2 ** failures, MAX_DELAY_MS);
      this.#options.onFailure(toFailure(thrown), delayMs);
      this.#askAfter(delayMs, failures + 1);
    }
  }

  #askOnce(): Promise<void> {
    const { upstream, dialect, path, request, timeoutMs, maxBytes } = this.#options;
    const fields = { ...QUESTION, ...request, stream: false };
    const asked = dialect.parseRequest(fields);
    const attempt: Attempt = {
      number: 1,
      upstream: upstream.name,
      startedAt: Date.now(),
      durationMs: 0,
      failure: undefined,
      status: undefined,
    };
    return callUpstream<void>(
      {
        upstream,
        attempt,
        signal: this.#closed.signal,
        request: {
          method: "POST",
          path,
          headers: { "content-type": "application/json", accept: "application/json" },
          set: { "accept-encoding": "identity" },
          body: Buffer.from(JSON.stringify(fields)),
          bodyTimeoutMs: 0,
        },
        watchdog: { firstTokenMs: timeoutMs, idleMs: timeoutMs },
        answersBelow: 300,
        maxReplyBytes: maxBytes,
      },
      ({ headers }, control) =>
        chooseByMediaType(headers, {
          json: () =>
            createAnswerReader({
              maxBytes,
              onProgress: control.progress,
              onFailure: control.fail,
              onWhole(body) {
                const problem = dialect.inspectAnswer(parseAnswer(body), false, asked);
                if (problem !== undefined) throw problem;
                control.succeed(undefined, true);
              },
            }),
        }),
    );
  }
}
