/** What every wire dialect must answer: when is a stream whole, what is content, what does an error look like. */
import type { Continuing } from "./continuing.ts";
import type { Failure } from "./failure.ts";
import type { StreamEvent, Verdict } from "./stream-event.ts";
import type { Transcript } from "./transcript.ts";

/** What a dialect needs to know of the client's request to judge the answer. */
export interface DialectRequest {
  readonly stream: boolean;
  /** As the client named it; for logs. */
  readonly model: string | undefined;
  /** How many choices were asked for (`n`). */
  readonly choices: number;
  /** The client asked for a final usage chunk. */
  readonly includeUsage: boolean;
  /** The client names tools that the model may call. */
  readonly hasTools?: boolean;
}

/** Watches one attempt's stream, event by event. Holds the state that decides whether it is whole. */
export interface StreamInspector {
  onEvent(event: StreamEvent): Verdict;
  /** A line that is no SSE field: FastAPI tracebacks, `error: {…}`, bare JSON. A Failure ends the stream. */
  onStrayLine(line: string): Failure | undefined;
  /** A tool call has begun and is not complete: what has come of it must not be acted on. */
  hasOpenToolCall(): boolean;
  /** Judges the end of the body. `undefined` when the stream is whole. */
  onEnd(end: StreamEnd): Failure | undefined;
  /**
   * Bytes of what tools are to be called with, seen so far: a few characters are wrapped in hundreds, which should not count.
   * Undefined where that is not known.
   */
  readonly toolBytes?: number;
  /** Tool calls that have begun so far. Undefined where one cannot be told from the next. */
  readonly toolCalls?: number;
  /**
   * All has been said, in a way that leaves no doubt: each finish came once, in an event without content. Then the end of the body
   * need not be waited for. Undefined, or false, where it must be.
   */
  readonly isFinished?: boolean;
  /** Content has been seen. */
  readonly hasContent: boolean;
  /** What was odd about a whole answer and did not undo it: a finish that is not known, an error behind the end. For the log. */
  readonly warning?: string | undefined;
  /** The number of the last event, where events are numbered: what follows in our own words goes on from it. */
  readonly lastSequence?: number | undefined;
  /** Characters of text seen so far; for messages and logs. */
  readonly characters: number;
}

export interface StreamEnd {
  /** The terminator, or the final event, was seen. */
  readonly terminated: boolean;
  /** Why the body ended, when that was not a clean end. */
  readonly cause: Failure | undefined;
  /** The body stopped within an event that cannot be used: where nothing else says that an answer is over, this says that it is not. */
  readonly torn: boolean;
  /** The upstream's setting `requireDone`. */
  readonly requireTerminator: boolean;
  /** The upstream's setting `finish: done`: its terminator alone says that an answer is whole. @defaultValue false */
  readonly terminatorFinishes?: boolean;
  /** Every attempt so far was formally whole but empty, and no more will follow: the model has nothing to say. */
  readonly acceptEmpty: boolean;
}

/** A small request that shows whether an upstream answers. */
export interface Question {
  readonly fields: Readonly<Record<string, unknown>>;
  /** Headers that its API insists on; clients send them themselves. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Dialect {
  /** As it appears in logs. */
  readonly name: string;
  /** `gen_ai.operation.name` of OpenTelemetry's semantic conventions. */
  readonly operation: string;
  /** Asks for few tokens, where that can be said without cutting an agent's thoughts. */
  readonly question: Question;
  /** @throws Failure `invalid_request` when the body cannot be such a request. */
  parseRequest(body: unknown): DialectRequest;
  inspectStream(request: DialectRequest): StreamInspector;
  /**
   * The same for an upstream whose last event may be its whole answer, raw: the rest of it, and a finish, are supplied at the end
   * (`repairRawAnswer`). Undefined where no upstream does so. @param push takes what is supplied.
   */
  repairRawAnswer?(inspector: StreamInspector, push: (event: StreamEvent) => void): StreamInspector;
  /** Judges a whole, not streamed answer. `undefined` when it is one. */
  inspectAnswer(answer: unknown, acceptEmpty: boolean, request: DialectRequest): Failure | undefined;
  /** What was odd about an answer that `inspectAnswer` took for whole; for the log. */
  warnOfAnswer?(answer: unknown): string | undefined;
  /**
   * Whether an answer says of itself that it has ended: then it is whole although its connection broke before the body was closed.
   * Undefined, or false, where only a clean end proves that.
   */
  saysFinished?(answer: unknown): boolean;
  /**
   * The events that a stream of this answer would have had, terminator excluded.
   * Undefined where clients take such an answer as it is.
   */
  answerToEvents(answer: unknown, request: DialectRequest): StreamEvent[] | undefined;
  /** The answer that a whole stream stands for, as the upstream would have sent it at once. */
  eventsToAnswer(events: readonly StreamEvent[], request: DialectRequest): unknown;
  /** The same request, asked streamed or not. Undefined where the dialect has only one way. */
  askStreamed(body: unknown, stream: boolean): unknown;
  /** How an answer that broke is asked to go on. Undefined where that cannot be asked. */
  readonly continuing?: Continuing;
  /** Text of one event, where `continuing` does not know it. */
  readText?(event: StreamEvent): string;
  /** One event in wire form; its own bytes where it came so. */
  encodeEvent(event: StreamEvent): string | Buffer;
  /** The terminator in wire form; empty where the final event, or the end of the body, is the terminator. */
  readonly terminator: string;
  /** A terminator that did not come is supplied for an answer that is otherwise whole. */
  readonly repairsTerminator: boolean;
  /** Comments may be sent to keep a silent stream alive. */
  readonly allowsComments: boolean;
  /** Its clients take each network chunk for one event. */
  readonly oneEventPerWrite: boolean;
  /** Its answers may be larger than may be held: what is over the limit is passed on as it comes, and judged no more. */
  readonly pipesLargeAnswers?: true;
  /** Its own client reads the error event, and stumbles over a connection that breaks. */
  readonly endsCleanly?: true;
  /** The explicit error event in wire form, after which nothing follows; `given` is what the client has got before it. */
  encodeError(failure: Failure, message: string, given: Transcript): string;
  /** The JSON body of an HTTP error. */
  errorBody(failure: Failure, message: string): unknown;
}
