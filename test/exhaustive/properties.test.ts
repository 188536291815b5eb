/**
 * Random upstreams, and what must be true whatever they do. Another seed: PROPERTY_SEED=random or a number; more runs: PROPERTY_RUNS (and --testTimeout).
 * What is right is decided here from what each piece of a stream means, without a line of Perennial's own code.
 */
import type { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ToolCallHold } from "../../src/attempt/tool-call-hold.ts";
import { createStreamReader } from "../../src/call/stream-reader.ts";
import { Failure } from "../../src/core/failure.ts";
import { HeldMemory } from "../../src/core/held-memory.ts";
import type { StreamEvent } from "../../src/core/stream-event.ts";
import { openAiChat } from "../../src/dialect/openai-chat.ts";
import { readEvents } from "../conformance/events.ts";
import { chat, type Seen } from "../support/client.ts";
import { startPerennial, type TestPerennial, UNBOUND } from "../support/perennial.ts";
import { FRAMINGS, type Framing, jsonReply, type RawUpstream, SSE_HEAD, startRawUpstream } from "../support/raw-upstream.ts";

const { PROPERTY_SEED = "20261121", PROPERTY_RUNS } = process.env;
const SEED = PROPERTY_SEED === "random" ? Date.now() | 0 : Number(PROPERTY_SEED);
/** For each test; more than enough, unless the machine is very busy or more runs are asked for. */
const TIME_LIMIT_MS = PROPERTY_RUNS === undefined ? 4_500 : 3_600_000;
const MAX_ATTEMPTS = 3;

/** One piece of a stream, and what it means. */
interface Piece {
  /** Its lines, without the line end of the script; undefined for bytes that are not UTF-8. */
  readonly lines: readonly string[] | undefined;
  /** The `data` that must reach the client as it is. */
  readonly data?: string;
  readonly choices?: readonly { readonly index: number; readonly text: string; readonly finish: string | undefined }[];
  readonly isDone?: true;
  /** The stream cannot be whole behind this. */
  readonly failure?: "retryable" | "final";
}

interface Script {
  readonly pieces: readonly Piece[];
  readonly lineEnd: "\n" | "\r\n" | "\r";
  readonly bom: boolean;
}

/** What can be known of a stream after some of its pieces. */
interface Known {
  readonly data: readonly string[];
  readonly text: string;
  readonly formallyWhole: boolean;
  readonly hasContent: boolean;
  readonly filtered: boolean;
  readonly terminated: boolean;
  readonly failure: Piece["failure"];
}

// --- The oracle: whole is when every choice seen has finished before anything failed, and all that were asked for were seen; where one ever
// went on after its finish, only with the terminator. ---

function know(pieces: readonly Piece[], asked: number, requireDone = false): Known {
  const data: string[] = [];
  const finished = new Map<number, boolean>();
  let text = "";
  let filtered = false;
  let terminated = false;
  let goesOn = false;
  let failure: Piece["failure"];
  for (const piece of pieces) {
    if (piece.isDone) terminated = true;
    failure = piece.failure;
    if (terminated || failure !== undefined) break;
    if (piece.data !== undefined) data.push(piece.data);
    for (const choice of piece.choices ?? []) {
      text += choice.text;
      if (choice.finish === "content_filter") filtered = true;
      if (choice.text !== "" && finished.get(choice.index)) goesOn = true;
      finished.set(choice.index, finished.get(choice.index) || choice.finish !== undefined);
    }
  }
  const allFinished = finished.size > 0 && [...finished.values()].every(Boolean);
  const allSeen = terminated || (!requireDone && !goesOn && finished.size >= asked);
  return { data, text, formallyWhole: allFinished && allSeen, hasContent: text !== "", filtered, terminated, failure };
}

// --- Random pieces ---

