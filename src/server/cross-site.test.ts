import type { IncomingHttpHeaders } from "node:http";
import { expect, it } from "vitest";
import { isFromForeignPage, isLoopbackName } from "./cross-site.ts";
import { isAllowedOrigin, isPreflight, type OriginRules, preflightHeaders } from "./origins.ts";

it("knows the names of this machine", () => {
  const names = ["localhost", "a.localhost", "localhost.", "127.0.0.1", "127.255.0.9", "[::1]", "::1"];
  const others = [
    "localhost.evil.com",
    "xlocalhost",
    ".localhost",
    "128.0.0.1",
    "126.9.9.9",
    "[::2]",
    "[fe80::1]",
    "localhost:80",
    "",
  ];
  expect(names.filter((name) => !isLoopbackName(name))).toEqual([]);
  expect(others.filter(isLoopbackName)).toEqual([]);
});

it("takes for local what no page from elsewhere can be called, and nothing else", () => {
  const isForeign = (host: string): boolean => isFromForeignPage("GET", { host }, () => false);
  const local = [
    ...[
      "localhost",
      "localhost:8080",
      "nas",
      "nas:8080",
      "box.local",
      "a.b.internal",
      "x.lan",
      "x.home.arpa",
      "x.test",
      "x.lan.",
    ],
    ...[
      "10.1.2.3",
      "127.0.0.1:1",
      "169.254.1.1",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.0.1:9",
      "[::1]:80",
      "[fc00::1]",
      "[fdff::1]",
    ],
    ...["[fe80::1]", "[febf::1]"],
  ];
  const foreign = [
    ...["evil.com", "evil.com:80", "local.evil.com", "xlan.com", "x.localx", "a.homexarpa", "nas.evil"],
    ...["11.0.0.1", "126.0.0.1", "128.0.0.1", "169.253.1.1", "172.15.0.1", "172.32.0.1", "192.169.0.1", "8.8.8.8"],
    ...["[2001:db8::1]", "[fbff::1]", "[fec0::1]", "[::2]", "a b"],
  ];
  expect(local.filter(isForeign)).toEqual([]);
  expect(foreign.filter((host) => !isForeign(host))).toEqual([]);
});

it.each<[string, IncomingHttpHeaders, boolean]>([
  ["GET", { host: "evil.com" }, true],
  ["HEAD", { host: "evil.com" }, true],
  // Programs ask from anywhere; a page that writes says where it is from.
  ["POST", { host: "evil.com" }, false],
  ["GET", { host: "" }, false],
  ["GET", {}, false],
  ["POST", { "sec-fetch-site": "cross-site" }, true],
  ["POST", { "sec-fetch-site": "same-site" }, false],
  ["POST", { origin: "https://bad" }, true],
  ["GET", { origin: "https://good", host: "evil.com", "sec-fetch-site": "cross-site" }, false],
])("%s with %j is from a page that has no business here: %s", (method, headers, expected) => {
  expect(isFromForeignPage(method, headers, (origin) => origin === "https://good")).toBe(expected);
});

it.each([
  ["http://localhost:3000", true],
  ["https://127.0.0.1", true],
  ["HTTPS://evil.com", false],
  ["http://evil.com", false],
  ["http://", false],
  ["https://named.example", true],
  ["HTTPS://Named.Example", true],
  ["null", false],
  ["vscode-webview://abc", true],
  ["x-https://evil.com", true],
])("without a key a page of %s may use it: %s", (origin, expected) => {
  const rules: OriginRules = { localOnly: true, corsOrigins: ["https://named.example"] };
  expect(isAllowedOrigin(origin, rules)).toBe(expected);
  expect(isAllowedOrigin(origin, { ...rules, localOnly: false })).toBe(true);
});

it("answers a browser that asks whether its page may ask, and takes no other for one", () => {
  const asks = { origin: "http://a", "access-control-request-method": "POST" };
  expect([isPreflight("OPTIONS", asks), isPreflight("POST", asks)]).toEqual([true, false]);
  expect([isPreflight("OPTIONS", { origin: "http://a" }), isPreflight("OPTIONS", { ...asks, origin: undefined })]).toEqual([
    false,
    false,
  ]);
  const always = {
    "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "access-control-max-age": "7200",
    vary: "origin, access-control-request-method, access-control-request-headers",
  };
  expect(preflightHeaders({ ...asks, "access-control-request-private-network": "false" })).toStrictEqual(always);
  expect(
    preflightHeaders({ "access-control-request-headers": "x-a, x-b", "access-control-request-private-network": "true" }),
  ).toEqual({ ...always, "access-control-allow-headers": "x-a, x-b", "access-control-allow-private-network": "true" });
});
