import { expect, test } from "vitest";
import { chooseProxy } from "./proxy.ts";

const ENV = { HTTPS_PROXY: "http://secure:1", HTTP_PROXY: "http://plain:1" };
const hostFor = (url: string, env: Record<string, string> = ENV): string | undefined => chooseProxy(url, env)?.url.host;

test("https upstreams have HTTPS_PROXY and http upstreams HTTP_PROXY, small letters first, and neither stands in for the other", () => {
  expect(hostFor("https://api.example/v1")).toBe("secure:1");
  expect(hostFor("http://api.example/v1")).toBe("plain:1");
  expect(hostFor("http://api.example/v1", { HTTPS_PROXY: "http://secure:1" })).toBeUndefined();
  expect(chooseProxy("http://api.example", { ...ENV, http_proxy: "small:2" })).toMatchObject({
    url: { host: "small:2" },
    variable: "http_proxy",
  });
  expect(hostFor("http://api.example", { HTTP_PROXY: "" })).toBeUndefined();
});

test.each(["http://localhost:11434", "http://127.0.0.1:8000", "http://127.9.9.9", "http://[::1]:8000", "http://a.localhost"])(
  "%s is this machine, which no proxy could reach",
  (url) => expect(hostFor(url)).toBeUndefined(),
);

test.each([
  ["http://api.example", "api.example", true],
  ["http://api.example", "API.Example.", true],
  ["http://a.api.example", "api.example", true],
  ["http://a.api.example", ".api.example", true],
  ["http://a.api.example", "*.api.example", true],
  ["http://notapi.example", "api.example", false],
  ["http://api.example.evil", "api.example", false],
  ["http://api.example", "other, api.example", true],
  ["http://api.example", "other api.example", true],
  ["http://api.example", "*", true],
  ["http://api.example", "api.example:80", true],
  ["http://api.example:8000", "api.example:80", false],
  ["https://api.example", "api.example:443", true],
  ["http://10.1.2.3", "10.0.0.0/8", true],
  ["http://11.1.2.3", "10.0.0.0/8", false],
  ["http://api.example", "10.0.0.0/8", false],
  ["http://[fd00::1]:8000", "fd00::/8", true],
  ["http://[fd00::1]:8000", "[fd00::1]:8000", true],
  ["http://[fd00::1]", "fd00::1", true],
  ["http://10.1.2.3", "10.0.0.0/99", false],
  ["http://api.example", " , ,", false],
])("%s with NO_PROXY=%s is reached directly: %s", (url, no_proxy, isDirect) => {
  expect(hostFor(url, { ...ENV, no_proxy }) === undefined).toBe(isDirect);
});

test("a user and a password in the proxy's URL become its authorization", () => {
  const { authorization } = chooseProxy("http://a.example", { http_proxy: "http://us%3Aer:p%40ss@p:1" }) ?? {};
  expect(authorization).toBe(`Basic ${Buffer.from("us:er:p@ss").toString("base64")}`);
  expect(chooseProxy("http://a.example", ENV)?.authorization).toBeUndefined();
});