const text = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 6 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom("水", "🌊", "é", "\u2028", "\ufeff", "data: [DONE]\n\n", "[DONE]", "\r\n\r\n", '"}', " "),
  },
  // Halves of surrogate pairs, which JSON can say only in escapes.
  {
    weight: 1,
    arbitrary: fc
      .array(fc.integer({ min: 0xd700, max: 0xe000 }), { minLength: 1, maxLength: 3 })
      .map((units) => String.fromCharCode(...units)),
  },
);
const index = (choices: number) => fc.integer({ min: 0, max: choices - 1 });
const spelling = fc.record({
  escaped: fc.boolean(),
  pretty: fc.constantFrom(false, false, false, true),
  space: fc.constantFrom(" ", ""),
  before: fc.constantFrom("", "", "", "id: 7", "retry: 5", "event: message", ": a comment"),
});
type Spelling = typeof spelling extends fc.Arbitrary<infer T> ? T : never;

function spell(json: object, { escaped, pretty, space, before }: Spelling): Pick<Piece, "lines" | "data"> {
  let data = pretty ? JSON.stringify(json, null, 1) : JSON.stringify(json);
  if (escaped) data = data.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return {
    lines: [
      ...(before === "" ? [] : [before]),
      ...data.split("\n").map((line) => `data:${line.startsWith(" ") ? " " : space}${line}`),
    ],
    data,
  };
}

interface Part {
  readonly index: number;
  readonly delta: Readonly<Record<string, string | null>>;
  readonly finish: string | undefined;
}

function chunk(parts: readonly Part[], how: Spelling, more: object = {}): Piece {
  const choices = parts.map(({ index, delta, finish }) => ({ index, delta, finish_reason: finish ?? null }));
  const json = { id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices, ...more };
  return {
    ...spell(json, how),
    choices: parts.map(({ index, delta, finish }) => ({
      index,
      text: (delta.content ?? "") + (delta.reasoning_content ?? ""),
      finish,
    })),
  };
}

const part = (choices: number): fc.Arbitrary<Part> =>
  fc.record({
    index: index(choices),
    delta: fc.oneof(
      { weight: 6, arbitrary: text.map((content) => ({ content })) },
      { weight: 1, arbitrary: text.map((reasoning_content) => ({ reasoning_content, content: null })) },
      { weight: 1, arbitrary: fc.constantFrom({ role: "assistant", content: "" }, { role: "assistant" }, {}, { content: null }) },
    ),
    finish: fc.constant(undefined),
  });

const GOOD_FINISHES = ["stop", "stop", "stop", "length", "tool_calls", "content_filter"];
const json = (value: unknown): string => `data: ${JSON.stringify(value)}`;

const silentPiece: fc.Arbitrary<Piece> = fc.oneof(
  fc.constantFrom<Piece>(
    { lines: [": keep-alive"] },
    { lines: ["data:"] },
    { lines: ["data:   "] },
    { lines: ["event: ping", "data: {}"] },
    { lines: ["Traceback (most recent call last):"] },
    { lines: [] },
  ),
  spelling.map((how) => chunk([], how, { usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } })),
  spelling.map((how) => chunk([], how, { prompt_filter_results: [] })),
);

const failingPiece: fc.Arbitrary<Piece> = fc.constantFrom<Piece>(
  { lines: [json({ error: { message: "m", type: "server_error", param: null, code: 500 } })], failure: "retryable" },
  { lines: [json({ error: "CUDA out of memory" })], failure: "retryable" },
  { lines: [json({ object: "error", message: "m", code: 50001 })], failure: "retryable" },
  { lines: [json({ text: "m", error_code: 50002 })], failure: "retryable" },
  { lines: ["event: error", json({ message: "m" })], failure: "retryable" },
  { lines: ["data: [ERROR] m"], failure: "retryable" },
  { lines: [`error: ${JSON.stringify({ message: "m" })}`], failure: "retryable" },
  { lines: [json({ choices: [{ index: 0, delta: { content: "lost" }, finish_reason: "error" }] })], failure: "retryable" },
  { lines: [json({ choices: [{ index: 0, delta: {}, finish_reason: "abort" }] })], failure: "retryable" },
  { lines: [json({ error: { message: "m", type: "invalid_request_error", code: 400 } })], failure: "final" },
  { lines: ['data: {"id":"c","choices":[{"index":0,"del'], failure: "retryable" },
  { lines: ["data: plain words"], failure: "retryable" },
  { lines: undefined, failure: "retryable" },
);

