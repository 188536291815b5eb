/** A request that Perennial had altered and that was refused, or came to nothing: it is asked again as the client asked it. */
import { afterEach, describe, expect, test } from "vitest";
import { createChaosServer } from "../src/chaos/chaos-server.ts";
import { chat, readStream } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatAnswer, chatEvents, frame, jsonReply, type RawUpstream, startRawUpstream } from "./support/raw-upstream.ts";

const closing: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
});

const REFUSAL = '{"object":"error","message":"Extra inputs are not permitted: stream_options"}';
const VIA_STREAM = { nonStreaming: "viaStream" };

/** Answers each request by its body. */
async function serve(
  answer: (body: Record<string, unknown>) => string | Buffer,
  settings: Record<string, unknown>,
): Promise<{ upstream: RawUpstream; perennial: TestPerennial }> {
  const upstream = await startRawUpstream((socket, { json }) => socket.write(answer(json)));
  closing.push(upstream);
  const perennial = await startPerennial(upstream.baseUrl, settings);
  closing.push(perennial);
  return { upstream, perennial };
}

describe.each(["400 Bad", "422 What"])("an upstream that refuses the alteration (%s)", (status) => {
  const refusing = (isAltered: (body: Record<string, unknown>) => boolean) => (body: Record<string, unknown>) => {
    if (isAltered(body)) return jsonReply(REFUSAL, status);
    return body.stream === true ? frame("chunked", chatEvents(["Hello"])) : jsonReply(chatAnswer("Hello"));
  };

  test("stream_options of ours: the client gets its answer, and the next one at once", async () => {
    const { upstream, perennial } = await serve(
      refusing((body) => "stream_options" in body),
      VIA_STREAM,
    );
    for (const requests of [2, 3, 4]) {
      expect(await chat(perennial.baseUrl, { stream: false })).toMatchObject({ status: 200, body: chatAnswer("Hello") });
      expect(upstream.requests).toHaveLength(requests);
    }
    // Of another model nothing is known.
    await chat(perennial.baseUrl, { stream: false, model: "other" });
    expect(upstream.requests).toHaveLength(6);
  });

  test("also with maxAttempts: 1, since the client's own request was never sent", async () => {
    const { perennial } = await serve(
      refusing((body) => "stream_options" in body),
      { ...VIA_STREAM, retry: { maxAttempts: 1 } },
    );
    expect((await chat(perennial.baseUrl, { stream: false })).status).toBe(200);
  });

  test("stream_options of the client's own are its own to answer for", async () => {
    const { upstream, perennial } = await serve(
      refusing((body) => "stream_options" in body),
      {},
    );
    const seen = await chat(perennial.baseUrl, { stream: true, stream_options: { include_usage: true } });
    expect([seen.status, seen.body, upstream.requests.length]).toEqual([Number.parseInt(status, 10), REFUSAL, 1]);
  });

  test("a request that is wrong itself gets its own refusal, and nothing is remembered of it", async () => {
    const { upstream, perennial } = await serve(
      refusing((body) => body.user === "wrong"),
      VIA_STREAM,
    );
    const seen = await chat(perennial.baseUrl, { stream: false, user: "wrong" });
    expect([seen.status, seen.body]).toEqual([Number.parseInt(status, 10), REFUSAL]);
    await chat(perennial.baseUrl, { stream: false });
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, false, true]);
  });

  test("asked whole for want of content: asked streamed again", async () => {
    let asked = 0;
    const { upstream, perennial } = await serve(
      (body) => {
        if (body.stream === false) return jsonReply(REFUSAL, status);
        return frame("chunked", ++asked === 1 ? [] : chatEvents(["Hello"]));
      },
      { upstream: { emptyFallback: "next" } },
    );
    expect(readStream((await chat(perennial.baseUrl)).body).text).toBe("Hello");
    expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, false, true]);
  });
});

test.each<[string, string | Buffer]>([
  ["nothing", frame("chunked", [])],
  ["bytes that are no stream", frame("chunked", ["data: {not json\n\n"])],
])("a stream of %s in place of an answer is not asked for again, the answer is", async (_what, stream) => {
  const { upstream, perennial } = await serve(
    (body) => (body.stream === true ? stream : jsonReply(chatAnswer("Hello"))),
    VIA_STREAM,
  );
  expect((await chat(perennial.baseUrl, { stream: false })).body).toBe(chatAnswer("Hello"));
  expect(upstream.requests.map(({ json }) => json.stream)).toEqual([true, false]);
});

describe("ChatGLM3 with nonStreaming: viaStream", () => {
  const ask = async (content: string, more: object = {}) => {
    const server = createChaosServer({ as: "chatglm3", tokenDelayMs: 1, firstRequestMs: 0 });
    closing.push(server);
    const { url } = await server.listen();
    const perennial = await startPerennial(url, { upstream: { profile: "chatglm3" }, ...VIA_STREAM });
    closing.push(perennial);
    const messages = [{ role: "user", content }];
    const seen = await chat(perennial.baseUrl, { stream: false, model: "chatglm3-6b", messages, ...more });
    return {
      status: seen.status,
      attempts: seen.headers["x-perennial-attempts"],
      message: JSON.parse(seen.body).choices?.[0].message,
    };
  };

  test("a short answer arrives", async () => {
    expect(await ask("1+1=?")).toMatchObject({ status: 200, message: { content: "2" } });
  });

  test("an answer with get_ in it arrives", async () => {
    const { status, message } = await ask("Which get_ tools are there?");
    expect([status, message.content]).toEqual([200, "The demo's tools are all called get_something:\nget_weather, for one."]);
  });

  test("a request with tools is asked as it is", async () => {
    expect(await ask("How is the weather?", { tools: [{ name: "get_weather" }] })).toMatchObject({
      status: 200,
      attempts: "1",
      message: { function_call: { name: "get_weather" } },
    });
  });
});
