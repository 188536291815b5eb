/** How an answer or a failure reaches a client: with which status, headers, body and end. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Answers, type Asked, CHAT, fails, type Relayed, relayed, replies, streams } from "../../test/support/relayed.ts";
import { Failure } from "../core/failure.ts";

afterEach(() => void vi.useRealTimers());

const OURS = {
  "content-type": "application/json; charset=utf-8",
  "x-perennial-id": "the-id",
  "x-perennial-upstream": "a",
};
const WHOLE = { ...CHAT, stream: false };
const unread = { path: "/files", body: "{}" };
const down = new Failure("upstream_unreachable", "the upstream cannot be reached", { outage: "connection" });
const silent: Answers = () => {};
const length = ({ body }: Relayed) => String(Buffer.byteLength(body));

type Config = Record<string, unknown>;
interface Told {
  readonly status: number;
  readonly headers: object;
  /** Of a failure in our words. */
  readonly code?: string;
  /** In theirs. */
  readonly body?: unknown;
}

test.each<[string, Answers, Asked, Config, Told]>([
  [
    "a cut before any content, as often as may be asked: no SDK is to begin its own round",
    streams([]),
    {},
    {},
    { status: 502, headers: { ...OURS, "x-perennial-attempts": "3", "x-should-retry": "false" }, code: "empty_stream" },
  ],
  [
    "what is not known to be safe to send twice: its client may",
    fails(new Failure("stream_truncated", "cut")),
    unread,
    {},
    { status: 502, headers: { ...OURS, "x-perennial-attempts": "1" }, code: "stream_truncated" },
  ],
  [
    "an upstream that is out: when to come back, and that is the client's to do",
    fails(down),
    {},
    { retry: { outage: "1ms" } },
    { status: 502, headers: { ...OURS, "x-perennial-attempts": "1", "retry-after": "1" }, code: "upstream_unreachable" },
  ],
  [
    "a wait that is asked for with a failure that was costly is its own reply's to tell",
    replies({ error: { message: "slow down" } }, 429, { "retry-after": "200", "x-theirs": "1" }),
    {},
    {},
    {
      status: 429,
      headers: {
        "content-type": "application/json",
        "retry-after": "200",
        "x-theirs": "1",
        "x-perennial-id": "the-id",
        "x-perennial-upstream": "a",
        "x-perennial-attempts": "1",
      },
      body: { error: { message: "slow down" } },
    },
  ],
  [
    "an outage of theirs that names another wait than ours: theirs stands",
    replies({ error: { message: "full" } }, 503, { "retry-after": "1", "x-theirs": "1" }),
    {},
    { retry: { outage: 0 } },
    {
      status: 503,
      headers: {
        "content-type": "application/json",
        "retry-after": "1",
        "x-theirs": "1",
        "x-perennial-id": "the-id",
        "x-perennial-upstream": "a",
        "x-perennial-attempts": "1",
      },
      body: { error: { message: "full" } },
    },
  ],
  [
    "an outage that names no wait: ours is told",
    replies({ error: { message: "full" } }, 503),
    {},
    { retry: { outage: "1ms" } },
    {
      status: 503,
      headers: {
        "content-type": "application/json",
        "retry-after": "1",
        "x-perennial-id": "the-id",
        "x-perennial-upstream": "a",
        "x-perennial-attempts": "1",
      },
      body: { error: { message: "full" } },
    },
  ],
  [
    "what may pass at a time that nobody knows: no time is told",
    fails(new Failure("overloaded", "no room")),
    {},
    {},
    { status: 503, headers: { ...OURS, "x-perennial-attempts": "1" }, code: "overloaded" },
  ],
  [
    "what may pass in less than a second: in whole ones",
    fails(new Failure("overloaded", "no room", { retryAfterMs: 1_001 })),
    {},
    {},
    { status: 503, headers: { ...OURS, "x-perennial-attempts": "1", "retry-after": "2" }, code: "overloaded" },
  ],
  [
    "a shutdown: in a second another replica may answer",
    fails(new Failure("draining", "Perennial is shutting down")),
    {},
    {},
    { status: 503, headers: { ...OURS, "x-perennial-attempts": "1", "retry-after": "1" }, code: "draining" },
  ],
  [
    "a model that nobody serves: no upstream, no attempt",
    silent,
    {},
    { upstreams: { a: { only: ["other"] } } },
    {
      status: 404,
      headers: { "content-type": OURS["content-type"], "x-perennial-id": "the-id", "x-perennial-attempts": "0" },
      code: "not_found",
    },
  ],
])("%s", async (_what, answers, asked, config, { status, headers, code, body }) => {
  const got = await relayed({ a: answers }, config).send(asked);
  expect([got.status, got.headers, got.how]).toEqual([status, { ...headers, "content-length": length(got) }, "clean"]);
  const told = JSON.parse(got.body);
  expect(code === undefined ? told : told.error.code).toEqual(code ?? body);
  expect(got.end).toMatchObject({ outcome: "failed", status, failure: code ?? "upstream_status" });
});

describe("an answer that did not come in time", () => {
  test.each<[string, Asked, Config, number, { code: string; again: string | undefined; setting: string }]>([
    [
      "streamed, of an upstream that says nothing, which may be at work on it: no SDK is to ask again",
      {},
      { timeouts: { firstToken: "10s" }, retry: { budget: { percent: 0, min: 0 } } },
      10_100,
      { code: "first_token_timeout", again: "false", setting: "timeouts.firstToken" },
    ],
    [
      "streamed, at its end",
      {},
      { timeouts: { firstToken: "60s", total: "10s" } },
      10_100,
      { code: "deadline_exceeded", again: "false", setting: "timeouts.total" },
    ],
    [
      "not streamed, four times as late",
      { body: WHOLE },
      { timeouts: { total: "10s" } },
      40_100,
      { code: "deadline_exceeded", again: "false", setting: "timeouts.total" },
    ],
    [
      "not streamed, as late as that is set",
      { body: WHOLE },
      { timeouts: { total: "10s", unstreamed: "50s" } },
      50_100,
      { code: "deadline_exceeded", again: "false", setting: "timeouts.unstreamed" },
    ],
    [
      "as its client has said",
      { headers: { "x-perennial-total-timeout": "5s" }, body: WHOLE },
      { timeouts: { total: "10s" } },
      5_100,
      { code: "deadline_exceeded", again: "false", setting: "x-perennial-total-timeout" },
    ],
    [
      "of what must not be sent twice, which its client may do",
      unread,
      { timeouts: { total: "10s" } },
      40_100,
      { code: "deadline_exceeded", again: undefined, setting: "timeouts.total." },
    ],
  ])("%s", async (_what, asked, config, afterMs, { code, again, setting }) => {
    vi.useFakeTimers();
    let got: Relayed | undefined;
    void relayed({ a: silent }, config)
      .send(asked)
      .then((end) => {
        got = end;
      });
    await vi.advanceTimersByTimeAsync(afterMs - 300);
    expect(got).toBeUndefined();
    await vi.advanceTimersByTimeAsync(300);
    expect([got?.status, got?.headers["x-should-retry"], JSON.parse(got?.body ?? "{}").error]).toMatchObject([
      504,
      again,
      { code, message: expect.stringContaining(`raise ${setting}`) },
    ]);
  });
});
