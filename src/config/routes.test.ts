import { expect, test } from "vitest";
import { clientPathsOf, isClientPath, uniteRoutes } from "./routes.ts";

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
