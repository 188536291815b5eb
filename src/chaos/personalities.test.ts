/** The stand-ins, to the byte: what was seen of each server, without Perennial in between. */
import { afterEach, describe, expect, it } from "vitest";
import { ANSWER } from "./answer.ts";
import { type ChaosServer, type ChaosServerOptions, createChaosServer } from "./chaos-server.ts";
import { createPersonality } from "./create-personality.ts";
import { type RawRequest, rawRequest } from "./fixtures/raw-client.ts";
import { PERSONALITY_NAMES } from "./personality-name.ts";
import { runChaos } from "./run-chaos.ts";

const servers: ChaosServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function start(options: ChaosServerOptions) {
  const server = createChaosServer({ tokenDelayMs: 0, firstRequestMs: 0, ...options });
  servers.push(server);
  const { port, url } = await server.listen();
  const post = (path: string, body: unknown, more: RawRequest = {}) => rawRequest(port, { path, body, ...more });
  const get = (path: string) => rawRequest(port, { path, method: "GET" });
  return { server, port, url, post, get };
}

/** The data of each event of a body with CRLF line ends. */
function eventsOf(body: string): string[] {
  expect(body.replaceAll("\r\n", "")).not.toContain("\n");
  return body.split(/(?<=\r\n\r\n)/).map((event) =>
    event
      .trimEnd()
      .replaceAll(/^data: /gm, "")
      .replaceAll("\r\n", "\n"),
  );
}

const parsed = (body: string) => eventsOf(body).map((data) => (data.startsWith("{") ? JSON.parse(data) : data));

