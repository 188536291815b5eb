/** Perennial before ChatGLM3 and Langchain-Chatchat, as the clients of each meet it. The servers are stand-ins: src/chaos/personalities/. */
import OpenAI from "openai";
import { describe, expect } from "vitest";
import { ANSWER, TOKENS } from "../src/chaos/answer.ts";
import { type ChaosServer, createChaosServer } from "../src/chaos/chaos-server.ts";
import { rawRequest } from "../src/chaos/fixtures/raw-client.ts";
import type { PersonalityName } from "../src/chaos/personality-name.ts";
import { readStream, type Seen, send } from "./support/client.ts";
import type { TestPerennial } from "./support/perennial.ts";
import { test as fixtureTest, withRows } from "./support/test.ts";

interface Door {
  readonly perennial: TestPerennial;
  readonly server: ChaosServer;
  /** A request as the server's clients make it, through Perennial. */
  post(path: string, body: object): Promise<Seen>;
}

type Open = (as: PersonalityName, settings?: object) => Promise<Door>;

const test = withRows(
  fixtureTest.extend(
    "open",
    ({ closing, startPerennial }): Open =>
      async (as, settings = {}) => {
        const server = closing(createChaosServer({ as, tokenDelayMs: 1, firstRequestMs: 0, stallMs: 5_000 }));
        const { url } = await server.listen();
        const profile = as === "chatglm3" ? "chatglm3" : "chatchat";
        const perennial = await startPerennial(url, { upstream: { profile }, ...settings });
        return {
          perennial,
          server,
          post: (path, body) =>
            send(perennial.url + path, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: JSON.stringify(body),
            }),
        };
      },
  ),
);

/** The log line of the exchange that has ended last, with the number of its attempts. */
async function endOf(perennial: TestPerennial, count?: number): Promise<object> {
  const { attempts, ...line } = await perennial.exchangeLog(count);
  return { ...line, attempts: attempts.length };
}

/** What the words before a failure say; the stand-ins fail after the sixth. */
const BEFORE_FAILURE = TOKENS.slice(0, 6).join("");

// biome-ignore lint/suspicious/noExplicitAny: events of every shape
type Json = any;

/** The events of a body whose every event is JSON. */
function eventsOf({ body, end }: Pick<Seen, "body" | "end">): Json[] {
  expect(end).toBe("clean");
  return body
    .split("\n\n")
    .slice(0, -1)
    .map((event) => JSON.parse(event.replace(/^data: /, "")));
}

/** What the stand-in says where it is asked for tools, and has none. */
const PROSE_WITH_GET = "The demo's tools are all called get_something:\nget_weather, for one.";

const say = (content: string, more: object = {}) => ({
  model: "chatglm3-6b",
  stream: true,
  messages: [{ role: "user", content }],
  ...more,
});

