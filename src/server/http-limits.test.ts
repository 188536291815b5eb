import type { IncomingMessage, Server } from "node:http";
import { expect, it } from "vitest";
import { createFastifyLimits, refuseHead, setHttpLimits } from "./http-limits.ts";

/** A head as Node hands it on. */
function head(names: readonly string[], headers: Record<string, string> = {}, httpVersion = "1.1"): IncomingMessage {
  return { rawHeaders: names.flatMap((name) => [name, "host"]), headers, httpVersion } as unknown as IncomingMessage;
}

const many = (count: number): string[] => ["Host", ...Array<string>(count - 1).fill("x-a")];
const HOST = ["invalid_request", 400, "The request needs one Host header, and no more."];
const CODING = ["invalid_request", 501, "The only transfer-encoding that is served here is chunked."];
const UPGRADE = ["invalid_request", 426, "WebSockets are not served here. Use the HTTP API, with `stream: true`."];

it.each<[string, IncomingMessage, (string | number)[] | undefined]>([
  ["as it should be", head(["hOST", "accept"]), undefined],
  ["with as many headers as there may be", head(many(256)), undefined],
  ["with one more", head(many(257)), ["invalid_request", 431, "The request has more than 256 headers."]],
  ["without a host", head(["accept"]), HOST],
  ["of HTTP/1.0 without a host", head(["accept"], {}, "1.0"), undefined],
  ["with two hosts", head(["Host", "host"]), HOST],
  ["of HTTP/1.0 with two hosts", head(["Host", "host"], {}, "1.0"), HOST],
  ["in chunks", head(["Host"], { "transfer-encoding": "chunked" }), undefined],
  ["compressed in chunks", head(["Host"], { "transfer-encoding": "gzip ,  Chunked " }), CODING],
  ["of a WebSocket", head(["Host"], { upgrade: "h2c, WebSocket" }), UPGRADE],
  ["of another protocol, which is not taken up", head(["Host"], { upgrade: "h2c, websockets" }), undefined],
])("a head %s is refused for what is odd in it, if anything", (_which, request, expected) => {
  const refusal = refuseHead(request);
  expect(refusal && [refusal.code, refusal.status, refusal.message]).toEqual(expected);
});

it.each([
  [600_000, 30_000],
  [5_000, 5_000],
])("a request may take %i ms, its head no longer than %i ms, and there is room for one more connection", (requestMs, headMs) => {
  const server = {} as Server;
  setHttpLimits(server, { requestMs, maxConnections: 10 });
  expect(server).toEqual({ requestTimeout: requestMs, headersTimeout: headMs, maxConnections: 11, maxHeadersCount: 0 });
});

it("is as strict behind a certificate as without one", () => {
  const fixed = {
    maxHeaderSize: 16_384,
    connectionsCheckingInterval: 1_000,
    insecureHTTPParser: false,
    requireHostHeader: false,
  };
  expect(createFastifyLimits(undefined)).toMatchObject({ http: fixed });
  expect(createFastifyLimits({ cert: "c", key: "k" })).toMatchObject({
    https: { ...fixed, cert: "c", key: "k", handshakeTimeout: 30_000 },
  });
});
