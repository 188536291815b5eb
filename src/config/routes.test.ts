import { expect, test } from "vitest";
import type { Dialect } from "../core/dialect.ts";
import { anthropicMessages } from "../dialect/anthropic-messages.ts";
import { openAiChat } from "../dialect/openai-chat.ts";
import { bareOf, clientPathsOf, dialectAt, isClientPath, type Mount, type Served, servesOf, uniteRoutes } from "./routes.ts";

const pathsOf = (...upstreams: Parameters<typeof uniteRoutes>[0]) => uniteRoutes(upstreams).routes.paths;

test("the API decides on the paths, and a profile is not needed for them", () => {
  expect(clientPathsOf({ api: "openai", mount: "/v1" })).toContain("/v1/chat/completions");
  expect(clientPathsOf({ api: "chatchat", mount: "/" })).toContain("/chat/chat");
  const openai = clientPathsOf({ api: "openai", mount: "/v1" });
  expect(clientPathsOf({ api: "anthropic", mount: "/v1" })).toEqual(openai);
  expect(clientPathsOf({ api: "azure", mount: "/v1" })).toEqual(expect.arrayContaining(openai));
});

test("clients reach the routes of all upstreams", () => {
  expect(uniteRoutes([{ api: "openai", mount: "/v1" }]).mount).toBe("/v1");
  expect(pathsOf({ api: "openai", mount: "/v1" })).toContain("/messages");
  const both = uniteRoutes([
    { api: "openai", mount: "/v1" },
    { api: "chatchat", mount: "/" },
  ]);
  expect(both.mount).toBe("/");
  expect(both.routes.paths).toEqual(expect.arrayContaining(["/v1/messages", "/chat/chat"]));
});

test("of two dialects at one path, that of the preferred upstream is spoken", () => {
  const openai = { api: "openai", mount: "/v1" } as const;
  const chatchat = { api: "chatchat", mount: "/" } as const;
  expect(uniteRoutes([openai, chatchat]).routes.find("/v1/chat/completions")?.dialect.name).toBe("openai-chat");
  expect(uniteRoutes([chatchat, openai]).routes.find("/v1/chat/completions")?.dialect.name).toBe("chatchat-completions");
});

test("a deployment of Azure's is asked under any name, with /v1 before it or without", () => {
  const azure = { api: "azure", mount: "/v1" } as const;
  for (const path of [
    "/openai/deployments/my.gpt-4/chat/completions",
    "/v1/openai/deployments/x/completions",
    "/openai/v1/responses",
  ]) {
    expect([path, isClientPath(azure, path)]).toEqual([path, true]);
    expect([path, isClientPath({ api: "openai", mount: "/v1" }, path)]).toEqual([path, false]);
  }
  expect(isClientPath(azure, "/openai/deployments/x/chat/completions?api-version=1")).toBe(true);
  expect(isClientPath(azure, "/openai/deployments/a/b/chat/completions")).toBe(false);
  expect(isClientPath(azure, "/chat/completions")).toBe(false);
  expect([bareOf(azure), bareOf({ api: "azure", mount: "/" }), bareOf({ api: "openai", mount: "/v1" })]).toEqual([
    ["/openai/"],
    [],
    [],
  ]);
  expect(uniteRoutes([azure])).toMatchObject({ mount: "/v1", bare: ["/openai/"] });
  const both = uniteRoutes([azure, { api: "chatchat", mount: "/" }]);
  expect([both.mount, both.bare]).toEqual(["/", []]);
  for (const path of [
    "/openai/deployments/x/chat/completions",
    "/v1/openai/deployments/x/chat/completions",
    "/v1/chat/completions",
  ]) {
    expect([path, both.routes.find(path)?.dialect.name]).toEqual([path, "openai-chat"]);
  }
});

const OPENAI = { api: "openai", mount: "/v1" } as const;
const AZURE = { api: "azure", mount: "/v1" } as const;
const CHATCHAT = { api: "chatchat", mount: "/" } as const;
const ROOTED = { api: "openai", mount: "/" } as const;
const countTokens = dialectAt(OPENAI, "/messages/count_tokens") as Dialect;

test.each<[Served, Mount, string, string | undefined]>([
  [OPENAI, "/v1", "/models", "/models"],
  [OPENAI, "/", "/v1/models", "/models"],
  [OPENAI, "/", "/models/v1/", undefined],
  [OPENAI, "/", "/models", undefined],
  [CHATCHAT, "/", "/chat/chat", "/chat/chat"],
  [AZURE, "/", "/openai/deployments/x/chat/completions", "/openai/deployments/x/chat/completions"],
  [AZURE, "/", "/v1/openai/", "/openai/"],
  [AZURE, "/", "/x/openai/", undefined],
])("of %j, under %s for all, the path %s is %s", (served, all, path, expected) => {
  expect(servesOf(served, all).pathOf(path)).toBe(expected);
});

test.each<[Served, string, Dialect | undefined, boolean]>([
  [OPENAI, "/chat/completions", openAiChat, true],
  [OPENAI, "/chat%2Fcompletions/", openAiChat, true],
  [OPENAI, "/v1/chat/completions", openAiChat, true],
  [OPENAI, "/v1chat/completions", openAiChat, false],
  [OPENAI, "/%zz", openAiChat, false],
  [OPENAI, "/messages", openAiChat, false],
  [OPENAI, "/messages/count_tokens", anthropicMessages, false],
  [OPENAI, "/messages/count_tokens", countTokens, true],
  [CHATCHAT, "/chat/completions", openAiChat, false],
  // What no dialect claims may be there as well; but what Azure's clients alone ask for is at Azure.
  [OPENAI, "/files", undefined, true],
  [OPENAI, "/openai/files", undefined, false],
  [AZURE, "/openai/files", undefined, true],
  [ROOTED, "/openai/files", undefined, true],
  [OPENAI, "/openaix", undefined, true],
])("%j speaks at %s what is asked, or not", (served, path, dialect, expected) => {
  expect(servesOf(served, "/v1").speaks(path, dialect)).toBe(expected);
});

test("what an upstream speaks of its own it is asked first", () => {
  const native = (served: Served) => [openAiChat, anthropicMessages, countTokens].map(servesOf(served, "/v1").isNative);
  expect(native(OPENAI)).toEqual([true, true, true]);
  expect(native({ api: "anthropic", mount: "/v1" })).toEqual([false, true, true]);
  expect([dialectAt(OPENAI, "/files"), dialectAt(OPENAI, "/chat/completions")]).toEqual([undefined, openAiChat]);
});

test("a path is told from its query, and one under the root needs no mount", () => {
  expect([
    isClientPath(OPENAI, "/v1/messages?a=/x"),
    isClientPath(OPENAI, "/messages"),
    isClientPath(ROOTED, "/messages"),
  ]).toEqual([true, false, true]);
});
