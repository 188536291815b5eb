/** Which clock ends an attempt, and when: by how it was asked, and by what its upstream has said by then. */
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { chatAnswer, chatEvents } from "../../test/support/raw-upstream.ts";
import { type Answers, type Asked, CHAT, type Relayed, relayed } from "../../test/support/relayed.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const CLOCKS = { firstToken: "10s", idle: "20s", alive: "50s", total: "100s", unstreamed: "300s" };
const EVENTS = chatEvents(["hi", " there"]);
const [ROLE = "", WORD = "", MORE = ""] = EVENTS;
const ANSWER = chatAnswer("hi");
const WHOLE = { body: { ...CHAT, stream: false } };
const VIA = { nonStreaming: "viaStream" };
const STREAM = "text/event-stream";
const JSON_TYPE = "application/json";

/** Says each at its second; a content-type first. */
type Script = readonly [head: string | undefined, ...says: readonly (readonly [second: number, text: string])[]];

function says([head, ...texts]: Script, headAfter = 0): Answers {
  return (to) => {
    if (head === undefined) return;
    setTimeout(() => {
      to.onHead(200, head === "" ? {} : { "content-type": head });
      for (const [second, text] of texts) setTimeout(() => to.onData(Buffer.from(text)), second * 1_000);
    }, headAfter * 1_000);
  };
}

/** A comment every five seconds, for so long. */
const pings = (to: number, text = ": ping\n\n"): [number, string][] =>
  Array.from({ length: to / 5 }, (_, index) => [index * 5 + 5, text]);

const FIRST = ["first_token_timeout", "raise timeouts.firstToken"];
const ALIVE = ["first_token_timeout", "raise timeouts.alive"];
const IDLE = ["stream_stalled", "raise timeouts.idle"];
const GAPS = ["stream_stalled", "raise timeouts.alive"];
const TOTAL = ["deadline_exceeded", "raise timeouts.total"];
const UNSTREAMED = ["deadline_exceeded", "raise timeouts.unstreamed"];

/** Two attempts at most: the first of them tells an upstream whose streams are empty. */
async function endOf(asked: Asked, upstream: object, answers: Answers | readonly Answers[], timeouts: object = CLOCKS) {
  const config = { timeouts, heartbeat: false, retry: { maxAttempts: upstream === FALLBACK ? 2 : 1 } };
  const rig = relayed({ a: answers }, { ...config, upstreams: { a: upstream } });
  let got: Relayed | undefined;
  let endedAt = 0;
  const began = performance.now();
  void rig.send(asked).then((end) => {
    got = end;
    endedAt = performance.now();
  });
  // Between two attempts passes a millisecond that no clock of a test moves.
  while (upstream === FALLBACK && rig.seen.length < 2) await turn();
  for (let steps = 0; got === undefined && steps < 100; steps++) await vi.advanceTimersByTimeAsync(5_000);
  return { got, second: Math.round((endedAt - began) / 1_000) };
}

const FALLBACK = { emptyFallback: "next" };
const empty: Answers = (to) => {
  to.onHead(200, { "content-type": STREAM });
  to.onEnd();
};

describe("a stream", () => {
  test.each<[string, Script, number, string[]]>([
    ["that says nothing", [undefined], 10, FIRST],
    ["of which there is the head", [STREAM], 10, FIRST],
    ["that shows life", [STREAM, ...pings(80)], 50, ALIVE],
    ["that shows life for a while", [STREAM, ...pings(40)], 50, ALIVE],
    ["that has begun, without a word", [STREAM, [1, ROLE], ...pings(80)], 50, ALIVE],
    ["that falls silent behind a word", [STREAM, [5, ROLE + WORD]], 25, IDLE],
    ["that shows life behind a word, and no more words", [STREAM, [5, ROLE + WORD], ...pings(90)], 55, GAPS],
    ["that goes on", [STREAM, [5, ROLE + WORD], [20, MORE]], 40, IDLE],
    ["that comes as JSON", [JSON_TYPE], 10, FIRST],
    ["that comes as JSON, in pieces", [JSON_TYPE, [5, ANSWER.slice(0, 9)], [20, ANSWER.slice(9, 20)]], 40, IDLE],
    ["that comes as JSON, kept alive by blanks", [JSON_TYPE, ...pings(90, " ")], 100, TOTAL],
    ["that does not say yet what it is", [STREAM, ...pings(90, " ")], 50, ALIVE],
    ["that says nowhere what it is, in JSON", ["", [5, ANSWER.slice(0, 9)]], 25, IDLE],
  ])("%s", async (_what, script, second, [code, words]) => {
    const { got, ...at } = await endOf({}, {}, says(script));
    expect([at.second, got?.end.failure, got?.body]).toEqual([second, code, expect.stringContaining(`${words}.`)]);
  });
});

