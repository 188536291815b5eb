/** `gate.lag`: a stream is shown late by that much, so that a break within it is unseen, whatever follows it. */
import { describe, expect } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { askDialect, byName, serveDialect } from "./support/dialect-client.ts";
import { FIXTURES, readDialectStream } from "./support/dialect-fixtures.ts";
import { call, chatChunk, choice, STARTED, WHOLE } from "./support/events.ts";
import { atOnce, begin, open } from "./support/replies.ts";
import { lastId, visit } from "./support/returning-client.ts";
import { test } from "./support/test.ts";

/** Longer than any test: what is shown within it was not shown since it was over. */
const LONG = { gate: { lag: "1m" } };

describe("what is whole within the lag", () => {
  test.for(FIXTURES.map(({ name }) => name))("is shown without waiting for it: %s", async (name, { serve }) => {
    const fixture = byName(name);
    const { perennial } = await serveDialect(serve, fixture, () => fixture.events, LONG);
    const { body } = await askDialect(perennial, fixture);
    expect(readDialectStream(fixture, body)).toEqual(readDialectStream(fixture, fixture.events.join("")));
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: expect.stringMatching(/complete|repaired/) });
  });

  test.for(FIXTURES.map(({ name }) => name))("was asked for again unseen when it broke: %s", async (name, { serve }) => {
    const fixture = byName(name);
    const broken = [...fixture.events.slice(0, -1), `${fixture.events.at(-1)?.slice(0, 9)}`];
    const { perennial } = await serveDialect(serve, fixture, ({ number }) => (number === 1 ? broken : fixture.events), LONG);
    const { body, status } = await askDialect(perennial, fixture);
    // Where the last event is not what makes it whole, nothing broke.
    expect(readDialectStream(fixture, body)).toEqual(readDialectStream(fixture, fixture.events.join("")));
    expect({ status, ...(await perennial.exchangeLog()) }).toMatchObject({
      status: 200,
      outcome: expect.stringMatching(/recovered|complete|repaired/),
    });
  });
});

describe("a break within the lag", () => {
  test.for([
    ["in text", STARTED],
    ["in reasoning", [choice({ role: "assistant" }), choice({ reasoning_content: "Hm" })]],
    ["in a tool call", [...STARTED, choice(call())]],
    ["behind a whole tool call", [chatChunk({ tool_calls: [{ index: 0, id: "t", function: { name: "f", arguments: "{}" } }] })]],
  ] as const)("%s is retried unseen, and never told twice", async ([_where, events], { serve }) => {
    const { perennial, upstream } = await serve([events, WHOLE], LONG);
    const seen = await chat(perennial.baseUrl);
    expect(readStream(seen.body)).toMatchObject({ text: "Hello, world", done: true, errorCode: undefined });
    expect(seen.body).not.toContain("Hm");
    expect([upstream.requests.length, (await perennial.exchangeLog()).outcome]).toEqual([2, "recovered"]);
  });

  test("that cannot be mended is an HTTP error, since nothing was shown", async ({ serve }) => {
    const { perennial } = await serve([STARTED], LONG);
    const { status, body } = await chat(perennial.baseUrl);
    expect([status, JSON.parse(body).error.code]).toEqual([502, "stream_truncated"]);
  });

  test("leaves its client waiting with comments, as before any first word", async ({ serve }) => {
    let end = (): void => {};
    const { perennial } = await serve(
      [
        (socket) => {
          begin(socket);
          socket.write(STARTED.join(""));
          end = () => socket.end();
        },
        atOnce(WHOLE),
      ],
      { ...LONG, heartbeat: { after: "20ms", every: "20ms" } },
    );
    const { body } = await chat(perennial.baseUrl, {}, { onRead: () => end() });
    expect(body).toMatch(/^: keep-alive\n\n/);
    expect(readStream(body)).toMatchObject({ text: "Hello, world", done: true });
  });
});

describe("a break behind the lag", () => {
  const beginning = "Rivers begin where rain and snow gather, ";
  const late = "and they end in the sea, which gives the water back";
  const rest = ["which gives the water back", " to the clouds."] as const;

  test.for(["error", "continue"] as const)("shows all that came first: recovery %s", async (recovery, { serve }) => {
    let breaks = (): void => {};
    const { perennial, upstream } = await serve(
      [
        (socket) => {
          begin(socket);
          socket.write(chatChunk({ role: "assistant" }) + chatChunk({ content: beginning }));
          breaks = () => {
            breaks = () => {};
            socket.end(chatChunk({ content: late.slice(0, -rest[0].length) }) + chatChunk({ content: rest[0] }));
          };
        },
        atOnce([...rest.map((content) => chatChunk({ content })), chatChunk({}, "stop"), "data: [DONE]\n\n"]),
      ],
      { gate: { lag: "1ms" }, recovery, upstream: { continuation: "assistant" } },
    );
    const seen = await chat(perennial.baseUrl, { temperature: 0 }, { onRead: () => breaks() });
    const whole = beginning + late + rest[1];
    const isWhole = recovery === "continue";
    expect(readStream(seen.body)).toMatchObject({
      text: isWhole ? whole : beginning + late,
      done: isWhole,
      errorCode: isWhole ? undefined : "stream_truncated",
    });
    expect(upstream.requests).toHaveLength(isWhole ? 2 : 1);
    if (!isWhole) expect(seen.body).toContain(`${beginning.length + late.length} characters had arrived`);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: isWhole ? "resumed" : "interrupted" });
  });

  test("is as if it were not, to a client that leaves and comes back", async ({ serve }) => {
    let finish = (): void => {};
    const { perennial } = await serve(
      [
        (socket) => {
          begin(socket);
          socket.write(STARTED.join(""));
          finish = () => socket.end(WHOLE.slice(STARTED.length).join(""));
        },
      ],
      { gate: { lag: "20ms" }, replay: { linger: "60s" } },
    );
    const url = `${perennial.baseUrl}/chat/completions`;
    const body = JSON.stringify({ model: "m", stream: true, messages: [] });
    const left = await visit(url, { body, leaveAfter: 2, headers: { "x-perennial-replay": "1" } });
    finish();
    const back = await visit(url, { body, headers: { "last-event-id": lastId(left.body) ?? "" } });
    expect(readStream(left.body + back.body)).toMatchObject({ text: "Hello, world", done: true, errorCode: undefined });
  });

  test("holds nothing of a client that has left", async ({ serve }) => {
    const { perennial } = await serve([open(...STARTED)], { ...LONG, heartbeat: { after: "10ms", every: "10ms" } });
    await chat(perennial.baseUrl, {}, { onRead: (_body, leave) => leave() }).catch(() => undefined);
    expect(await perennial.exchangeLog()).toMatchObject({ outcome: "cancelled" });
    await expect
      .poll(async () => (await (await fetch(`${perennial.url}/metrics`)).text()).includes("perennial_held_bytes 0"))
      .toBe(true);
  });
});