describe("ChatGLM3", () => {
  const path = "/v1/chat/completions";

  test("answers 1+1=?, of which ChatGLM3 streams nothing", async ({ open }) => {
    const { perennial, post, server } = await open("chatglm3", { warmup: false });
    const seen = await post(path, say("1+1=?"));
    expect(seen).toMatchObject({ status: 200, end: "clean" });
    expect(seen.headers["content-type"]).toContain("text/event-stream");
    expect(readStream(seen.body)).toMatchObject({ text: "2", finish: "stop", done: true });
    expect(await endOf(perennial)).toMatchObject({ outcome: "repaired", attempts: 2 });
    expect(server.requests.map(({ body }) => (body as Json).stream)).toEqual([true, false]);
  });

  test("answers 1+1=? that is not streamed at the first attempt", async ({ open }) => {
    const { perennial, post } = await open("chatglm3");
    const seen = await post(path, say("1+1=?", { stream: false }));
    expect(JSON.parse(seen.body).choices[0].message.content).toBe("2");
    expect(await endOf(perennial)).toMatchObject({ outcome: "complete", attempts: 1 });
  });

  test("passes on a longer answer as it streams, with LF line ends", async ({ open }) => {
    const { perennial, post } = await open("chatglm3");
    const seen = await post(path, say("Hello"));
    expect(readStream(seen.body)).toMatchObject({ text: ANSWER, finish: "stop", done: true });
    expect(seen.body).not.toContain("\r");
    expect(await endOf(perennial)).toMatchObject({ outcome: "complete" });
  });

  test("sends the rest of an answer with get_ in it, which comes as one raw line, and finishes it", async ({ open }) => {
    const { perennial, post } = await open("chatglm3");
    const seen = await post(path, say("Which get_ tools are there?"));
    expect(readStream(seen.body)).toMatchObject({ text: PROSE_WITH_GET, done: true, finish: "stop", errorCode: undefined });
    expect(await endOf(perennial)).toMatchObject({ outcome: "repaired", attempts: 1 });
  });

  test("does so for an answer that is watched as a stream", async ({ open }) => {
    const { perennial, post } = await open("chatglm3", { warmup: false, nonStreaming: "viaStream" });
    const { body } = await post(path, say("Which get_ tools are there?", { stream: false }));
    expect(JSON.parse(body).choices[0]).toMatchObject({ message: { content: PROSE_WITH_GET }, finish_reason: "stop" });
    expect(await endOf(perennial)).toMatchObject({ outcome: "repaired", attempts: 1 });
  });

  test("tells the client when the model crashes in mid-answer", async ({ open }) => {
    const { perennial, post } = await open("chatglm3");
    const seen = await post(path, say("crash"));
    expect(seen.end).toBe("clean");
    expect(readStream(seen.body)).toMatchObject({ text: BEFORE_FAILURE, done: false, errorCode: "stream_truncated" });
    expect(await endOf(perennial)).toMatchObject({ outcome: "interrupted" });
  });

  test("tries a crash before the first word three times, then passes on the 500", async ({ open }) => {
    const { perennial, post } = await open("chatglm3");
    const seen = await post(path, say("crash-first"));
    expect(seen).toMatchObject({ status: 500, body: "Internal Server Error", headers: { "x-should-retry": "false" } });
    expect(await endOf(perennial)).toMatchObject({ outcome: "failed", failure: "upstream_status", attempts: 3 });
  });

  test("passes a function call, its second finish included", async ({ open }) => {
    const { perennial, post } = await open("chatglm3");
    const seen = await post(path, say("How is the weather?", { tools: [{ name: "get_weather" }] }));
    const finishes = eventsOf({ ...seen, body: seen.body.replace("data: [DONE]\n\n", "") })
      .map(({ choices }) => choices[0].finish_reason)
      .filter(Boolean);
    expect(finishes).toEqual(["function_call", "stop"]);
    expect(seen.body).toContain('"function_call":{"name":"get_weather"');
    expect(readStream(seen.body).done).toBe(true);
    expect(await endOf(perennial)).toMatchObject({ outcome: "complete" });
  });

  test("passes on the refusal to continue an answer, and asks only once", async ({ open }) => {
    const { perennial, post, server } = await open("chatglm3", { warmup: false });
    const messages = [
      { role: "user", content: "Hello" },
      { role: "assistant", content: "A stream" },
    ];
    const seen = await post(path, { model: "chatglm3-6b", stream: true, messages });
    expect(seen).toMatchObject({ status: 400, body: '{"detail":"Invalid request"}' });
    expect(await endOf(perennial)).toMatchObject({ attempts: 1 });
    expect(server.requests).toHaveLength(1);
  });

  test("is asked for the slow first answer before a user asks", async ({ open }) => {
    const { perennial, server } = await open("chatglm3");
    await expect.poll(async () => (await send(`${perennial.url}/readyz`)).status).toBe(200);
    expect(server.requests[0]?.body).toMatchObject({
      model: "chatglm3-6b",
      messages: [{ role: "user", content: "你好，你是谁？" }],
    });
  });

  test("recovers from faults of any kind before the first word", async ({ open }) => {
    const { perennial, post } = await open("chatglm3");
    for (const [i, fault] of ["truncate:0", "503", "reset:0"].entries()) {
      const seen = await post(path, say("Hello", { model: `chaos/${fault},ok`, seed: i }));
      expect(readStream(seen.body)).toMatchObject({ text: ANSWER, done: true });
      expect(await endOf(perennial, i + 1)).toMatchObject({ outcome: "recovered", attempts: 2 });
    }
  });

  describe("through the openai client", () => {
    const ask = async (open: Open, content: string, more: object = {}) => {
      const { perennial } = await open("chatglm3");
      const openai = new OpenAI({ baseURL: perennial.baseUrl, apiKey: "EMPTY" });
      const messages = [{ role: "user" as const, content }];
      const stream = await openai.chat.completions.create({ model: "chatglm3-6b", stream: true, messages, ...more });
      let text = "";
      let error: unknown;
      try {
        for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
      } catch (thrown) {
        error = thrown;
      }
      return { text, error };
    };

    test("short and long answers arrive", async ({ open }) => {
      expect(await ask(open, "1+1=?")).toEqual({ text: "2", error: undefined });
      expect((await ask(open, "你好，你是谁？")).text).toContain("我是人工智能助手 ChatGLM3-6B");
      expect(await ask(open, "Hello")).toEqual({ text: ANSWER, error: undefined });
    });

    test("broken answers are typed errors", async ({ open }) => {
      const crashed = await ask(open, "crash");
      expect(crashed.text).toBe(BEFORE_FAILURE);
      expect(crashed.error).toBeInstanceOf(OpenAI.APIError);
      expect(crashed.error).toMatchObject({ code: "stream_truncated", type: "upstream_error" });
      expect(await ask(open, "get_")).toEqual({ text: PROSE_WITH_GET, error: undefined });
      await expect(ask(open, "crash-first")).rejects.toBeInstanceOf(OpenAI.InternalServerError);
    });
  });
});

