import { expect, test } from "vitest";
import { toClientHeaders, toUpstreamHeaders, toUpstreamPath } from "./headers.ts";

const asIs = { apiKey: undefined, keyHeader: "authorization", dropCredentials: false, isForeign: false } as const;

test("what is for the next hop only ends here, with every header that connection names", () => {
  const hop = {
    connection: "keep-alive, X-Named",
    "x-named": "1",
    "keep-alive": "timeout=5",
    "proxy-connection": "keep-alive",
    "proxy-authorization": "Basic x",
    te: "trailers",
    trailer: "x",
    "transfer-encoding": "chunked",
    upgrade: "h2c",
  };
  expect(toUpstreamHeaders({ ...hop, host: "evil", "content-length": "5", expect: "100-continue", "x-kept": "1" }, asIs)).toEqual(
    { "x-kept": "1" },
  );
  expect(toClientHeaders({ ...hop, "alt-svc": "h3", "x-kept": "1", "content-length": "5" })).toEqual({
    "x-kept": "1",
    "content-length": "5",
  });
});

test("the client's key goes to the upstream only when neither of us has another use for it", () => {
  const headers = { authorization: "Bearer mine", "x-api-key": "mine", "api-key": "mine" };
  expect(toUpstreamHeaders(headers, asIs)).toEqual(headers);
  expect(toUpstreamHeaders(headers, { ...asIs, dropCredentials: true })).toEqual({});
  expect(toUpstreamHeaders(headers, { ...asIs, apiKey: "sk" })).toEqual({ authorization: "Bearer sk" });
  expect(toUpstreamHeaders(headers, { ...asIs, apiKey: "sk", keyHeader: "api-key" })).toEqual({ "api-key": "sk" });
});

test("an upstream for which the client's credentials are not meant gets none of what may be one", () => {
  const headers = {
    authorization: "Bearer mine",
    "x-api-key": "mine",
    "x-goog-api-key": "mine",
    "ocp-apim-subscription-key": "mine",
    cookie: "session=mine",
    "openai-organization": "org",
    "x-auth-token": "mine",
  };
  const kept = { "idempotency-key": "1", "anthropic-version": "2023-06-01", "x-request-id": "r", "content-type": "a" };
  expect(toUpstreamHeaders({ ...headers, ...kept }, { ...asIs, isForeign: true })).toEqual(kept);
  expect(toUpstreamPath("/x?a=1&key=mine&api-version=1&api_key=mine", { isForeign: true })).toBe("/x?a=1&api-version=1");
  expect(toUpstreamPath("/x?key=mine", { isForeign: true })).toBe("/x");
  expect(toUpstreamPath("/x?key=mine", asIs)).toBe("/x?key=mine");
});

test("x-perennial headers are between the client and Perennial", () => {
  expect(toUpstreamHeaders({ "x-perennial-max-attempts": "1", "x-other": "1" }, asIs)).toEqual({ "x-other": "1" });
});
