/** Another leg of an answer that broke: what is asked for, what is taken for it, and what is remembered of a server that does not go on. */
import { describe, expect, test } from "vitest";
import { chatAnswer, chatEvents } from "../../test/support/raw-upstream.ts";
import { type Answers, CHAT, relayed, replies, type SeenRequest, streams } from "../../test/support/relayed.ts";
import { Failure } from "../core/failure.ts";

const WORDS = ["A", " stream", " is", " a", " small", " promise", ": the", " first", " word", " comes", " before", " the last."];
const TEXT = WORDS.join("");
const EVENTS = chatEvents(WORDS);
const GREEDY = { ...CHAT, temperature: 0 };
const cut = new Failure("stream_truncated", "the connection was cut");
const broken = streams(EVENTS.slice(0, 11), cut);
/** Goes on from where it is asked to. */
const goesOn: Answers = (to, request) => {
  const rest = TEXT.slice(JSON.parse(request.body).messages.at(-1).content.length);
  streams(chatEvents([rest.slice(0, 9), rest.slice(9)]))(to, request);
};
const CONTINUES = { recovery: "continue", continuation: "assistant" };
const textOf = (body: string): string =>
  [...body.matchAll(/^data: (\{.*)$/gm)].map(([, json = "{}"]) => JSON.parse(json).choices?.[0]?.delta.content ?? "").join("");
const GIVEN = WORDS.slice(0, 10).join("");

async function answered(answers: readonly Answers[], upstream: object = CONTINUES, headers: Record<string, string> = {}) {
  const rig = relayed({ a: answers }, { upstreams: { a: upstream }, retry: { maxAttempts: 1 } });
  const got = await rig.send({ body: GREEDY, headers });
  return { rig, got, text: textOf(got.body), seams: got.end.seams, seen: rig.seen };
}

test("is asked for with the client's headers, but for the key of its first request, whose answer may be kept for it", async () => {
  const headers = { "idempotency-key": "k", "content-type": "application/json", "x-theirs": "1", "content-encoding": "identity" };
  const { seen, text, seams, got } = await answered([broken, goesOn], CONTINUES, headers);
  expect([text, seams, got.end.outcome]).toEqual([TEXT, ["answer"], "resumed"]);
  const [first, second] = seen as [SeenRequest, SeenRequest];
  expect(first.headers).toEqual(headers);
  expect(second.headers).toEqual({ "content-type": "application/json", "x-theirs": "1" });
  expect(JSON.parse(second.body)).toMatchObject({ model: "m", stream: true, temperature: 0 });
  expect(got.exchange.attempts[1]?.paidTwice).toEqual({ tokens: expect.any(Number), from: "estimate" });
  const native = await answered([broken, streams(EVENTS)], { profile: "llamacpp", recovery: "resume" }, headers);
  expect(native.seen[1]?.headers).toEqual({ "x-theirs": "1" });
  expect([native.text, native.seams, native.seen[1]?.method, native.seen[1]?.body]).toEqual([TEXT, ["native"], "GET", ""]);
  expect(native.seen[1]?.path).toBe(`/stream?conv_id=${native.seen[0]?.set["x-conversation-id"]}&from=0`);
});

test.each<[string, Answers, object, string]>([
  ["an answer in JSON, which would repeat what was told", replies(chatAnswer(TEXT)), CONTINUES, "refused"],
  ["the same, of what was kept", replies(chatAnswer(TEXT)), { profile: "llamacpp", recovery: "resume" }, "refused"],
  ["an answer of its own", streams(chatEvents(["Sure", "! Here it is again."])), CONTINUES, "tail"],
  [
    "another answer that was kept",
    streams(chatEvents(["Sure", "! Here it is again, all of it, and more than that."])),
    { profile: "llamacpp", recovery: "resume" },
    "sequence",
  ],
  ["less than clients have", streams(chatEvents(WORDS.slice(0, 3))), { profile: "llamacpp", recovery: "resume" }, "sequence"],
  ["a refusal", replies({ error: { message: "no prefix" } }, 400), CONTINUES, "refused"],
])("what comes in its place is not told: %s", async (_what, answer, upstream, rule) => {
  const { got, text, seams } = await answered([broken, answer], upstream);
  expect([text, seams, got.end.outcome, got.end.failure]).toEqual([GIVEN, [], "interrupted", "stream_truncated"]);
  // Where only what was kept may go on, nothing else is tried.
  const told = "profile" in upstream ? "unsupported" : rule;
  expect([got.exchange.attempts[1]?.seam ?? got.end.seam, got.end.seam]).toEqual([rule, told]);
  expect(got.body).toContain(`Incomplete stream: the connection was cut. It could not be continued (${told}).`);
  expect(got.body).not.toContain("[DONE]");
});

describe("a server that refuses to go on", () => {
  const refusal = (message: string, status = 400) => replies({ error: { message } }, status);
  test.each<[string, Answers, number]>([
    ["is not asked again", refusal("the last message must be of the user"), 3],
    ["is not asked again, by another status", refusal("no", 422), 3],
    ["is asked again where this answer was too long", refusal("maximum context length exceeded"), 4],
    ["is asked again where it was not refused for that", refusal("down", 500), 4],
  ])("%s", async (_what, answer, asked) => {
    const { rig } = await answered([broken, answer, broken, goesOn]);
    const { body, end } = await rig.send({ body: GREEDY });
    expect(rig.seen.length).toBe(asked);
    expect([textOf(body), end.seam]).toEqual(asked === 4 ? [TEXT, undefined] : [GIVEN, "refused"]);
    // Of another model nothing is known.
    const other = await rig.send({ body: { ...GREEDY, model: "other" } });
    expect(other.end.outcome).toMatch(/resumed|complete|interrupted/);
  });
});

test("what it costs is told, the question as the upstream counts it", async () => {
  const counted: Answers = (to, request) => {
    const rest = TEXT.slice(JSON.parse(request.body).messages.at(-1).content.length);
    const usage = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 77, completion_tokens: 3 } })}\n\n`;
    const events = chatEvents([rest]);
    streams([...events.slice(0, -1), usage, ...events.slice(-1)])(to, request);
  };
  const { got, seen } = await answered([broken, counted]);
  expect(got.end.outcome).toBe("resumed");
  // Of the answer itself nothing was counted before it broke: what is made again of it is estimated.
  const again = GIVEN.length - JSON.parse(seen[1]?.body ?? "{}").messages.at(-1).content.length;
  expect(got.exchange.attempts[1]?.paidTwice).toEqual({ tokens: 77 + Math.ceil(again / 4), from: "estimate" });
});

test("what an upstream kept is let go of when nobody comes back for it, and not when it was whole", async () => {
  const kept = { profile: "llamacpp", recovery: "resume" };
  const whole = await answered([streams(EVENTS)], kept);
  expect(whole.seen.length).toBe(1);
  const headers = { authorization: "Bearer mine", "x-api-key": "mine", cookie: "c" };
  const failed = await answered([broken, replies("no", 404)], kept, headers);
  const id = failed.seen[0]?.set["x-conversation-id"];
  expect(failed.seen.slice(2)).toEqual([
    {
      ...{ upstream: "a", method: "DELETE", path: `/stream?conv_id=${id}`, set: {}, body: "" },
      headers: { authorization: "Bearer mine", "x-api-key": "mine", "api-key": undefined },
    },
  ]);
  expect([failed.got.end.outcome, failed.text]).toEqual(["interrupted", GIVEN]);
});

test("what a request has made is known by its id, also what passes through; what was merely looked up was not made", async () => {
  const { send, context } = relayed({ a: [replies({ id: "file-1" }), replies({ id: "file-2" })], b: replies("never") });
  await send({ path: "/files", body: "{}" });
  await send({ method: "GET", path: "/files/file-2" });
  expect(context.sticky.find(["file-1", "file-2"])).toEqual(new Map([["file-1", "a"]]));
});

test("an answer of one upstream goes on where another's would not, and the other way round it does not", async () => {
  for (const [recovery, other] of [
    [CONTINUES, { recovery: "error" }],
    [{ recovery: "error" }, CONTINUES],
  ] as const) {
    const rig = relayed({ a: [broken, goesOn], b: goesOn }, { upstreams: { a: recovery, b: other } });
    const { body, end } = await rig.send({ body: GREEDY });
    const goes = recovery === CONTINUES;
    expect([textOf(body), end.outcome]).toEqual([goes ? TEXT : GIVEN, goes ? "resumed" : "interrupted"]);
    expect(rig.seen.length).toBe(goes ? 2 : 1);
  }
});