describe("Langchain-Chatchat 0.2", () => {
  const KB = { knowledge_base_name: "samples" };
  const ask = (query: string, more: object = {}) => ({ query, stream: true, model_name: "chatglm3-6b", ...more });

  /** Every network chunk that a client gets, as its HTTP library hands them on. */
  async function networkChunks(perennial: TestPerennial, path: string, body: object): Promise<string[]> {
    const { bytes, whole, headers } = await rawRequest(Number(new URL(perennial.url).port), { path, body });
    expect(whole).toBe(true);
    expect(headers["transfer-encoding"]).toBe("chunked");
    const chunks: string[] = [];
    let at = bytes.indexOf("\r\n\r\n") + 4;
    for (;;) {
      const lineEnd = bytes.indexOf("\r\n", at);
      const size = Number.parseInt(bytes.subarray(at, lineEnd).toString(), 16);
      if (size === 0) return chunks;
      chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size).toString());
      at = lineEnd + 2 + size + 2;
    }
  }

  /** The web UI's way (webui_pages/utils.py): each chunk is one event, and `chunk[6:-2]` is its JSON. */
  const asWebUi = (chunks: readonly string[]): Json[] => chunks.map((chunk) => JSON.parse(chunk.slice(6, -2)));

  test.for([
    ["/chat/chat", {}, (json: Json) => json.text, {}],
    ["/chat/knowledge_base_chat", KB, (json: Json) => json.answer, { docs: [expect.stringContaining("出处 [1]")] }],
    ["/chat/search_engine_chat", { search_engine_name: "bing" }, (json: Json) => json.answer, {}],
    ["/chat/file_chat", { knowledge_id: "1" }, (json: Json) => json.answer, {}],
    ["/chat/agent_chat", {}, (json: Json) => json.final_answer, {}],
  ] as const)("%s reaches the web UI with one event in each network chunk", async ([path, fields, textOf, last], { open }) => {
    const { perennial } = await open("chatchat-0.2");
    const events = asWebUi(await networkChunks(perennial, path, ask("Hello", fields)));
    expect(events.map((event) => textOf(event) ?? "").join("")).toBe(ANSWER);
    expect(events.at(-1)).toMatchObject(last);
    expect(await endOf(perennial)).toMatchObject({ outcome: "complete", attempts: 1 });
  });

  test("events that arrive together still leave one by one", async ({ startPerennial, closing }) => {
    const server = closing(createChaosServer({ as: "chatchat-0.2", tokenDelayMs: 0 }));
    const { url } = await server.listen();
    const perennial = await startPerennial(url, { upstream: { profile: "chatchat" } });
    const chunks = await networkChunks(perennial, "/chat/chat", ask("Hello"));
    expect(chunks).toHaveLength(TOKENS.length);
    expect(
      asWebUi(chunks)
        .map(({ text }) => text)
        .join(""),
    ).toBe(ANSWER);
  });

  test("an answer that was not to be streamed comes as its one event", async ({ open }) => {
    const { perennial, post } = await open("chatchat-0.2");
    expect(eventsOf(await post("/chat/chat", { query: "Hello" }))).toEqual([
      { text: ANSWER, message_id: expect.stringMatching(/^[0-9a-f]{32}$/) },
    ]);
    expect(await endOf(perennial)).toMatchObject({ outcome: "complete" });
  });

  test("a failure of the model before its first word is tried again, then told with a code and a message", async ({ open }) => {
    const { perennial, post } = await open("chatchat-0.2");
    const seen = await post("/chat/chat", ask("swallow-first"));
    expect(seen.status).toBe(502);
    expect(JSON.parse(seen.body)).toMatchObject({
      code: 502,
      msg: expect.stringContaining("no text"),
      error: { code: "empty_stream" },
    });
    expect(await endOf(perennial)).toMatchObject({ outcome: "failed", failure: "empty_stream", attempts: 3 });
  });

  test("documents alone are no answer", async ({ open }) => {
    const { perennial, post } = await open("chatchat-0.2");
    for (const [i, [path, fields]] of [
      ["/chat/knowledge_base_chat", KB],
      ["/chat/search_engine_chat", { search_engine_name: "bing" }],
      ["/chat/file_chat", { knowledge_id: "1" }],
    ].entries() as Iterable<[number, [string, object]]>) {
      const seen = await post(path, ask("swallow-first", fields));
      expect(seen.status).toBe(502);
      expect(JSON.parse(seen.body)).toMatchObject({ code: 502, error: { code: "empty_stream" } });
      expect(await endOf(perennial, i + 1)).toMatchObject({ attempts: 3 });
    }
  });

  // Nothing on these routes tells the end of an answer from a failure of the model that was swallowed: a clean end is all there
  // is. What helps is a second Perennial between Chatchat and its model server, where the failure can still be seen.
  test("a failure of the model after its first word cannot be told from the end of the answer", async ({ open }) => {
    const { perennial, post } = await open("chatchat-0.2");
    const text = eventsOf(await post("/chat/chat", ask("swallow"))).map((event) => event.text);
    expect(text.join("")).toBe(BEFORE_FAILURE);
    expect(await endOf(perennial)).toMatchObject({ outcome: "complete" });
    const events = eventsOf(await post("/chat/knowledge_base_chat", ask("swallow", KB)));
    expect(events.at(-1)).toEqual({ docs: [expect.any(String)] });
    expect(await endOf(perennial, 2)).toMatchObject({ outcome: "complete" });
  });

  test("a cut reaches the web UI as an event with a code and a message, in a chunk of its own", async ({ open }) => {
    const { perennial } = await open("chatchat-0.2");
    for (const [path, fields] of [
      ["/chat/chat", {}],
      ["/chat/knowledge_base_chat", KB],
      ["/chat/agent_chat", {}],
    ] as const) {
      const events = asWebUi(await networkChunks(perennial, path, ask("crash", fields)));
      const said = events.map(({ text, answer }) => text ?? answer ?? "").join("");
      expect(said).toContain(BEFORE_FAILURE);
      expect(events.at(-1)).toMatchObject({
        code: 502,
        msg: expect.stringMatching(/./),
        error: { code: "stream_truncated" },
      });
      expect(events.filter(({ error }) => error)).toHaveLength(1);
    }
    expect(await endOf(perennial, 3)).toMatchObject({ outcome: "interrupted", failure: "stream_truncated" });
  });

  test("an exception before the first byte is tried again, then passed on", async ({ open }) => {
    const { perennial, post } = await open("chatchat-0.2");
    expect((await post("/chat/chat", ask("crash-first"))).status).toBe(500);
    expect(await endOf(perennial)).toMatchObject({ outcome: "failed", attempts: 3 });
  });

  test("faults before the first word are recovered from", async ({ open }) => {
    const { perennial, post } = await open("chatchat-0.2");
    const { body, end } = await post("/chat/chat", ask("Hello", { model_name: "chaos/empty,truncate:0,ok" }));
    expect(
      eventsOf({ body, end })
        .map(({ text }) => text)
        .join(""),
    ).toBe(ANSWER);
    expect(await endOf(perennial)).toMatchObject({ outcome: "recovered", attempts: 3 });
  });

  test("an unknown knowledge base is told in Chatchat's words, and not asked for again", async ({ open }) => {
    const { perennial, post, server } = await open("chatchat-0.2");
    const seen = await post("/chat/knowledge_base_chat", ask("Hello", { knowledge_base_name: "nope" }));
    expect(JSON.parse(seen.body)).toMatchObject({ code: 404, msg: expect.stringContaining("未找到知识库 nope") });
    await endOf(perennial);
    expect(server.requests).toHaveLength(1);
  });

  test("uploads, lists and pages pass through as they are", async ({ open }) => {
    const { perennial, server } = await open("chatchat-0.2");
    const form = new FormData();
    form.append("knowledge_base_name", "samples");
    form.append("files", new Blob([Buffer.alloc(300_000, 0xe7)]), "流.pdf");
    const uploaded = await fetch(`${perennial.url}/knowledge_base/upload_docs`, { method: "POST", body: form });
    const { code, data } = (await uploaded.json()) as Json;
    expect(code).toBe(200);
    expect(data.size).toBeGreaterThan(300_000);
    expect(server.requests[0]?.headers["content-type"]).toMatch(/^multipart\/form-data; boundary=/);

    const list = await send(`${perennial.url}/knowledge_base/list_knowledge_bases`);
    expect(JSON.parse(list.body)).toEqual({ code: 200, msg: "success", data: ["samples"] });
    expect(await send(`${perennial.url}/`)).toMatchObject({ status: 307, headers: { location: "/docs" } });
    const docs = await send(`${perennial.url}/docs`);
    expect(docs).toMatchObject({ status: 200, headers: { "content-type": "text/html; charset=utf-8" } });
    expect(docs.body).toContain("swagger-ui");
    expect((await send(`${perennial.url}/nothing`)).body).toBe('{"detail":"Not Found"}');
  });

  // The route yields bare words: `data: A stream`. They are no JSON, which the dialect takes for corruption.
  test("/other/completion, whose events are bare words, passes whole", async ({ open }) => {
    const { post } = await open("chatchat-0.2");
    const seen = await post("/other/completion", ask("Hello"));
    expect(seen.status).toBe(200);
    expect(seen.body.replaceAll(/^data: |\n\n/gm, "")).toBe(ANSWER);
  });
});