const donePiece = fc.constantFrom<Piece>({ lines: ["data: [DONE]"], isDone: true }, { lines: ["data:[DONE] "], isDone: true });

/** Mostly an answer with some dirt in it; sometimes unfinished, failing, or going on behind its end. */
const script: fc.Arbitrary<Script> = fc.constantFrom(1, 1, 1, 2, 3).chain((choices) => {
  const said = fc
    .tuple(fc.array(part(choices), { minLength: 1, maxLength: 2 }), spelling)
    .map(([parts, how]) => chunk(parts, how));
  const any = fc.oneof({ weight: 5, arbitrary: said }, { weight: 2, arbitrary: silentPiece });
  const finish = fc
    .tuple(fc.constantFrom(...GOOD_FINISHES), fc.oneof({ weight: 3, arbitrary: fc.constant("") }, text), spelling)
    .map(
      ([reason, content, how]) =>
        (index: number) =>
          chunk([{ index, delta: content === "" ? {} : { content }, finish: reason }], how),
    );
  const finishes = fc
    .tuple(
      fc.array(finish, { minLength: choices, maxLength: choices }),
      fc.constantFrom(choices, choices, choices, choices, choices - 1),
    )
    .map(([all, kept]) => all.slice(0, kept).map((make, index) => make(index)));
  const failure = fc.option(fc.tuple(fc.nat(12), failingPiece), { freq: 2 });
  return fc
    .record({
      said: fc.array(any, { maxLength: 8 }),
      finishes,
      done: fc.option(donePiece, { freq: 4 }),
      after: fc.oneof(
        { weight: 5, arbitrary: fc.constant<Piece[]>([]) },
        fc.array(fc.oneof(any, failingPiece), { maxLength: 2 }),
      ),
      failure,
      lineEnd: fc.constantFrom("\n" as const, "\n" as const, "\r\n" as const, "\r" as const),
      bom: fc.boolean(),
    })
    .map(({ said, finishes, done, after, failure, lineEnd, bom }) => {
      const pieces = [...said, ...finishes, ...(done === null ? [] : [done]), ...after];
      if (failure !== null) pieces.splice(failure[0], 0, failure[1]);
      return { pieces, lineEnd, bom };
    });
});

/** Each piece as it is written, and how much of it says all that it has to say: a cut in the blank line behind takes nothing away. */
function write({ pieces, lineEnd, bom }: Script): { bytes: Buffer; enough: number }[] {
  return pieces.map(({ lines }, position) => {
    const mark = bom && position === 0 ? "\ufeff" : "";
    if (lines === undefined) return { bytes: Buffer.from([0x64, 0x3a, 0xff, 0xfe, 0x0a, 0x0a]), enough: 6 };
    const said = mark + lines.join(lineEnd);
    return { bytes: Buffer.from(said + (lines.length > 0 ? lineEnd : "") + lineEnd), enough: Buffer.byteLength(said.trimEnd()) };
  });
}

/** What is not UTF-8 takes along what came in the same read. */
const isSpoiled = ({ pieces }: Script): boolean => pieces.some(({ lines }) => lines === undefined);

/**
 * What may be known when the pieces have come up to a cut: those that came whole, and the one that lacks but its blank line.
 * Where bytes are lost on the way, any part of that.
 */
function possible(pieces: readonly Piece[], isHere: Here, isLossy: boolean, asked: number, requireDone = false): Known[] {
  const counts = isLossy ? Array.from({ length: isHere.enough + 1 }, (_, count) => count) : [isHere.whole, isHere.enough];
  return [...new Set(counts)].map((count) => know(pieces.slice(0, count), asked, requireDone));
}

/** How many pieces have come: whole, or but for the blank line behind. */
interface Here {
  readonly whole: number;
  readonly enough: number;
}

function isPrefix(part: readonly string[], whole: readonly string[]): boolean {
  return part.every((item, position) => item === whole[position]);
}

/** A place in a sequence, as a share of its length; all are equally likely, which `fc.double` would not make them. */
const share = fc.noBias(fc.nat(9_999).map((n) => n / 9_999));
const shares = fc.array(share, { maxLength: 6 });

function slices(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b), bytes.length];
  return places
    .slice(1)
    .map((place, i) => bytes.subarray(places[i], place))
    .filter((slice) => slice.length > 0);
}

