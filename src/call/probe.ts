/** One small request to an upstream that no client has made: a question, whose answer is judged, or a path that is to answer at all. */
import type { Attempt } from "../core/attempt.ts";
import type { Dialect, DialectRequest } from "../core/dialect.ts";
import { DISCARD } from "../core/event-sink.ts";
import type { ReplyHeaders } from "../core/reply.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { createAnswerReader, isFinishedAnswer, parseAnswer } from "./answer-reader.ts";
import type { BodyReader } from "./body-reader.ts";
import { type CallControl, type CallOptions, callUpstream } from "./call-upstream.ts";
import { chooseReader } from "./choose-reader.ts";
import { createStreamReader } from "./stream-reader.ts";

export interface ProbeOptions {
  readonly upstream: Upstream;
  readonly dialect: Dialect;
  /** Where the question is asked, under the base URL. */
  readonly path: string;
  /** Fields of the question, over those of the default one. */
  readonly request: Readonly<Record<string, unknown>>;
  /** Asked as a stream. @defaultValue false */
  readonly streamed?: boolean;
  /** How long the answer may be silent, in milliseconds. */
  readonly timeoutMs: number;
  /** Largest answer, in bytes. */
  readonly maxBytes: number;
  readonly requireDone: boolean;
  /** Its terminator alone says that an answer is whole (`finish: done`). @defaultValue false */
  readonly terminatorFinishes?: boolean;
}

const HEADERS = { "content-type": "application/json", accept: "application/json" };

/**
 * Resolves when the answer was whole.
 * @throws Failure
 */
export async function probe(options: ProbeOptions, signal: AbortSignal): Promise<void> {
  const { dialect, path, maxBytes } = options;
  const fields = { ...dialect.question.fields, ...options.request, stream: options.streamed === true };
  const request = dialect.parseRequest(fields);
  await callUpstream<void>(
    {
      ...asked(options, signal),
      request: {
        method: "POST",
        path,
        headers: { ...HEADERS, ...dialect.question.headers },
        set: { "accept-encoding": "identity" },
        body: Buffer.from(JSON.stringify(fields)),
        idempotent: true,
      },
      answersBelow: 300,
      inflates: true,
      maxReplyBytes: maxBytes,
    },
    ({ headers }, control) => readAnswer(headers, control, options, request),
  );
}

function readAnswer(
  headers: ReplyHeaders,
  control: CallControl<void>,
  { dialect, streamed = false, maxBytes, requireDone, terminatorFinishes = false }: ProbeOptions,
  request: DialectRequest,
): BodyReader {
  const json = (): BodyReader =>
    createAnswerReader({
      maxBytes,
      isWhole: (body) => isFinishedAnswer(body, dialect),
      onProgress: () => control.notice("content"),
      onFailure: control.fail,
      onWhole(body) {
        const problem = dialect.inspectAnswer(parseAnswer(body).value, false, request);
        if (problem !== undefined) throw problem;
        control.succeed(undefined, true);
      },
    });
  const stream = (): BodyReader =>
    createStreamReader({
      inspector: dialect.inspectStream(request),
      sink: DISCARD,
      control,
      maxEventBytes: maxBytes,
      requireTerminator: requireDone,
      terminatorFinishes,
      acceptEmpty: false,
      onWhole: ({ bodyEnded }) => control.succeed(undefined, bodyEnded),
    });
  // Chatchat's native routes stream whatever `stream` says.
  const form = streamed || dialect.askStreamed({}, false) === undefined ? "stream" : "json";
  const onUndecided = (): void => control.notice("content");
  return chooseReader(headers, { stream, json }, { form, maxBytes, onUndecided, onFailure: control.fail });
}

export interface PathProbeOptions {
  readonly upstream: Upstream;
  /** Where it is asked, under the base URL. */
  readonly path: string;
  /** How long the answer may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** The head of the answer says enough, and no more than this of it is read. */
const MAX_PATH_BYTES = 1_048_576;

/**
 * Resolves when a path answers at all.
 * @throws Failure
 */
export async function askPath(options: PathProbeOptions, signal: AbortSignal): Promise<void> {
  const { path } = options;
  await callUpstream<void>(
    {
      ...asked(options, signal),
      request: { method: "GET", path, headers: { accept: "application/json" }, set: {}, body: null, idempotent: true },
      answersBelow: 400,
      inflates: false,
      maxReplyBytes: MAX_PATH_BYTES,
    },
    (_head, control) => ({
      onData: () => control.succeed(undefined, false),
      onEnd: (cause) => (cause === undefined ? control.succeed(undefined, true) : control.fail(cause)),
    }),
  );
}

/** What both have in common: nobody waits for them but us, and one time bounds every wait. */
function asked({ upstream, timeoutMs }: Pick<ProbeOptions, "upstream" | "timeoutMs">, signal: AbortSignal) {
  const attempt: Attempt = {
    number: 1,
    upstream: upstream.name,
    startedAt: Date.now(),
    durationMs: 0,
    failure: undefined,
    status: undefined,
  };
  return {
    upstream,
    attempt,
    signal,
    propagated: {},
    watchdog: { firstTokenMs: timeoutMs, aliveMs: timeoutMs, idleMs: timeoutMs, pausedMs: 0, idleFrom: "content" },
  } satisfies Partial<CallOptions>;
}
