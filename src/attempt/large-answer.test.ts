/** An answer that may be larger than is held: judged up to the limit, passed on as it comes beyond it. */
import { expect, test } from "vitest";
import { type Answers, relayed, replies } from "../../test/support/relayed.ts";
import { Failure } from "../core/failure.ts";
import { HeldMemory } from "../core/held-memory.ts";
import { createLargeAnswerReader } from "./large-answer.ts";

const cut = new Failure("stream_truncated", "the connection was cut");

function reading({ maxBytes = 6, flows = true } = {}) {
  const told: string[] = [];
  const held = new HeldMemory();
  const share = held.open();
  const reader = createLargeAnswerReader({
    maxBytes,
    held: share,
    status: 201,
    headers: { "x-theirs": "1" },
    isWhole: (body) => body.toString() === "whole",
    output: {
      openBody: (status, headers) => void told.push(`open ${status} ${JSON.stringify(headers)}`),
      write(chunk) {
        told.push(`write ${chunk}`);
        return flows;
      },
    },
    onFull: () => told.push("full"),
    onPiped: () => told.push("piped"),
    onProgress: () => told.push("progress"),
    onWhole: (body) => told.push(`whole ${body}`),
    onFailure: ({ code }) => told.push(`failed ${code}`),
  });
  const read = (...texts: string[]): void => {
    for (const text of texts) reader.onData(Buffer.from(text));
  };
  return { told, held, read, end: (cause?: Failure) => reader.onEnd(cause) };
}

test("up to the limit it is held, and given to be judged when it is whole", () => {
  const { told, held, read, end } = reading();
  read("abc", "def");
  expect([told, held.bytes]).toEqual([["progress", "progress"], 6]);
  end();
  expect(told).toEqual(["progress", "progress", "whole abcdef"]);
});

test("one byte beyond it, all that came is passed on, in order, and nothing is held any more", () => {
  const { told, held, read, end } = reading();
  read("abc", "def", "g", "h");
  const passed = ['open 201 {"x-theirs":"1"}', "write abc", "write def", "write g"];
  expect([told, held.bytes]).toEqual([["progress", "progress", "progress", ...passed, "progress", "write h"], 0]);
  end();
  expect(told.slice(9)).toEqual(["piped"]);
});

test("a client that is slow stops what follows", () => {
  const { told, read } = reading({ maxBytes: 0, flows: false });
  read("a", "b");
  expect(told.filter((what) => what !== "progress").slice(1)).toEqual(["write a", "full", "write b", "full"]);
});

test("a cut is told before the limit and behind it; what is whole all the same is whole", () => {
  const early = reading();
  early.read("whol");
  early.end(cut);
  expect(early.told.at(-1)).toBe("failed stream_truncated");
  const late = reading({ maxBytes: 1 });
  late.read("whol");
  late.end(cut);
  expect(late.told.slice(-2)).toEqual(["write whol", "failed stream_truncated"]);
  const whole = reading();
  whole.read("whole");
  whole.end(cut);
  expect(whole.told.at(-1)).toBe("whole whole");
});

test("its client gets it with its head, or sees that it broke", async () => {
  const EMBEDDINGS = { path: "/embeddings", body: { model: "m", input: "x" } };
  const limits = { maxBodyBytes: "1KiB" };
  const vector = JSON.stringify({ data: [{ embedding: Array(600).fill(0.25) }] });
  const head = { "content-type": "application/json", "x-theirs": "1" };
  const inTwo =
    (end: (to: Parameters<Answers>[0]) => void): Answers =>
    (to) => {
      to.onHead(200, head);
      to.onData(Buffer.from(vector.slice(0, 1_000)));
      to.onData(Buffer.from(vector.slice(1_000)));
      end(to);
    };
  const whole = await relayed({ a: inTwo((to) => to.onEnd()) }, { limits }).send(EMBEDDINGS);
  expect([whole.status, whole.body, whole.how, whole.end.outcome]).toEqual([200, vector, "clean", "complete"]);
  expect(whole.headers).toMatchObject(head);
  expect(whole.headers).not.toHaveProperty("content-length");
  const broken = await relayed({ a: inTwo((to) => to.onFailure(cut)) }, { limits }).send(EMBEDDINGS);
  expect([broken.body, broken.how, broken.end.outcome, broken.end.failure]).toEqual([
    vector,
    "cut",
    "interrupted",
    "stream_truncated",
  ]);
  // An error within the limit is one, whatever the status says.
  const refused = await relayed({ a: replies({ error: { message: "no such model", code: 404 } }) }, { limits }).send(EMBEDDINGS);
  expect([refused.status, refused.end.outcome]).toEqual([404, "failed"]);
  const small = await relayed({ a: replies({ data: [1] }) }, { limits }).send(EMBEDDINGS);
  expect([small.body, small.headers["content-length"], small.end.outcome]).toEqual(['{"data":[1]}', "12", "complete"]);
});