/** Exactly these bytes, in a form that can be pasted into a test. */
const exact = (bytes: Buffer): string => `Buffer.from(${JSON.stringify(bytes.toString("latin1"))}, "latin1")`;

// --- A stream reader alone ---

interface Read {
  readonly data: readonly string[];
  /** Undefined when it was whole. */
  readonly failure: string | undefined;
  /** It was judged before the body ended. */
  readonly isEarly: boolean;
}

interface ReadOptions {
  readonly asked: number;
  readonly requireDone: boolean;
  readonly acceptEmpty: boolean;
  readonly cause: Failure | undefined;
}

/** Hands the reads to a reader, and goes on after its verdict, which must stand. */
function readAll(reads: readonly Buffer[], { asked, requireDone, acceptEmpty, cause }: ReadOptions): Read {
  let pushed = "";
  const verdicts: (string | undefined)[] = [];
  const inspector = openAiChat.inspectStream({ stream: true, model: "m", choices: asked, includeUsage: false });
  const sink = {
    push(event: StreamEvent) {
      expect(verdicts, "text came after the verdict").toEqual([]);
      pushed += openAiChat.encodeEvent(event);
    },
    flush: () => true,
    finish() {},
  };
  const reader = createStreamReader({
    inspector,
    sink: new ToolCallHold({
      next: sink,
      inspector,
      held: new HeldMemory().open(),
      maxBytes: 1_000_000,
      maxEventBytes: 1_000_000,
      maxMs: 60_000,
      onFailure: ({ code }) => void verdicts.push(code),
    }),
    maxEventBytes: 1_000_000,
    requireTerminator: requireDone,
    acceptEmpty,
    control: { notice() {}, pause() {}, fail: ({ code }) => void verdicts.push(code) },
    onWhole: () => void verdicts.push(undefined),
  });
  for (const read of reads) reader.onData(read);
  const isEarly = verdicts.length > 0;
  reader.onEnd(cause);
  reader.onEnd(cause);
  expect(verdicts.length, "verdicts").toBe(1);
  const { data, unfinished } = readEvents(pushed);
  expect(unfinished, "half an event was handed on").toBe("");
  return { data, failure: verdicts[0], isEarly };
}

describe("a stream reader, whatever comes", () => {
  const run = fc.record({
    script,
    at: shares,
    cut: fc.option(share, { freq: 2 }),
    asked: fc.constantFrom(1, 1, 1, 2),
    requireDone: fc.boolean(),
    acceptEmpty: fc.boolean(),
  });

  test("hands on a prefix of the events as they came, calls whole what is whole and nothing else, however the bytes are split", () => {
    const tally = { whole: 0, failed: 0 };
    fc.assert(
      fc.property(run, ({ script, at, cut, asked, requireDone, acceptEmpty }) => {
        const written = write(script);
        const all = Buffer.concat(written.map(({ bytes }) => bytes));
        const length = cut === null ? all.length : Math.floor(cut * all.length);
        const cause = cut === null ? undefined : new Failure("stream_truncated", "cut");
        const reads = slices(all.subarray(0, length), at);
        explained(
          `${reads.map(exact).join(",\n")}\n${JSON.stringify({ asked, requireDone, acceptEmpty, cut: cut !== null })}`,
          () => {
            const read = readAll(reads, { asked, requireDone, acceptEmpty, cause });
            const known = possible(script.pieces, countHere(written, length), isSpoiled(script), asked, requireDone);
            // A last CR may be half of a CRLF.
            const mustBeEarly = known[0]?.terminated || (known[0]?.failure !== undefined && script.lineEnd !== "\r");
            if (mustBeEarly) expect(read.isEarly, "judged as soon as it is known").toBe(true);
            const isWhole = (one: Known): boolean => one.formallyWhole && (one.hasContent || one.filtered || acceptEmpty);
            if (read.failure === undefined) {
              tally.whole++;
              const fitting = known.find((one) => isWhole(one) && one.data.length === read.data.length);
              expect(fitting?.data, "called whole").toEqual(read.data);
            } else {
              tally.failed++;
              expect(isPrefix(read.data, known.at(-1)?.data ?? []), "a prefix of the events").toBe(true);
              if (!isSpoiled(script)) expect(known.every(isWhole), `called ${read.failure}, though it is whole`).toBe(false);
            }
            if (!isSpoiled(script)) {
              const atOnce = readAll([all.subarray(0, length)], { asked, requireDone, acceptEmpty, cause });
              expect(read, "not the same as when all comes at once").toEqual(atOnce);
            }
          },
        );
      }),
      { seed: SEED, numRuns: Number(PROPERTY_RUNS ?? 6_000), interruptAfterTimeLimit: TIME_LIMIT_MS },
    );
    // Where the time limit came first there is nothing to count.
    if (tally.whole + tally.failed > 200)
      expect(Math.min(tally.whole, tally.failed), "both ends are common").toBeGreaterThan((tally.whole + tally.failed) / 8);
  });
});

