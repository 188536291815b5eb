import { expect, it } from "vitest";
import { type PathRules, readRequestPath } from "./request-path.ts";

const V1: PathRules = { mount: "/v1" };
const ROOT: PathRules = { mount: "/" };

it.each<[string, PathRules, string, string, string, string]>([
  // path as it came, in plain characters, as a route, query
  ["/v1/models?limit=2&x=?", V1, "/models", "/models", "/models", "?limit=2&x=?"],
  ["//v1///models//", V1, "/models/", "/models", "/models", ""],
  ["/v1/", V1, "/", "/", "/", ""],
  ["/v1/chat%2Fcompletions", V1, "/chat%2Fcompletions", "/chat/completions", "/chat/completions", ""],
  ["/v1/a?x=/../%00\\#", V1, "/a", "/a", "/a", "?x=/../%00\\#"],
  ["/v1/...", V1, "/...", "/...", "/...", ""],
  ["/v1/.a/..b", V1, "/.a/..b", "/.a/..b", "/.a/..b", ""],
  ["/models", ROOT, "/models", "/models", "/models", ""],
  ["/", ROOT, "/", "/", "/", ""],
  ["/v1/models", ROOT, "/v1/models", "/v1/models", "/v1/models", ""],
  ["/openai/x", { mount: "/v1", bare: ["/other/", "/openai/"] }, "/openai/x", "/openai/x", "/openai/x", ""],
  // Said twice: where the upstream's own base URL has it, one is enough.
  ["/v1/v1/messages", V1, "/v1/messages", "/v1/messages", "/messages", ""],
  ["/v1/v1/messages/", { mount: "/v1", basePath: "/api/v1" }, "/messages/", "/messages", "/messages", ""],
  ["/v1/v1/messages", { mount: "/v1", basePath: "/api/v1/" }, "/messages", "/messages", "/messages", ""],
  ["/v1/v1/messages", { mount: "/v1", basePath: "/v1/api" }, "/v1/messages", "/v1/messages", "/messages", ""],
  ["/v1/v1/messages", { mount: "/v1", basePath: "/v11" }, "/v1/messages", "/v1/messages", "/messages", ""],
  ["/v1/v11/messages", { mount: "/v1", basePath: "/v1" }, "/v11/messages", "/v11/messages", "/v11/messages", ""],
])("finds where %s goes (%j)", (url, rules, path, plain, route, query) => {
  expect(readRequestPath(url, rules)).toEqual({ path, plain, route, query });
});

const DOTS = "The path must not contain dot segments.";
const CHARACTER = "The path holds a character that URLs do not allow.";
const times = (count: number, character: string): string => `%${"25".repeat(count)}${character}`;

it.each<[string, string, string]>([
  ["/models", "not_found", "There is nothing at /models. Models are served under /v1/."],
  ["/v1", "not_found", "There is nothing at /v1. Models are served under /v1/."],
  ["/v11/models", "not_found", "There is nothing at /v11/models. Models are served under /v1/."],
  ["http://elsewhere/v1/models", "invalid_request", "The request target must be a path."],
  ["*", "invalid_request", "The request target must be a path."],
  ["/v1/a\\b", "invalid_request", CHARACTER],
  ["/v1/a#b", "invalid_request", CHARACTER],
  ["/v1/%zz", "invalid_request", "The path is not spelled as URLs are."],
  ["/v1/..", "invalid_request", DOTS],
  ["/v1/./a", "invalid_request", DOTS],
  ["/v1/..;x/a", "invalid_request", DOTS],
  ["/v1/%20..%20;x=1/a", "invalid_request", DOTS],
  ["/v1/%5c..%5ca", "invalid_request", DOTS],
  ["/v1/%2e%2E/a", "invalid_request", DOTS],
  [`/v1/${times(3, "2e.")}/a`, "invalid_request", DOTS],
  ["/v1/a%00", "invalid_request", CHARACTER],
  ["/v1/.%1f.", "invalid_request", CHARACTER],
  ["/v1/a%7f", "invalid_request", CHARACTER],
  ["/v1/%c0%ae", "invalid_request", CHARACTER],
  ["/v1/%C1%9C", "invalid_request", CHARACTER],
  [`/v1/${times(4, "41")}`, "invalid_request", "The path is encoded too many times."],
])("refuses %s by a word that says why", (url, code, message) => {
  expect(() => readRequestPath(url, V1)).toThrow(expect.objectContaining({ code, message }));
});

it("takes what is encoded as often as servers on the way may decode it", () => {
  expect(readRequestPath(`/v1/${times(3, "41")}%20%c3%a9`, V1)).toMatchObject({ plain: `/${times(2, "41")} é` });
});
