/** Asks a small question before the first user does: the first request after an upstream's start is slow, or comes back empty. */
import { createAnswerReader, parseAnswer } from "../attempt/answer-reader.ts";
import type { BodyReader } from "../attempt/body-reader.ts";
import { type CallControl, callUpstream } from "../attempt/call-upstream.ts";
import { createStreamReader } from "../attempt/stream-reader.ts";
import type { Attempt } from "../core/attempt.ts";
import type { Dialect, DialectRequest } from "../core/dialect.ts";
import { type Failure, toFailure } from "../core/failure.ts";
import type { Observer } from "../core/observer.ts";
import type { ReplyHeaders } from "../downstream/client-response.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { chooseByMediaType } from "./response-media.ts";

export interface WarmUpOptions {
  readonly upstream: Upstream;
  readonly dialect: Dialect;
  /** Where the question is asked, under the base URL. */
  readonly path: string;
  /** Fields of the question, over those of the default one. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Ask again after this long without a request that runs, in milliseconds; 0 for never. */
  readonly idleMs: number;
  /** How long one answer may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Largest answer, in bytes. */
  readonly maxBytes: number;
  /** A streamed answer without its terminator is cut. */
  readonly requireDone: boolean;
  onWarm(durationMs: number): void;
  /** It will be asked again after `delayMs`. */
  onFailure(failure: Failure, delayMs: number): void;
}

const HEADERS = { "content-type": "application/json", accept: "application/json" };
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;

export class WarmUp {
  /** It has answered, and has not been down since. */
  isWarm = false;
  readonly #options: WarmUpOptions;
  readonly #closed = new AbortController();
  /** Attempts of users that run: a busy upstream is not asked, since some can answer only one at a time. */
  #running = 0;
  #asking = false;
  /** A user got an answer since the question was sent, and the upstream has not gone down since. */
  #served = false;
  /** Questions in a row that were not answered. */
  #failures = 0;
  /** On the clock of `performance.now()`. */
  #askAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WarmUpOptions) {
    this.#options = options;
  }

  /** What it needs to hear of: an upstream that went down is cold when it returns, one that answers its users is warm. */
  readonly observer: Observer = {
    onAttemptStart: () => {
      this.#running++;
      clearTimeout(this.#timer);
    },
    onAttemptEnd: ({ ask }, { failure, durationMs }) => {
      this.#running--;
      if (failure === undefined && ask !== undefined) {
        this.#served = true;
        this.#failures = 0;
        if (!this.isWarm) this.#options.onWarm(durationMs);
        this.isWarm = true;
      }
      if (failure === "upstream_unreachable" && this.isWarm) {
        this.isWarm = this.#served = false;
        this.#askAfter(FIRST_DELAY_MS);
      } else if (this.isWarm) this.#waitForIdle();
      else this.#arm();
    },
  };

  start(): void {
    this.#askAfter(0);
  }

  close(): void {
    this.#closed.abort();
    clearTimeout(this.#timer);
  }

  #waitForIdle(): void {
    this.#askAfter(this.#options.idleMs || Number.POSITIVE_INFINITY);
  }

  #askAfter(delayMs: number): void {
    this.#askAt = performance.now() + delayMs;
    this.#arm();
  }

  /** The time to ask outlives whatever users do meanwhile, or many who come to no answer would put it off for ever. */
  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#closed.signal.aborted || this.#asking || this.#running > 0 || this.#askAt === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => void this.#ask(), Math.max(0, this.#askAt - performance.now())).unref();
  }

  async #ask(): Promise<void> {
    const began = Date.now();
    this.#asking = true;
    this.#served = false;
    const failure = await this.#askOnce().then(() => undefined, toFailure);
    this.#asking = false;
    if (this.#closed.signal.aborted) return;
    if (failure === undefined) {
      this.isWarm = true;
      this.#failures = 0;
      this.#options.onWarm(Date.now() - began);
    } else if (!this.#served) {
      // A refusal is an answer too: it does not make the upstream warm, nor cold, and will not change soon.
      if (failure.retryable) this.isWarm = false;
      const slowly = (this.isWarm && this.#options.idleMs) || MAX_DELAY_MS;
      const delayMs = failure.retryable ? Math.min(FIRST_DELAY_MS * 2 ** this.#failures, MAX_DELAY_MS) : slowly;
      this.#failures++;
      this.#options.onFailure(failure, delayMs);
      this.#askAfter(delayMs);
      return;
    }
    this.#waitForIdle();
  }

  async #askOnce(): Promise<void> {
    const { upstream, dialect, path, request, timeoutMs, maxBytes } = this.#options;
    const fields = { ...dialect.question.fields, ...request, stream: false };
    const asked = dialect.parseRequest(fields);
    const attempt: Attempt = {
      number: 1,
      upstream: upstream.name,
      startedAt: Date.now(),
      durationMs: 0,
      failure: undefined,
      status: undefined,
    };
    await callUpstream<void>(
      {
        upstream,
        attempt,
        signal: this.#closed.signal,
        request: {
          method: "POST",
          path,
          headers: { ...HEADERS, ...dialect.question.headers },
          set: { "accept-encoding": "identity" },
          body: Buffer.from(JSON.stringify(fields)),
          repeatable: true,
        },
        watchdog: { firstTokenMs: timeoutMs, idleMs: timeoutMs },
        answersBelow: 300,
        maxReplyBytes: maxBytes,
      },
      ({ headers }, control) => readAnswer(headers, control, this.#options, asked),
    );
  }
}

/** Judges the answer, and keeps nothing of it. */
function readAnswer(
  headers: ReplyHeaders,
  control: CallControl<void>,
  { dialect, maxBytes, requireDone }: WarmUpOptions,
  asked: DialectRequest,
): BodyReader {
  const json = (): BodyReader =>
    createAnswerReader({
      maxBytes,
      onProgress: control.progress,
      onFailure: control.fail,
      onWhole(body) {
        const problem = dialect.inspectAnswer(parseAnswer(body), false, asked);
        if (problem !== undefined) throw problem;
        control.succeed(undefined, true);
      },
    });
  const stream = (): BodyReader =>
    createStreamReader({
      dialect: { ...dialect, encodeEvent: () => "" },
      asked,
      acceptEmpty: false,
      sink: { push: () => true, open: () => {} },
      maxEventBytes: maxBytes,
      holdToolCalls: false,
      maxHeldBytes: 0,
      maxHeldEventBytes: 0,
      requireTerminator: requireDone,
      onContent: control.progress,
      onFull() {},
      onWhole: ({ bodyEnded }) => control.succeed(undefined, bodyEnded),
      onFailure: control.fail,
    });
  // Chatchat's native routes stream whatever `stream` says.
  const streamsAlways = dialect.askStreamed({}, false) === undefined;
  return chooseByMediaType(headers, streamsAlways ? { stream, json } : { json });
}