/** How many pieces have come with the first `length` bytes. */
function countHere(written: readonly { bytes: Buffer; enough: number }[], length: number): Here {
  let at = 0;
  let whole = 0;
  let enough = 0;
  for (const piece of written) {
    if (at + piece.enough > length) break;
    enough++;
    at += piece.bytes.length;
    if (at > length) break;
    whole++;
  }
  return { whole, enough };
}

/** A failed expectation says which bytes it was about; fast-check shows that of the smallest case it found. */
function explained<T>(bytes: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${bytes}`);
  }
}

// --- The whole of Perennial, on real connections ---

type Attempt =
  | {
      readonly kind: "stream";
      readonly script: Script;
      readonly framing: Framing;
      /** Where the response breaks off, head included, as a share of its bytes; null for a regular end. */
      readonly cut: { readonly at: number; readonly how: "FIN" | "RST" } | null;
      readonly reads: readonly number[];
    }
  | { readonly kind: "status"; readonly status: 400 | 429 | 500 | 503 };

const attempt: fc.Arbitrary<Attempt> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constant("stream" as const),
      script,
      framing: fc.constantFrom(...FRAMINGS),
      cut: fc.option(fc.record({ at: share, how: fc.constantFrom("FIN" as const, "RST" as const) }), { freq: 2 }),
      reads: shares,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("status" as const), status: fc.constantFrom(400, 429, 500, 503) }) },
);

/** One request as the upstream answered it. */
interface Served {
  readonly known: readonly Known[];
  /** Nothing was lost on the way, so what is known is certain. */
  readonly certain: boolean;
  readonly bytes: string;
  /** It died before its head was there, or turned the request away at once: Perennial may ask again, outside its count. */
  readonly mayNotCount: boolean;
}

describe("a client of Perennial, whatever the upstream does", () => {
  const exchanges = new Map<string, { attempts: readonly Attempt[]; asked: number; served: Served[] }>();
  let upstream: RawUpstream;
  let quiet: TestPerennial;
  let beating: TestPerennial;

  beforeAll(async () => {
    upstream = await startRawUpstream(async (socket, { json }) => {
      const exchange = exchanges.get(json.model);
      if (exchange === undefined) return;
      const number = exchange.served.length;
      await answer(socket, exchange.attempts[number % exchange.attempts.length] as Attempt, { ...exchange, number });
    });
    const settings = {
      log: { level: "silent" },
      upstream: { emptyFallback: "off" },
      retry: { maxAttempts: MAX_ATTEMPTS, backoff: { initial: 0, jitter: false }, budget: UNBOUND },
    };
    quiet = await startPerennial(upstream.baseUrl, { ...settings, heartbeat: "off" });
    beating = await startPerennial(upstream.baseUrl, { ...settings, heartbeat: { after: 0, every: "1ms" } });
  });

  afterAll(async () => {
    await quiet.close();
    await beating.close();
    await upstream.close();
  });

  const run = fc.record({
    attempts: fc.array(attempt, { minLength: MAX_ATTEMPTS, maxLength: MAX_ATTEMPTS }),
    asked: fc.constantFrom(1, 1, 1, 2),
    heartbeat: fc.boolean(),
  });

  test("it gets one whole answer, or an HTTP error, or a part of one answer and then one error event", async () => {
    const tally = { whole: 0, recovered: 0, interrupted: 0, refused: 0 };
    let number = 0;
    await fc.assert(
      fc.asyncProperty(run, async ({ attempts, asked, heartbeat }) => {
        const model = `run-${number++}`;
        const served: Served[] = [];
        exchanges.set(model, { attempts, asked, served });
        const seen = await chat((heartbeat ? beating : quiet).baseUrl, { model, n: asked });
        exchanges.delete(model);
        const bytes = served.map((one, position) => `request ${position + 1}: ${one.bytes}`).join("\n");
        explained(`${bytes}\nthe client got HTTP ${seen.status}, ${seen.end}: ${JSON.stringify(seen.body)}`, () => {
          tally[judge(seen, served)]++;
        });
      }),
      { seed: SEED, numRuns: Number(PROPERTY_RUNS ?? 500), interruptAfterTimeLimit: TIME_LIMIT_MS },
    );
    const all = Object.values(tally).reduce((sum, count) => sum + count, 0);
    if (all > 200)
      expect(Math.min(...Object.values(tally)), `every end is met: ${JSON.stringify(tally)}`).toBeGreaterThan(all / 50);
  });

  async function answer(
    socket: Socket,
    attempt: Attempt,
    { asked, served, number }: { asked: number; served: Served[]; number: number },
  ): Promise<void> {
    if (attempt.kind === "status") {
      const failure = attempt.status === 400 ? "final" : "retryable";
      const bytes = jsonReply('{"error":{"message":"m","type":"t","code":null}}', `${attempt.status} Status`);
      served.push({ known: [know([{ lines: [], failure }], asked)], certain: true, bytes, mayNotCount: attempt.status === 503 });
      socket.write(bytes);
      return;
    }
    const { script, framing, cut, reads } = numbered(attempt, number);
    const { bytes, headLength, here } = respond(script, framing);
    const sent = cut === null ? bytes : bytes.subarray(0, Math.floor(cut.at * bytes.length));
    // A reset may take along any of what was sent before.
    const isLossy = cut?.how === "RST" || isSpoiled(script);
    served.push({
      known: possible(script.pieces, here(sent.length), isLossy, asked),
      certain: !isLossy,
      bytes: `${slices(sent, reads).map(exact).join(", ")} then ${cut?.how ?? "its regular end"}`,
      mayNotCount: cut !== null && (cut.how === "RST" || sent.length < headLength),
    });
    socket.setNoDelay(true);
    for (const slice of slices(sent, reads)) {
      socket.write(slice);
      await turn();
    }
    if (cut?.how === "RST") socket.write("", () => void setTimeout(() => socket.resetAndDestroy(), 1));
    else if (cut !== null || framing === "close-delimited" || framing === "chunked-close") socket.end();
  }
});

/** The same stream, but every word of it says which request it answers, so that no answer is a prefix of another. */
function numbered<T extends { script: Script }>(attempt: T, number: number): T {
  const tag = `"content":"${number}~`;
  const pieces = attempt.script.pieces.map((piece): Piece => {
    if (piece.data === undefined || piece.lines === undefined) return piece;
    const mark = (text: string): string =>
      text.replace(/"((?:reasoning_)?content)": ?"(?!")/g, (_, key) => tag.replace("content", key));
    return { ...piece, data: mark(piece.data), lines: piece.lines.map(mark) };
  });
  return { ...attempt, script: { ...attempt.script, pieces } };
}

