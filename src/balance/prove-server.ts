/** Small questions that show whether a server goes on with an answer: what comes next is the same for every model, or nearly. */
import { callUpstream } from "../call/call-upstream.ts";
import { chooseReader } from "../call/choose-reader.ts";
import { createStreamReader } from "../call/stream-reader.ts";
import type { Attempt } from "../core/attempt.ts";
import type { ContinuationStyle, Continuing } from "../core/continuing.ts";
import type { Dialect } from "../core/dialect.ts";
import type { EventSink } from "../core/event-sink.ts";
import type { Headers } from "../core/exchange.ts";
import { Failure, toFailure } from "../core/failure.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { ServerProof } from "./continuation-memory.ts";

export interface ServerQuestions {
  readonly upstream: Upstream;
  readonly dialect: Dialect;
  readonly continuing: Continuing;
  readonly style: ContinuationStyle;
  /** Where the answer was asked for, and with which headers. */
  readonly path: string;
  readonly headers: Headers;
  /** The client's request, whose model and way of thinking the questions have. */
  readonly body: unknown;
  /** How long one answer may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Largest answer, in bytes. */
  readonly maxBytes: number;
}

interface Question {
  readonly asks: string;
  /** The beginning that the server is given; it ends where a token does. */
  readonly beginning: string;
  /** What comes next, to the letter. A server that answers anew cannot begin with it. */
  readonly next: string;
}

const QUESTIONS: readonly Question[] = [
  {
    asks: "Count from one to twenty in words, separated by commas.",
    beginning: "one, two, three, four, five, six, seven,",
    next: " eight",
  },
  { asks: "Write the numbers from 1 to 20, one in each line.", beginning: "1\n2\n3\n4\n5\n6\n7\n8\n", next: "9" },
  { asks: "Write the alphabet in capital letters, separated by spaces.", beginning: "A B C D E F G H", next: " I" },
  { asks: "Write the word echo thirty times, separated by spaces.", beginning: "echo echo echo echo echo", next: " echo" },
  { asks: "Write a Python list of the numbers from 1 to 20.", beginning: "[1, 2, 3, 4, 5,", next: " 6" },
];
/** A small model may be wrong once. */
const MAY_FAIL = 1;
const MAX_TOKENS = 8;
/** What a proof costs at most: answers, of eight tokens each. */
export const QUESTION_COUNT = QUESTIONS.length;

/** @throws Failure when the questions cannot be asked now; a refusal of them is an answer. */
export async function proveServer(questions: ServerQuestions): Promise<ServerProof> {
  const asked = QUESTIONS.filter(({ beginning }) => !(questions.continuing.refusesTrailingSpace && /\s$/.test(beginning)));
  const answers = await Promise.all(
    asked.map(async (question) => ({ question, text: await ask(question, questions).catch(asRefusal) })),
  );
  const isTrimmed = ({ question, text }: (typeof answers)[number]): boolean => text.startsWith(`\n${question.next}`);
  const right = answers.filter((answer) => {
    const { beginning, next } = answer.question;
    return answer.text.startsWith(next) || (beginning.endsWith("\n") && isTrimmed(answer));
  });
  return { goesOn: right.length >= asked.length - MAY_FAIL, trims: right.some(isTrimmed) };
}

/** It will not continue, in so many words. @throws Failure for what may be otherwise a moment later. */
function asRefusal(thrown: unknown): string {
  const failure = toFailure(thrown);
  if (failure.scope === "again" && failure.code !== "empty_stream") throw failure;
  return "";
}

async function ask({ asks, beginning }: Question, options: ServerQuestions): Promise<string> {
  const { upstream, dialect, continuing, style, timeoutMs, maxBytes } = options;
  const fields = continuing.askQuestion(options.body, asks, MAX_TOKENS);
  const body = continuing.askRest(fields, { prefix: beginning, style, maxTokens: undefined });
  if (body === undefined) throw new Failure("invalid_request", "an answer cannot be continued in this dialect");
  const request = dialect.parseRequest(body);
  const record = continuing.record();
  const collect: EventSink = { push: (event) => record.add(event), flush: () => true, finish() {} };
  const { "content-encoding": _encoding, "idempotency-key": _key, ...headers } = options.headers;
  await callUpstream<void>(
    {
      upstream,
      attempt: unreported(upstream.name),
      // Its own clocks end it.
      signal: new AbortController().signal,
      request: {
        method: "POST",
        path: options.path,
        headers,
        set: { "accept-encoding": "identity" },
        body: Buffer.from(JSON.stringify(body)),
        idempotent: true,
      },
      propagated: {},
      watchdog: { firstTokenMs: timeoutMs, aliveMs: timeoutMs, idleMs: timeoutMs, idleFrom: "content", pausedMs: timeoutMs },
      inflates: true,
      answersBelow: 300,
      maxReplyBytes: maxBytes,
    },
    ({ headers }, control) =>
      chooseReader(
        headers,
        {
          stream: () =>
            createStreamReader({
              inspector: dialect.inspectStream(request),
              sink: collect,
              control,
              maxEventBytes: maxBytes,
              requireTerminator: false,
              acceptEmpty: false,
              onWhole: ({ bodyEnded }) => control.succeed(undefined, bodyEnded),
            }),
          json: () => {
            throw new Failure("stream_corrupted", "the upstream answered a question as a whole", { scope: "never" });
          },
        },
        { form: "stream", maxBytes, onFailure: control.fail },
      ),
  );
  // Thoughts, or a call, and then the answer: it has begun a new turn.
  return record.obstacles.has("reasoning") || record.obstacles.has("tools") ? "" : record.text;
}

/** No attempt of a client's: nobody is told of it. */
function unreported(upstream: string): Attempt {
  return { number: 1, upstream, startedAt: Date.now(), durationMs: 0, failure: undefined, status: undefined };
}
