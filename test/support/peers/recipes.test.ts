/** The recipes of other gateways: each can be filled in, and is what its gateway reads. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { fill } from "./process.ts";

const folder = new URL("recipes/", import.meta.url);
/** What nginx's recipe asks for beside. */
const NGINX = { SERVERS: "server 127.0.0.1:8788;", MORE_STATUSES: "" };
const patience = { silenceMs: 1_500, totalMs: 8_000 };

test.each(readdirSync(folder))("%s asks for nothing that there is not, and names its upstream and its patience", (file) => {
  const source = readFileSync(new URL(file, folder), "utf8");
  const text = fill(source, { folder: "/tmp/x", port: 4321, upstream: "http://127.0.0.1:8788/v1", patience, values: NGINX });
  expect(text).not.toContain("{{");
  expect(text).toContain("8788");
  expect(text).toMatch(/\b(1500|1\.5)/);
  if (file.endsWith(".yaml")) expect(parse(text)).toEqual(expect.any(Object));
});

test("a recipe that asks for something else is refused", () => {
  const given = { folder: "", port: 1, upstream: "http://127.0.0.1:1/v1", patience };
  expect(() => fill("{{UPSTREAMS}}", given)).toThrow("{{UPSTREAMS}}");
});