describe("Langchain-Chatchat 0.3", () => {
  const CHAT = "/chat/chat/completions";
  const AGENT = { tools: ["weather_check"] };
  const contentOf = ({ choices }: Json): string => choices?.[0].delta.content ?? "";
  const errorOf = (seen: Seen): Json => eventsOf(seen).at(-1);

  test.for([CHAT, "/v1/chat/completions"])("%s is whole with its finish, and gets no [DONE]", async (path, { open }) => {
    const { perennial, post } = await open("chatchat-0.3");
    const events = eventsOf(await post(path, say("Hello")));
    expect(events.map(contentOf).join("")).toBe(ANSWER);
    expect(events.at(-1).choices[0].finish_reason).toBe("stop");
    expect(await endOf(perennial)).toMatchObject({ outcome: "complete", attempts: 1 });
  });

  test("an agent's answer is whole with its status 5, and passes as it came", async ({ open }) => {
    const { perennial, post } = await open("chatchat-0.3");
    const events = eventsOf(await post(CHAT, say("Hello", AGENT)));
    const words = events.filter(({ status }) => status === 2);
    expect(words.map(contentOf).join("")).toBe(ANSWER);
    expect(events.map(({ status }) => status).filter((status) => status !== 2)).toEqual([1, 3, 4, 6, 7, 1, 3, 5]);
    expect(events[0]).not.toHaveProperty("finish_reason");
    expect(await endOf(perennial)).toMatchObject({ outcome: "complete", attempts: 1 });
  });

  test.for([CHAT, "/v1/chat/completions"])("a string for an error at %s becomes a typed one", async (path, { open }) => {
    const { perennial, post } = await open("chatchat-0.3");
    const seen = await post(path, say("fail"));
    expect(eventsOf(seen).slice(0, -1).map(contentOf).join("")).toBe(BEFORE_FAILURE);
    expect(errorOf(seen)).toMatchObject({
      code: 502,
      msg: expect.stringContaining("Connection error."),
      error: { code: "upstream_error_event", type: "upstream_error" },
    });
    expect(await endOf(perennial)).toMatchObject({ outcome: "interrupted" });
  });

  test("an error before the first word is tried again, then an HTTP error", async ({ open }) => {
    const { perennial, post } = await open("chatchat-0.3");
    const seen = await post(CHAT, say("fail-first"));
    expect(seen.status).toBe(502);
    expect(JSON.parse(seen.body).error.code).toBe("upstream_error_event");
    expect(await endOf(perennial)).toMatchObject({ outcome: "failed", attempts: 3 });
  });

  test("a cut is told on the plain path", async ({ open }) => {
    const { perennial, post } = await open("chatchat-0.3");
    expect(errorOf(await post(CHAT, say("crash")))).toMatchObject({ code: 502, error: { code: "stream_truncated" } });
    expect(await endOf(perennial)).toMatchObject({ outcome: "interrupted" });
  });

  // Each of its chunks says `"is_ref": false`, which is the field's default, and the dialect takes that for the end of an answer.
  test("a cut is told on the agent's path", async ({ open }) => {
    const { post } = await open("chatchat-0.3");
    expect(errorOf(await post(CHAT, say("crash", AGENT)))).toMatchObject({ error: { code: "stream_truncated" } });
  });

  // For the same reason: an error after the end of an answer is ignored.
  test("an agent's error is told", async ({ open }) => {
    const { post } = await open("chatchat-0.3");
    expect(errorOf(await post(CHAT, say("fail", AGENT)))).toMatchObject({
      msg: expect.stringContaining("Connection error."),
      error: { code: "upstream_error_event" },
    });
  });

  test("null for an answer is tried again, then an error", async ({ open }) => {
    const { perennial, post, server } = await open("chatchat-0.3");
    const seen = await post("/v1/chat/completions", say("fail", { stream: false }));
    expect(seen.status).toBe(502);
    expect(JSON.parse(seen.body)).toMatchObject({ code: 502, error: { code: "empty_stream" } });
    expect(await endOf(perennial)).toMatchObject({ outcome: "failed", attempts: 3 });
    expect(server.requests).toHaveLength(3);
  });

  test("an answer that is not streamed passes", async ({ open }) => {
    const { post } = await open("chatchat-0.3");
    for (const path of [CHAT, "/v1/chat/completions"]) {
      const seen = await post(path, say("Hello", { stream: false }));
      expect(JSON.parse(seen.body).choices[0].message.content).toBe(ANSWER);
    }
  });

  // Its finish_reason is inside the message, where the dialect does not look for it.
  test("an agent's answer that is not streamed passes", async ({ open }) => {
    const { post } = await open("chatchat-0.3");
    const seen = await post(CHAT, say("Hello", { stream: false, ...AGENT }));
    expect(seen.status).toBe(200);
    expect(JSON.parse(seen.body).choices[0].message.content).toBe(ANSWER);
  });

  test("a knowledge base's answer is whole at its end", async ({ open }) => {
    const { perennial, post } = await open("chatchat-0.3");
    const events = eventsOf(await post("/chat/kb_chat", { query: "Hello", kb_name: "samples" }));
    expect(events[0].docs).toEqual([expect.stringContaining("出处 [1]")]);
    expect(events.map(contentOf).join("")).toBe(ANSWER);
    expect(await endOf(perennial)).toMatchObject({ outcome: "complete" });

    expect(errorOf(await post("/chat/kb_chat", { query: "crash" }))).toMatchObject({ error: { code: "stream_truncated" } });
    expect(errorOf(await post("/chat/kb_chat", { query: "fail" }))).toMatchObject({ error: { code: "upstream_error_event" } });
    const unknown = await post("/chat/kb_chat", { query: "Hello", kb_name: "nope" });
    expect(JSON.parse(unknown.body)).toMatchObject({ code: 404, msg: expect.stringContaining("未找到知识库 nope") });
  });

  // For the same reason once more: with an end, an answer of nothing is accepted at the last attempt.
  test("a knowledge base's documents alone are no answer", async ({ open }) => {
    const { post } = await open("chatchat-0.3");
    const alone = await post("/knowledge_base/chat/completions", say("swallow-first", { kb_name: "samples" }));
    expect(alone.status).toBe(502);
    expect(JSON.parse(alone.body)).toMatchObject({ code: 502, error: { code: "empty_stream" } });
  });

  test("the openai client reads it, and gets typed errors", async ({ open }) => {
    const { perennial } = await open("chatchat-0.3");
    const openai = new OpenAI({ baseURL: `${perennial.url}/chat`, apiKey: "EMPTY", maxRetries: 0 });
    const read = async (content: string) => {
      let text = "";
      const messages = [{ role: "user" as const, content }];
      for await (const { choices } of await openai.chat.completions.create({ model: "m", stream: true, messages })) {
        text += choices[0]?.delta.content ?? "";
      }
      return text;
    };
    expect(await read("Hello")).toBe(ANSWER);
    await expect(read("fail")).rejects.toMatchObject({ code: "upstream_error_event" });
    await expect(read("crash")).rejects.toMatchObject({ code: "stream_truncated" });
  });
});
