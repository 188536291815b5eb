/** Azure's own routes: deployments whose names stand in the path, asked as its clients ask. */
import OpenAI, { AzureOpenAI } from "openai";
import { afterEach, describe, expect, test } from "vitest";
import { readStream, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { chatAnswer, chatEvents, jsonReply, type RawUpstream, sendFramed, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

const CUT = chatEvents(["Hello", ", "], { finish: null, done: false });
const WHOLE = chatEvents(["Hello", ", ", "world"]);

/** Streams these events for each request in turn, the last ones again and again; what is not streamed is answered whole. */
async function serve(
  replies: readonly (readonly string[])[],
  own: object = { profile: "azure" },
  rest: object = {},
): Promise<void> {
  upstream = await startRawUpstream((socket, { json, number }) => {
    if (json?.stream) sendFramed(socket, "chunked", replies[Math.min(number, replies.length) - 1] ?? []);
    else socket.write(jsonReply(chatAnswer("Hi")));
  });
  perennial = await startPerennial(upstream.baseUrl.replace("/v1", ""), { upstream: own, ...rest });
}

const targets = (): (string | undefined)[] => upstream.requests.map(({ head }) => head.split(" ", 2)[1]);

const QUERY = "?api-version=2024-10-21";

describe("a path with a deployment in it is judged, and goes upstream as it came", () => {
  test.each([
    ["/openai/deployments/gpt-4o/chat/completions", undefined],
    ["/openai/deployments/my%20model.v2/chat/completions", undefined],
    ["/v1/openai/deployments/gpt-4o/chat/completions", "/openai/deployments/gpt-4o/chat/completions"],
    ["/v1/deployments/gpt-4o/chat/completions", "/deployments/gpt-4o/chat/completions"],
    ["/openai/v1/chat/completions", undefined],
    ["/v1/openai/v1/chat/completions", "/openai/v1/chat/completions"],
    ["/v1/chat/completions", "/chat/completions"],
  ])("%s", async (path, target = path) => {
    await serve([[], WHOLE, CUT]);
    const ask = () =>
      send(`${perennial.url}${path}${QUERY}`, {
        method: "POST",
        headers: { "content-type": "application/json", "api-key": "sk-azure" },
        body: JSON.stringify({ stream: true, messages: [] }),
      });
    expect(readStream((await ask()).body)).toMatchObject({ text: "Hello, world", done: true });
    expect(readStream((await ask()).body)).toMatchObject({ text: "Hello, ", errorCode: "stream_truncated" });
    expect(targets()).toEqual([target + QUERY, target + QUERY, target + QUERY]);
    expect(upstream.requests[0]?.head).toContain("api-key: sk-azure");
  });
});

test.each(["azure_endpoint", "base_url"])("AzureOpenAI with %s is told what became of its answer", async (how) => {
  await serve([CUT]);
  const own = how === "base_url" ? { baseURL: perennial.baseUrl } : { endpoint: perennial.url };
  const azure = new AzureOpenAI({ ...own, apiKey: "k", apiVersion: "2024-10-21", maxRetries: 0 } as never);
  const stream = await azure.chat.completions.create({
    model: "gpt-4o",
    stream: true,
    messages: [{ role: "user", content: "q" }],
  });
  let text = "";
  const reading = (async () => {
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
  })();
  await expect(reading).rejects.toMatchObject({ code: "stream_truncated" });
  expect(text).toBe("Hello, ");
  expect(targets()[0]).toContain("/deployments/gpt-4o/chat/completions?api-version=2024-10-21");
  const answer = await azure.chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content: "q" }] });
  expect(answer.choices[0]?.message.content).toBe("Hi");
});

test.each(["", "/openai", "/openai/v1", "/gateway/openai/v1"])(
  "a base URL that ends with %j does not say /openai twice",
  async (base) => {
    await serve([WHOLE]);
    await perennial.close();
    perennial = await startPerennial(upstream.baseUrl.replace("/v1", base), { upstream: { profile: "azure" } });
    const path = `/openai/deployments/gpt-4o/chat/completions${QUERY}`;
    await send(perennial.url + path, { method: "POST", body: '{"stream":true,"messages":[]}' });
    await send(`${perennial.baseUrl}/chat/completions`, { method: "POST", body: '{"stream":true,"messages":[]}' });
    expect(targets()).toEqual([base.replace(/\/openai.*/, "") + path, `${base}/chat/completions`]);
  },
);

test("the v1 API is asked as any OpenAI API is", async () => {
  await serve([WHOLE]);
  const openai = new OpenAI({ baseURL: `${perennial.url}/openai/v1`, apiKey: "k" });
  const answer = await openai.chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content: "q" }] });
  expect(answer.choices[0]?.message.content).toBe("Hi");
  expect(targets()).toEqual(["/openai/v1/chat/completions"]);
});

test("what else is asked of a deployment passes through", async () => {
  await serve([WHOLE]);
  const path = `/openai/deployments/e/embeddings${QUERY}`;
  expect((await send(perennial.url + path, { method: "POST", body: "{}" })).status).toBe(200);
  expect(targets()).toEqual([path]);
});

test("the first question may be asked of a deployment", async () => {
  const path = `/openai/deployments/gpt-4o/chat/completions${QUERY}`;
  await serve([WHOLE], { profile: "azure" }, { warmup: { on: "start", path } });
  await expect.poll(async () => (await send(`${perennial.url}/readyz`)).status).toBe(200);
  expect(targets()).toEqual([path]);
});

test("without api: azure nothing is served beside /v1", async () => {
  await serve([WHOLE], {});
  const seen = await send(`${perennial.url}/openai/deployments/x/chat/completions`, { method: "POST", body: "{}" });
  expect([seen.status, upstream.requests.length]).toEqual([404, 0]);
});
