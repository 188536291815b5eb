/** An answer that another replica may have to go on with: its clients are given what is written, and nothing else by the same numbers. */
import { beforeEach, expect, it } from "vitest";
import { HeldMemory } from "../core/held-memory.ts";
import { openAiChat } from "../dialect/openai-chat.ts";
import type { RunClient } from "./journal.ts";
import type { KeptEnd, ReadEnd } from "./kept-answer.ts";
import { OFF_RECORD } from "./kept-ledger.ts";
import type { KeptMirror, MirrorBreak } from "./kept-mirror.ts";
import { KeptStreams } from "./kept-streams.ts";
import type { Run } from "./run.ts";

const api = { dialect: openAiChat, request: { stream: true, model: "m", choices: 1, includeUsage: false } };
const OPTIONS = { ttl: 1_000, linger: 0, maxStreamBytes: 100_000, maxTotalBytes: 1_000_000 };
const WHOLE: KeptEnd = { kind: "answered", result: { kind: "streamed", repaired: false }, outcome: "complete", seams: [] };

/** A store that says when it has written, and that it cannot. */
class FakeMirror implements KeptMirror {
  readonly isAhead = true;
  readonly unanswered: (() => void)[] = [];
  break: (why: MirrorBreak) => void = () => {};
  begin(): void {}
  leg(): void {}
  append(_events: unknown, _first: number, _dropped: number, onWritten: () => void): void {
    this.unanswered.push(onWritten);
  }
  end(_end: unknown, _last: number, _isKept: boolean, onWritten: () => void): void {
    this.unanswered.push(onWritten);
  }
  onBroken(listener: (why: MirrorBreak) => void): void {
    this.break = listener;
  }
  left(): void {}
  forgetName(): void {}
  forget(): void {}
  write(): void {
    this.unanswered.shift()?.();
  }
}

let mirror = new FakeMirror();
let kept = new KeptStreams(new HeldMemory());
let aborted: unknown;
beforeEach(() => {
  mirror = new FakeMirror();
  kept = new KeptStreams(new HeldMemory());
  aborted = undefined;
});

function begun() {
  const stream = kept.open({ client: "c", request: "r", api }, OPTIONS, undefined, { id: "s", mirror });
  stream.begunBy({ isTaken: true, abort: (failure: unknown) => (aborted = failure) } as unknown as Run);
  stream.commit({});
  return stream;
}

/** What a client was given, and by which numbers. */
function read(stream: ReturnType<typeof begun>, after = 0) {
  const got: { given: string[]; number: number; end?: ReadEnd["kind"] } = { given: [], number: after };
  const client = {
    progress() {},
    commit() {},
    push: ({ data }) => void got.given.push(`${++got.number} ${data}`),
    flush: () => true,
    finish() {},
    begin() {},
    write: () => true,
    onDrain: () => () => {},
    renumber(by) {
      got.number += by;
    },
  } satisfies RunClient as RunClient;
  void stream.read(client, after, new AbortController().signal).then(({ kind }) => {
    got.end = kind;
  });
  return got;
}

function bring(stream: ReturnType<typeof begun>, ...words: string[]): void {
  for (const data of words) stream.push({ event: undefined, data, characters: 1 }, "content");
  stream.flush();
}

it("gives events, and the end, when they are written", async () => {
  const stream = begun();
  const got = read(stream);
  bring(stream, "a", "b");
  expect([got.given, (await stream.tell()).characters]).toEqual([[], 0]);
  mirror.write();
  expect([got.given, (await stream.tell()).characters]).toEqual([["1 a", "2 b"], 2]);
  bring(stream, "c");
  stream.close(WHOLE);
  await Promise.resolve();
  expect([got.given, got.end]).toEqual([["1 a", "2 b"], undefined]);
  expect([await stream.tell(), stream.isLast(4)]).toMatchObject([{ state: "running", events: 2 }, false]);
  mirror.write();
  mirror.write();
  await expect.poll(() => got.end).toBe("over");
  expect([got.given, stream.isLast(4)]).toEqual([["1 a", "2 b", "3 c"], true]);
});

it("goes on when it cannot be written, by numbers that are nobody else's, and knows them again", async () => {
  const stream = begun();
  const got = read(stream);
  bring(stream, "a");
  mirror.write();
  bring(stream, "b");
  mirror.break("unwritten");
  bring(stream, "c");
  expect(got.given).toEqual(["1 a", `${OFF_RECORD + 2} b`, `${OFF_RECORD + 3} c`]);
  const given = (after: number): unknown => (stream.canGiveAfter(after) ? read(stream, after).given : "gone");
  expect([1, 2, 3, OFF_RECORD + 1, OFF_RECORD + 2].map(given)).toEqual([
    [`${OFF_RECORD + 2} b`, `${OFF_RECORD + 3} c`],
    "gone",
    "gone",
    "gone",
    [`${OFF_RECORD + 3} c`],
  ]);
  stream.close(WHOLE);
  await expect.poll(() => got.end).toBe("over");
  expect((await stream.tell()).last).toBe(OFF_RECORD + 4);
});

it("gives nothing more when it is another's, and is not found here any more", async () => {
  const stream = begun();
  const got = read(stream);
  bring(stream, "a");
  mirror.write();
  bring(stream, "b");
  mirror.break("taken over");
  expect(await read(stream, 1)).toMatchObject({ given: [] });
  await expect.poll(() => got.end).toBe("moved");
  expect([got.given, kept.size, aborted]).toMatchObject([["1 a"], 0, { code: "client_gone" }]);
  expect((await stream.read({} as RunClient, 1, new AbortController().signal)).kind).toBe("moved");
});