interface Response {
  readonly bytes: Buffer;
  readonly headLength: number;
  /** How many pieces have come with its first bytes. */
  readonly here: (length: number) => Here;
}

/** Each piece is a chunk of its own. */
function respond(script: Script, framing: Framing): Response {
  const written = write(script);
  const isChunked = framing === "chunked" || framing === "chunked-close";
  const total = written.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const how = {
    chunked: "",
    "chunked-close": "connection: close\r\n",
    "content-length": `content-length: ${total}\r\n`,
    "close-delimited": "connection: close\r\n",
  };
  const head = Buffer.from(`${SSE_HEAD}${how[framing]}${isChunked ? "transfer-encoding: chunked\r\n" : ""}\r\n`);
  const parts: Buffer[] = [head];
  const ends: { enough: number; whole: number }[] = [];
  let at = head.length;
  for (const { bytes, enough } of written) {
    const size = isChunked ? Buffer.from(`${bytes.length.toString(16)}\r\n`) : Buffer.alloc(0);
    const end = isChunked ? Buffer.from("\r\n") : Buffer.alloc(0);
    parts.push(size, bytes, end);
    ends.push({ enough: at + size.length + enough, whole: at + size.length + bytes.length });
    at += size.length + bytes.length + end.length;
  }
  if (isChunked) parts.push(Buffer.from("0\r\n\r\n"));
  return {
    bytes: Buffer.concat(parts),
    headLength: head.length,
    here: (length) => ({
      whole: ends.filter(({ whole }) => whole <= length).length,
      enough: ends.filter(({ enough }) => enough <= length).length,
    }),
  };
}

