import { expect, test } from "vitest";
import { clientPathsOf, uniteRoutes } from "./routes.ts";

const pathsOf = (...upstreams: Parameters<typeof uniteRoutes>[0]) => [...uniteRoutes(upstreams).dialects.keys()];

test("the API decides on the paths, and a profile is not needed for them", () => {
  expect(clientPathsOf({ api: "openai", mount: "/v1" })).toContain("/v1/chat/completions");
  expect(clientPathsOf({ api: "chatchat", mount: "/" })).toContain("/chat/chat");
  for (const api of ["azure", "anthropic"] as const) {
    expect(clientPathsOf({ api, mount: "/v1" })).toEqual(clientPathsOf({ api: "openai", mount: "/v1" }));
  }
});

test("clients reach the routes of all upstreams", () => {
  expect(uniteRoutes([{ api: "openai", mount: "/v1" }]).mount).toBe("/v1");
  expect(pathsOf({ api: "openai", mount: "/v1" })).toContain("/messages");
  const both = uniteRoutes([
    { api: "openai", mount: "/v1" },
    { api: "chatchat", mount: "/" },
  ]);
  expect(both.mount).toBe("/");
  expect([...both.dialects.keys()]).toEqual(expect.arrayContaining(["/v1/messages", "/chat/chat"]));
});

test("of two dialects at one path, that of the preferred upstream is spoken", () => {
  const openai = { api: "openai", mount: "/v1" } as const;
  const chatchat = { api: "chatchat", mount: "/" } as const;
  expect(uniteRoutes([openai, chatchat]).dialects.get("/v1/chat/completions")?.name).toBe("openai-chat");
  expect(uniteRoutes([chatchat, openai]).dialects.get("/v1/chat/completions")?.name).toBe("chatchat-completions");
});
