/** Paths in every spelling: none leads a server behind out of the base URL, and those that clients really use find their dialect. */
import { afterEach, expect, test } from "vitest";
import { readStream, send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { sendRaw } from "./support/raw-client.ts";
import { chatEvents, frame, jsonReply, type RawUpstream, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial;

afterEach(async () => {
  await perennial.close();
  await upstream.close();
});

async function serve(settings: Record<string, unknown> = {}, basePath = "/v1"): Promise<void> {
  upstream = await startRawUpstream((socket, { head }) =>
    socket.write(head.startsWith("POST") ? frame("chunked", chatEvents(["Hello"])) : jsonReply("{}")),
  );
  perennial = await startPerennial(upstream.baseUrl.replace(/\/v1$/, basePath), settings);
}

const get = (path: string | Buffer, headers = "") =>
  sendRaw(
    perennial.url,
    Buffer.concat([
      Buffer.from("GET "),
      Buffer.from(path as string),
      Buffer.from(` HTTP/1.1\r\nhost: x\r\n${headers}connection: close\r\n\r\n`),
    ]),
  );

test.each([
  "/v1/../admin",
  "/v1/%2e%2e/admin",
  "/v1/%2E%2e/admin",
  "/v1/..;/admin",
  "/v1/..;jsessionid=1/admin",
  "/v1/..%3b/admin",
  "/v1/..%3Ba=b/admin",
  "/v1/.;/admin",
  "/v1/a/..%2F..%2Fadmin",
  "/v1/a/..%2f..%2fadmin",
  "/v1/a/..%5Cadmin",
  "/v1/%252e%252e/admin",
  "/v1/%252E%252E/admin",
  "/v1/a%252F..%252Fadmin",
  "/v1/%25252e%25252e/admin",
  "/v1/%2525252525252e./admin",
  "/v1/models%00",
  "/v1/%00/../admin",
  "/v1/models%2500",
  "/v1/.%09./admin",
  "/v1/..%09/admin",
  "/v1/%09../admin",
  "/v1/..%20/admin",
  "/v1/.%0a./admin",
  "/v1/.%0D./admin",
  "/v1/.%7f./admin",
  "/v1/%c0%ae%c0%ae/admin",
  "/v1/%C0%AE./admin",
  "/v1/%25c0%25ae/admin",
  "/v1/%u002e%u002e/admin",
])("%s is refused, in our own words, and the upstream is not asked", async (path) => {
  await serve();
  const seen = await get(path);
  expect([path, seen.status]).toEqual([path, 400]);
  expect(seen.text).toContain('"code":"invalid_request"');
  expect(seen.text).toMatch(/x-perennial-id: [0-9a-f-]{36}/);
  expect(upstream.requests).toHaveLength(0);
});

test("a tab in the path is refused, or not HTTP", async () => {
  await serve();
  expect((await get("/v1/.\t./admin")).status).toBe(400);
  expect(upstream.requests).toHaveLength(0);
});

test.each([
  "/v1/models/org%2Fname",
  "/v1/models/a..b",
  "/v1/models/...",
  "/v1/files/100%25",
  "/v1/files/a;b",
  "/v1/files/%E5%9B%9E%E7%AD%94",
  "/v1/files/caf%C3%A9",
  "/v1/models?after=%2e%2e/%00",
])("%s goes to the upstream as it is", async (path) => {
  await serve();
  expect((await get(path)).status).toBe(200);
  expect(upstream.requests[0]?.head.split(" ")[1]).toBe(path);
});

test.each(["/v1/%zz", "/%", "/v1/models/%E5%9B"])(
  "%s, which cannot be decoded, is refused in our own shape, behind the key",
  async (path) => {
    await serve({ auth: { keys: ["key-one"] } });
    const without = await get(path);
    expect(without.status).toBe(401);
    expect(without.text).toContain('"code":"unauthorized"');
    const seen = await get(path, "authorization: Bearer key-one\r\n");
    expect(seen.status).toBe(400);
    expect(seen.text).toContain('"code":"invalid_request"');
    expect(seen.text).not.toContain("FST_ERR");
    expect(seen.text).toMatch(/x-perennial-id: [0-9a-f-]{36}/);
    expect(await perennial.exchangeLog(2)).toMatchObject({ outcome: "rejected", failure: "invalid_request", status: 400 });
  },
);

const ask = (path: string) =>
  send(perennial.url + path, { method: "POST", body: '{"stream":true}', headers: { "content-type": "application/json" } });

test("a doubled /v1 finds its dialect, and the upstream gets it once", async () => {
  await serve();
  expect(readStream((await ask("/v1/v1/chat/completions")).body)).toMatchObject({ text: "Hello", done: true });
  expect(upstream.requests[0]?.head).toContain("POST /v1/chat/completions HTTP/1.1");
  expect(await perennial.exchangeLog()).toMatchObject({ dialect: "openai-chat" });
  await get("/v1/v1/models?limit=2");
  expect(upstream.requests[1]?.head).toContain("GET /v1/models?limit=2 HTTP/1.1");
});

test("a doubled /v1 in front of a base URL that lacks it goes where it went", async () => {
  await serve({}, "");
  expect(readStream((await ask("/v1/v1/chat/completions?beta=true")).body)).toMatchObject({ text: "Hello", done: true });
  expect(upstream.requests[0]?.head).toContain("POST /v1/chat/completions?beta=true HTTP/1.1");
  expect(await perennial.exchangeLog()).toMatchObject({ dialect: "openai-chat" });
});

test("the root says what listens here, with and without a key, and asks nobody", async () => {
  await serve({ auth: { keys: ["key-one"] } });
  const seen = await send(`${perennial.url}/`);
  expect(seen.status).toBe(200);
  expect(JSON.parse(seen.body)).toMatchObject({ name: "Perennial" });
  expect(await send(`${perennial.url}/`, { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
  expect(upstream.requests).toHaveLength(0);
});

test("where everything is the upstream's, so is the root", async () => {
  await serve({ upstream: { mount: "/" }, auth: { keys: ["key-one"] } }, "");
  expect((await send(`${perennial.url}/`)).status).toBe(401);
  const headers = { authorization: "Bearer key-one" };
  expect(await send(`${perennial.url}/`, { headers })).toMatchObject({ status: 200, body: "{}" });
  expect(upstream.requests[0]?.head).toContain("GET / HTTP/1.1");
});