/** Everything that must be true of one exchange. @returns how it ended for the client. @throws when something is not true. */
function judge(seen: Seen, served: readonly Served[]): "whole" | "recovered" | "interrupted" | "refused" {
  const attempts = Number(seen.headers["x-perennial-attempts"]);
  expect(seen.end, "the body ends cleanly").toBe("clean");
  expect(served.length, "the upstream was asked").toBeGreaterThan(0);
  const uncounted = served.filter(({ mayNotCount }) => mayNotCount).length;
  expect(served.length - uncounted, "no more attempts than allowed").toBeLessThanOrEqual(MAX_ATTEMPTS);
  // Later ones may follow a head that a heartbeat has sent.
  expect(attempts, "attempts that the client was told of").toBeLessThanOrEqual(served.length);
  const last = served.at(-1) as Served;
  const isFinal = last.known.some(({ failure }) => failure === "final");

  if (seen.status !== 200) {
    expect(seen.status).toBeGreaterThanOrEqual(400);
    expect(JSON.parse(seen.body)).toHaveProperty("error");
    mustHaveTried(served, isFinal);
    return "refused";
  }
  const { data, unfinished } = readEvents(seen.body);
  expect(unfinished, "no event is torn").toBe("");
  expect(seen.body.endsWith("\n\n")).toBe(true);
  const end = data.at(-1) ?? "";
  const forwarded = data.slice(0, -1);
  const errors = data.filter((item) => item !== "[DONE]" && JSON.parse(item).error);
  const most = last.known.at(-1) as Known;
  // Only the last request's events: nothing that was forwarded was ever followed by a retry.
  expect(isPrefix(forwarded, most.data), "a prefix of one answer").toBe(true);

  if (end !== "[DONE]") {
    expect(errors, "one error event, the last").toEqual([end]);
    expect(JSON.parse(end).error.code).toMatch(/^[a-z_]+$/);
    if (!saysSomething(forwarded)) mustHaveTried(served, isFinal);
    return "interrupted";
  }
  expect(errors, "no error in a whole answer").toEqual([]);
  const fitting = last.known.find((one) => one.formallyWhole && one.data.length === forwarded.length);
  expect(fitting?.data, "told whole").toEqual(forwarded);
  if (!fitting?.hasContent && !fitting?.filtered) {
    const allEmpty = served.every(
      ({ known, mayNotCount }) => mayNotCount || known.some((one) => one.formallyWhole && !one.hasContent),
    );
    expect(allEmpty, "an empty answer is taken only where every attempt was whole and empty").toBe(true);
  }
  return served.length > 1 ? "recovered" : "whole";
}

/** An error without a word of an answer: every attempt was used, or the last failed for good; and none was whole. */
function mustHaveTried(served: readonly Served[], isFinal: boolean): void {
  if (!isFinal) expect(served.length, "gave up too early").toBeGreaterThanOrEqual(MAX_ATTEMPTS);
  for (const { known, certain } of served) {
    if (certain)
      expect(
        known.every((one) => one.formallyWhole && one.hasContent),
        "a whole answer was thrown away",
      ).toBe(false);
  }
}

function saysSomething(data: readonly string[]): boolean {
  return data.some((item) => /"(reasoning_)?content": ?"[^"]/.test(item));
}
