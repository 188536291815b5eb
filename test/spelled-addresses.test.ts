/** Paths, hosts, origins and keys in all their spellings: case, escapes, names and addresses of either kind, with a port and without. */
import { describe, expect } from "vitest";
import { type Seen, send } from "./support/client.ts";
import { WHOLE } from "./support/events.ts";
import { sendRaw } from "./support/raw-client.ts";
import { jsonReply } from "./support/raw-upstream.ts";
import { test } from "./support/test.ts";

/** A body as it is written. */
const post = (baseUrl: string, path: string, body: string): Promise<Seen> =>
  send(baseUrl + path, { method: "POST", body, headers: { "content-type": "application/json" } });

describe("a path", () => {
  test.for([
    // A name of the client's, in its own spelling.
    ["GET", "/v1/models/org%2Fname", "/v1/models/org%2Fname"],
    ["GET", "/v1/models/org%2fname", "/v1/models/org%2fname"],
    ["GET", "/v1/models/%E6%B0%B4?a=%2F", "/v1/models/%E6%B0%B4?a=%2F"],
    ["GET", "/v1//models/%e6%b0%b4", "/v1/models/%e6%b0%b4"],
    // A dialect's own, in the dialect's.
    ["POST", "/v1/chat%2Fcompletions", "/v1/chat/completions"],
    ["POST", "/v1/chat%2fcompletions?x=%2F", "/v1/chat/completions?x=%2F"],
    ["POST", "/v1/%63hat/completion%73/", "/v1/chat/completions"],
    ["POST", "/v1/v1/chat%2Fcompletions", "/v1/chat/completions"],
  ])("%s %s goes on as %s", async ([method, path, target], { serve }) => {
    const { perennial, upstream } = await serve([WHOLE]);
    const body = '{"stream":true}';
    const request = `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n`;
    const sent = method === "GET" ? `${request}\r\n` : `${request}content-length: ${body.length}\r\n\r\n${body}`;
    await sendRaw(perennial.url, sent);
    expect(upstream.requests[0]?.head.split("\r\n")[0]).toBe(`${method} ${target} HTTP/1.1`);
    if (method === "POST") expect((await perennial.exchangeLog()).dialect).toBe("openai-chat");
  });

  test("is refused with dot segments, whatever the case of their escapes", async ({ serve }) => {
    const { perennial, upstream } = await serve([WHOLE]);
    const dots = ["..", "%2e%2e", "%2E%2E", ".%2E", "%2e.", "%252E%252E", "%252e%252e", "..%3B", "..%3b", "..%5C..", "..%5c.."];
    const slashes = ["/", "%2F", "%2f", "%5C"];
    for (const dot of dots) {
      for (const slash of slashes) {
        const path = `/v1/models${slash}${dot}${slash}admin`;
        const seen = await sendRaw(perennial.url, `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
        expect([path, seen.status]).toEqual([path, 400]);
      }
    }
    expect(upstream.requests).toHaveLength(0);
  });

  test("whose letters are of another case is another path", async ({ serve }) => {
    const { perennial, upstream } = await serve([jsonReply("{}", "404 None")]);
    await post(perennial.baseUrl, "/Chat/Completions", '{"stream":true}');
    expect(upstream.requests[0]?.head).toMatch(/^POST \/v1\/Chat\/Completions /);
    expect((await perennial.exchangeLog()).dialect).not.toBe("openai-chat");
  });
});

describe("without a key, a host and an origin are judged by what they name", () => {
  const hosts: Record<"local" | "foreign", readonly string[]> = {
    local: [
      ...["localhost", "LOCALHOST", "localhost.", "LocalHost:8787", "app.localhost:1", "perennial", "NAS.local", "box.LAN:80"],
      ...["127.0.0.1", "127.0.0.1:8787", "127.255.255.254", "127.1", "2130706433", "0x7f.1", "10.0.0.1", "10.255.255.255:1"],
      ...["172.16.0.1", "172.31.255.255", "192.168.0.1:8787", "169.254.1.1", "[::1]", "[::1]:8787", "[0:0:0:0:0:0:0:1]"],
      ...["[::ffff:127.0.0.1]", "[::FFFF:7F00:1]:80", "[fd00::1]", "[FE80::1]:8787", "[::ffff:192.168.1.1]"],
    ],
    foreign: [
      ...[
        "evil.example",
        "EVIL.EXAMPLE:8787",
        "evil.example.",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evillocalhost.com",
      ],
      ...[
        "128.0.0.1",
        "126.255.255.255:8787",
        "172.15.255.255",
        "172.32.0.1",
        "192.167.1.1",
        "192.169.1.1",
        "11.0.0.1",
        "203.0.113.9",
      ],
      ...["[2001:db8::1]", "[2001:DB8::1]:8787", "[::2]", "[::ffff:203.0.113.9]", "[fec0::1]", "[", "a b", "%zz"],
    ],
  };
  const origins: Record<"local" | "foreign", readonly string[]> = {
    local: [
      ...["http://localhost", "HTTP://LOCALHOST:3000", "https://localhost.:443", "http://a.b.localhost", "http://127.0.0.1:80"],
      ...["http://127.1:3000", "http://127.255.255.255", "http://[::1]", "https://[::1]:8443", "http://[0:0:0:0:0:0:0:1]:1"],
      ...["http://[::ffff:127.0.0.1]:3000", "http://[::FFFF:7F00:1]", "tauri://localhost", "APP://x", "file://"],
    ],
    foreign: [
      ...[
        "http://evil.example",
        "HTTPS://Evil.Example:443",
        "http://localhost.evil.example",
        "http://notlocalhost",
        "http://nas.local",
      ],
      ...[
        "http://128.0.0.1",
        "http://126.255.255.255",
        "http://0.0.0.0:3000",
        "http://192.168.1.20",
        "http://[::]",
        "http://[::2]",
      ],
      ...["http://[2001:db8::1]:3000", "http://[fe80::1]", "http://[::ffff:10.0.0.1]", "http://[", "null", "https://"],
    ],
  };

  test("hosts of pages that read", async ({ serve }) => {
    const { perennial } = await serve([jsonReply("{}")]);
    for (const [kind, list] of Object.entries(hosts)) {
      for (const host of list) {
        const seen = await sendRaw(perennial.url, `GET /v1/models HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
        expect([host, seen.status]).toEqual([host, kind === "local" ? 200 : 403]);
      }
    }
  });

  test("origins", async ({ serve }) => {
    const { perennial } = await serve([jsonReply("{}")]);
    for (const [kind, list] of Object.entries(origins)) {
      for (const origin of list) {
        const seen = await send(`${perennial.baseUrl}/models`, { headers: { origin } });
        const told = seen.headers["access-control-allow-origin"];
        expect([origin, seen.status, told]).toEqual(kind === "local" ? [origin, 200, origin] : [origin, 403, undefined]);
      }
    }
  });

  test.for([
    [
      "https://chat.example",
      ["https://chat.example", "HTTPS://CHAT.EXAMPLE"],
      ["https://chat.example:8443", "http://chat.example"],
    ],
    ["HTTPS://Chat.Example:443/", ["https://chat.example"], ["https://chat.example.evil.example", "https://a.chat.example"]],
    ["http://192.168.1.20:80", ["http://192.168.1.20"], ["http://192.168.1.20:8080", "https://192.168.1.20"]],
    ["http://[2001:DB8:0:0::1]:3000", ["http://[2001:db8::1]:3000"], ["http://[2001:db8::1]", "http://[2001:db8::2]:3000"]],
    ["App://Mine", ["app://mine"], ["http://mine"]],
  ])("cors.origins of %s", async ([named, may, mayNot], { serve }) => {
    const { perennial } = await serve([jsonReply("{}")], { cors: { origins: [named] } });
    const statusOf = async (origin: string): Promise<unknown[]> => [
      origin,
      (await send(`${perennial.baseUrl}/models`, { headers: { origin } })).status,
    ];
    for (const origin of may) expect(await statusOf(origin)).toEqual([origin, 200]);
    for (const origin of mayNot) expect(await statusOf(origin)).toEqual([origin, 403]);
  });
});

describe("a key", () => {
  test("is found whatever the case of its header and its scheme, and is itself taken to the letter", async ({ serve }) => {
    const { perennial } = await serve([jsonReply("{}")], { auth: { keys: ["Key-One"] } });
    const statusOf = async (headers: Record<string, string>): Promise<number> =>
      (await send(`${perennial.baseUrl}/models`, { headers })).status;
    for (const headers of [
      { authorization: "Bearer Key-One" },
      { AUTHORIZATION: "bearer Key-One" },
      { Authorization: "BEARER   Key-One" },
      { "X-Api-Key": "Key-One" },
      { "API-KEY": "Key-One" },
    ] as Record<string, string>[])
      expect([headers, await statusOf(headers)]).toEqual([headers, 200]);
    for (const headers of [
      { authorization: "Bearer key-one" },
      { authorization: "Key-One" },
      { authorization: "Basic Key-One" },
      { authorization: "BearerKey-One" },
      { "x-api-key": "Key-On" },
      { "x-api-key": "Key-One1" },
      { "x-api-key": "" },
    ] as Record<string, string>[])
      expect([headers, await statusOf(headers)]).toEqual([headers, 401]);
  });
});