describe("an answer that is not streamed", () => {
  test.each<[string, Script, number, string[]]>([
    ["that says nothing", [undefined], 300, UNSTREAMED],
    ["of which there is the head", [JSON_TYPE], 20, IDLE],
    ["of which there is a head that says little", [""], 20, IDLE],
    ["that falls silent", [JSON_TYPE, [15, ANSWER.slice(0, 9)]], 35, IDLE],
    ["that is kept alive by blanks", [JSON_TYPE, ...pings(400, " ")], 300, UNSTREAMED],
    ["that is kept alive by blanks, and says nowhere what it is", ["", ...pings(400, " ")], 300, UNSTREAMED],
    ["that comes as a stream", [STREAM, [5, ROLE + WORD]], 25, IDLE],
    ["that comes as a stream which shows life alone", [STREAM, ...pings(400)], 300, UNSTREAMED],
  ])("%s", async (_what, script, second, [code, words]) => {
    const { got, ...at } = await endOf(WHOLE, {}, says(script));
    expect([at.second, got?.end.failure, got?.body]).toEqual([second, code, expect.stringContaining(`${words}`)]);
  });
});

describe("one that is asked for as a stream (nonStreaming: viaStream)", () => {
  test.each<[string, Script, number, string[]]>([
    ["that says nothing", [undefined], 10, FIRST],
    ["of which there is the head", [STREAM], 10, FIRST],
    ["that shows life", [STREAM, ...pings(80)], 50, ALIVE],
    ["that falls silent behind a word", [STREAM, [5, ROLE + WORD]], 25, IDLE],
    ["that shows life behind a word, and no more words", [STREAM, [5, ROLE + WORD], ...pings(90)], 55, GAPS],
    ["that comes as JSON", [JSON_TYPE], 20, IDLE],
    ["that does not say yet what it is", [STREAM, ...pings(90, " ")], 50, ALIVE],
  ])("%s", async (_what, script, second, [code, words]) => {
    const { got, ...at } = await endOf(WHOLE, VIA, says(script));
    expect([at.second, got?.end.failure, got?.body]).toEqual([second, code, expect.stringContaining(`${words}.`)]);
  });
});

describe("a stream that is asked for whole, since streams of its upstream are empty", () => {
  test.each<[string, Script, number, string[]]>([
    ["that says nothing", [undefined], 100, TOTAL],
    ["of which there is the head", [JSON_TYPE], 20, IDLE],
    ["that falls silent", [JSON_TYPE, [15, ANSWER.slice(0, 9)]], 35, IDLE],
    ["that is kept alive by blanks, and says nowhere what it is", ["", ...pings(400, " ")], 100, TOTAL],
  ])("%s", async (_what, script, second, [code, words]) => {
    const { got, ...at } = await endOf({}, FALLBACK, [empty, says(script)]);
    expect([at.second, got?.end.failure, got?.body]).toEqual([second, code, expect.stringContaining(`${words}.`)]);
  });
});

describe("what passes through", () => {
  test.each<[string, Script, number, string[]]>([
    ["that says nothing", [undefined], 300, UNSTREAMED],
    ["of which there is the head", ["text/plain"], 300, ["first_token_timeout", ""]],
    ["that falls silent", ["text/plain", [15, "a"]], 35, ["stream_stalled", ""]],
    ["that goes on", ["text/plain", [15, "a"], [30, "b"]], 50, ["stream_stalled", ""]],
  ])("%s", async (_what, script, second, [code]) => {
    const { got, ...at } = await endOf({ path: "/files" }, {}, says(script));
    expect([at.second, got?.end.failure]).toEqual([second, code]);
  });
});

describe("the end of a stream", () => {
  const isOver = async (script: Script, upstream: object = {}) => {
    const { got, second } = await endOf({}, upstream, says(script));
    return [second, got?.end.outcome, got?.body.endsWith("data: [DONE]\n\n")];
  };

  test("whose finish has come is not waited for beyond 10 s, and not without a limit where its terminator must come", async () => {
    expect(await isOver([STREAM, [1, EVENTS.slice(0, -1).join("")]])).toEqual([11, "repaired", true]);
    expect(await isOver([STREAM, [1, EVENTS.join("")]])).toEqual([1, "complete", true]);
    expect(await isOver([STREAM, [1, EVENTS.slice(0, -1).join("")]], { requireDone: true })).toEqual([21, "interrupted", false]);
  });
});