describe("chatglm3", () => {
  const path = "/v1/chat/completions";
  const say = (content: string, more: object = {}) => ({
    model: "chatglm3-6b",
    stream: true,
    messages: [{ role: "user", content }],
    ...more,
  });
  const start3 = (options: ChaosServerOptions = {}) => start({ as: "chatglm3", ...options });

  it("streams with CRLF, the role in each delta, no chunk of the role alone, `stop` with no text, no usage", async () => {
    const { post } = await start3();
    const { body } = await post(path, say("Hello", { stream_options: { include_usage: true } }));
    const events = parsed(body);
    expect(events.at(-1)).toBe("[DONE]");
    const deltas = events.slice(0, -1).map(({ choices }) => choices[0].delta);
    expect(deltas.map(({ content }) => content).join("")).toBe(ANSWER);
    expect(deltas[0].content.length).toBeGreaterThan(7);
    expect(new Set(deltas.map(({ role }) => role))).toEqual(new Set(["assistant"]));
    expect(events.at(-2).choices).toEqual([
      { delta: { role: "assistant", content: "", function_call: null }, finish_reason: "stop", index: 0 },
    ]);
    expect(body).not.toContain("usage");
  });

  it("streams an answer of 7 characters or fewer as a whole body of no bytes, and says it when it is not streamed", async () => {
    const { post } = await start3();
    const streamed = await post(path, say("1+1=?"));
    expect(streamed).toMatchObject({ status: 200, whole: true, body: "" });
    expect(streamed.headers["content-type"]).toContain("text/event-stream");
    expect(streamed.bytes.toString()).toMatch(/\r\n\r\n0\r\n\r\n$/);
    const { choices } = JSON.parse((await post(path, say("1+1=?", { stream: false }))).body);
    expect(choices).toEqual([
      { index: 0, message: { role: "assistant", content: "2", name: null, function_call: null }, finish_reason: "stop" },
    ]);
    expect((await post(path, say("你好，你是谁？"))).body).toContain("ChatGLM3-6B");
  });

  it("swallows what follows `get_`, then sends everything raw", async () => {
    const { post } = await start3();
    const events = eventsOf((await post(path, say("which get_ tools?"))).body);
    expect(events.at(-1)).toBe("The demo's tools are all called get_something:\nget_weather, for one.");
    const text = events.slice(0, -1).map((data) => JSON.parse(data).choices[0].delta.content);
    expect(text.join("")).toBe("The demo's tools are all called");
    expect(events.join("")).not.toContain('"stop"');
  });

  it("crashes: a cut in mid-answer, a 500 before it", async () => {
    const { post } = await start3();
    const cut = await post(path, say("crash"));
    expect(cut).toMatchObject({ status: 200, whole: false });
    expect(cut.body).toMatch(/\r\n\r\n$/);
    for (const reply of [await post(path, say("crash-first")), await post(path, say("crash", { stream: false }))])
      expect(reply).toMatchObject({ status: 500, body: "Internal Server Error" });
  });

  it("says function_call, then stop, then [DONE]", async () => {
    const { post } = await start3();
    const tools = [{ name: "get_weather" }];
    const events = parsed((await post(path, say("the weather?", { tools }))).body);
    expect(events.slice(-3).map((event) => event.choices?.[0].finish_reason ?? event)).toEqual([
      "function_call",
      "stop",
      "[DONE]",
    ]);
    expect(events.at(-3).choices[0].delta.function_call).toEqual({ name: "get_weather", arguments: '{"city": "北京"}' });
    expect(JSON.parse((await post(path, say("the weather?", { tools, stream: false }))).body).choices[0].finish_reason).toBe(
      "function_call",
    );
  });

  it("refuses to continue an answer, and what lacks a model", async () => {
    const { post, get } = await start3();
    const continued = await post(path, { model: "m", stream: true, messages: [{ role: "assistant", content: "a" }] });
    expect(continued).toMatchObject({ status: 400, body: '{"detail":"Invalid request"}' });
    expect((await post(path, { messages: [] })).status).toBe(422);
    expect((await post(path, "no json")).status).toBe(422);
    expect(await get("/v1/nothing")).toMatchObject({ status: 404, body: '{"detail":"Not Found"}' });
  });

  it("answers nobody while its first answer warms the model", async () => {
    const { post, get } = await start3({ firstRequestMs: 800 });
    expect((await get("/v1/models")).status).toBe(200);
    const began = performance.now();
    const first = post(path, say("Hello"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const other = get("/v1/models").then(() => performance.now() - began);
    expect(await other).toBeGreaterThan(700);
    expect((await first).body).toContain("[DONE]");
    const firstMs = performance.now() - began;
    const again = performance.now();
    await post(path, say("Hello"));
    expect(performance.now() - again).toBeLessThan(firstMs);
  });

  it("plays faults that were asked for, in its own words", async () => {
    const { post, server } = await start3();
    const cut = await post(path, say("1+1=?", { model: "chaos/truncate:3" }));
    expect(cut.whole).toBe(false);
    expect(parsed(cut.body)).toHaveLength(3);
    expect((await post(path, say("Hello"), { headers: { "x-chaos": "503" } })).status).toBe(503);
    expect(server.requests.map(({ fault }) => fault)).toEqual(["truncate:3", "503"]);
    // It has no event for errors, and no reasoning.
    expect((await post(path, say("Hello", { model: "chaos/error-event:3" }))).whole).toBe(false);
    expect((await post(path, say("Hello", { model: "chaos/reasoning" }))).body).toContain("[DONE]");
  });

  it("breaks requests at random where that was asked for", async () => {
    const { post, server } = await start3({ rate: 1, stallMs: 1 });
    await post(path, say("1+1=?"));
    expect(server.requests[0]?.fault).toMatch(/^[a-z0-9-]+(:\d+)?$/);
  });
});

describe("chatchat-0.2", () => {
  const start02 = () => start({ as: "chatchat-0.2" });
  const kb = { knowledge_base_name: "samples" };

  it.each([
    ["/chat/chat", {}, /^\{"text": "A stream", "message_id": "0{8}[0-9a-f]{24}"\}$/, /"text": " begun again\."/],
    ["/chat/knowledge_base_chat", kb, /^\{"answer": "A stream"\}$/, /^\{"docs": \["出处/],
    ["/chat/search_engine_chat", { search_engine_name: "bing" }, /^\{"answer": "A stream"\}$/, /^\{"docs": \[/],
    ["/chat/file_chat", { knowledge_id: "1" }, /^\{"answer": "A stream"\}$/, /^\{"docs": \[/],
    ["/chat/agent_chat", {}, /^\{"answer": "Thought: "\}$/, /^\{"final_answer": "A stream is a small/],
    // Bare words: its tokens are not wrapped in anything.
    ["/other/completion", {}, /^A stream$/, /^ begun again\.$/],
  ])("%s streams its own events, and only their end ends them", async (path, fields, first, last) => {
    const { post, url } = await start02();
    expect(url).not.toContain("/v1");
    const reply = await post(path, { query: "Hello", stream: true, ...fields });
    const data = reply.body.split(/(?<=\r\n\r\n)/).map((event) => event.replace(/^data: /, "").replace(/\r\n\r\n$/, ""));
    expect(reply.whole).toBe(true);
    expect(data[0]).toMatch(first);
    expect(data.at(-1)).toMatch(last);
    const whole = await post(path, { query: "Hello", ...fields });
    expect(whole.headers["content-type"]).toContain("text/event-stream");
    expect(whole.body.match(/data: /g)).toHaveLength(1);
    expect(whole.body).toContain("begun again.");
  });

  it("tells nobody that its model has failed, and sends the documents all the same", async () => {
    const { post } = await start02();
    const ask = async (path: string, query: string) => (await post(path, { query, stream: true, ...kb })).body;
    expect(await ask("/chat/chat", "swallow-first")).toBe("");
    expect(parsed(await ask("/chat/chat", "swallow"))).toHaveLength(6);
    expect(parsed(await ask("/chat/knowledge_base_chat", "swallow-first"))).toEqual([{ docs: [expect.any(String)] }]);
    expect(parsed(await ask("/chat/knowledge_base_chat", "swallow")).at(-1)).toEqual({ docs: [expect.any(String)] });
    expect((await post("/chat/chat", { query: "crash" })).whole).toBe(false);
  });

  it("refuses with HTTP 200 what it does not know, and with 422 what has no query", async () => {
    const { post } = await start02();
    const refused = await post("/chat/knowledge_base_chat", { query: "a", knowledge_base_name: "nope" });
    expect(refused).toMatchObject({ status: 200, body: '{"code":404,"msg":"未找到知识库 nope","data":null}' });
    expect((await post("/chat/file_chat", { query: "a", knowledge_id: "nope" })).body).toContain("请先上传文件");
    expect((await post("/chat/chat", {})).status).toBe(422);
  });

  it("serves pages, lists and uploads", async () => {
    const { post, get } = await start02();
    expect(await get("/")).toMatchObject({ status: 307, headers: { location: "/docs" } });
    expect((await get("/docs")).body).toContain("<html>");
    expect(JSON.parse((await get("/knowledge_base/list_knowledge_bases")).body).data).toEqual(["samples"]);
    const bytes = await post("/knowledge_base/upload_docs", "é".repeat(1000));
    expect(JSON.parse(bytes.body)).toMatchObject({ code: 200, data: { size: 2000 } });
  });
});

describe("chatchat-0.3", () => {
  const start03 = () => start({ as: "chatchat-0.3" });
  const say = (content: string, more: object = {}) => ({
    model: "m",
    stream: true,
    messages: [{ role: "user", content }],
    ...more,
  });

  it("relays the finish and no [DONE]", async () => {
    const { post } = await start03();
    for (const path of ["/chat/chat/completions", "/v1/chat/completions"]) {
      const events = parsed((await post(path, say("Hello"))).body);
      expect(events.map(({ choices }) => choices[0].delta.content ?? "").join("")).toBe(ANSWER);
      expect(events.at(-1).choices[0]).toMatchObject({ index: 0, finish_reason: "stop" });
      expect("status" in events[0]).toBe(path.startsWith("/chat"));
      const whole = JSON.parse((await post(path, say("Hello", { stream: false }))).body);
      expect(whole.choices[0]).toMatchObject({ finish_reason: "stop", message: { content: ANSWER } });
    }
  });

  it("tells the agent's progress by a status, without index or finish_reason", async () => {
    const { post } = await start03();
    const tools = ["weather_check"];
    const { body } = await post("/chat/chat/completions", say("Hello", { tools }));
    const events = parsed(body);
    expect([...new Set(events.map(({ status }) => status))]).toEqual([1, 3, 4, 6, 7, 2, 5]);
    expect(events.at(-1)).toMatchObject({ status: 5, is_ref: false, choices: [{ delta: { content: ANSWER } }] });
    for (const { choices } of events) expect(Object.keys(choices[0])).toEqual(["delta", "role"]);
    const whole = JSON.parse((await post("/chat/chat/completions", say("Hello", { tools, stream: false }))).body);
    expect(whole).toMatchObject({ status: 5, choices: [{ message: { content: ANSWER, finish_reason: "stop" } }] });
    expect(parsed((await post("/chat/chat/completions", say("fail", { tools }))).body).at(-1).status).toBe(-1);
  });

  it("fails with a string, with a cut, with null, with a 500", async () => {
    const { post } = await start03();
    const path = "/chat/chat/completions";
    expect((await post(path, say("fail-first"))).body).toBe('data: {"error": "Connection error."}\r\n\r\n');
    const failed = await post(path, say("fail"));
    expect(failed.whole).toBe(true);
    expect(parsed(failed.body).at(-1)).toEqual({ error: "Connection error." });
    expect((await post(path, say("crash"))).whole).toBe(false);
    expect(await post("/v1/chat/completions", say("fail", { stream: false }))).toMatchObject({ status: 200, body: "null" });
    expect((await post(path, say("fail", { stream: false }))).status).toBe(500);
  });

  it("sends a knowledge base's documents first, then text without a finish", async () => {
    const { post } = await start03();
    const events = parsed((await post("/chat/kb_chat", { query: "Hello" })).body);
    expect(events[0]).toMatchObject({ status: null, docs: [expect.any(String)], choices: [{ delta: { content: "" } }] });
    expect(events.map(({ choices }) => choices[0].delta.content).join("")).toBe(ANSWER);
    expect(parsed((await post("/knowledge_base/chat/completions", say("swallow-first"))).body)).toHaveLength(1);
    expect(JSON.parse((await post("/chat/kb_chat", { query: "a", kb_name: "nope" })).body)).toMatchObject({ code: 404 });
  });
});

it.each(PERSONALITY_NAMES)("perennial chaos --as %s says what to ask it", async (as) => {
  const lines: string[] = [];
  const server = await runChaos({ port: 0, as }, (line) => lines.push(line));
  await server?.close();
  expect(lines[0]).toMatch(
    new RegExp(`^A stand-in for ${as} listens on http://127.0.0.1:\\d+${as === "chatglm3" ? "/v1" : ""}$`),
  );
  for (const hint of createPersonality(as).hints) expect(lines).toContain(`  ${hint}`);
});
