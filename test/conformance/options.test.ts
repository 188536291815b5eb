/** The command line of the conformance run: what it asks for, and the commands that it prints. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { createChaosServer } from "../../src/chaos/chaos-server.ts";
import { type Case, listCases } from "./cases.ts";
import { casesFor, commandFor, listModels, readOptions } from "./options.ts";
import { runCases } from "./run-cases.ts";
import { givenTarget } from "./targets.ts";

const GIVEN = ["--target", "mine=http://127.0.0.1:4000/v1"];
const find = (id: string): Case => listCases({ framings: ["default"] }).find((one) => one.id === id) as Case;

test.each([
  [["--target", "mine"], "NAME=URL"],
  [["--only-target", "mine"], "no target"],
  [["--dialect", "gemini"], "no API"],
  [["--path", "/x"], "one --dialect"],
  [["--header", "no colon"], "Name: value"],
  [["--only", "trunkate"], "no fault"],
  [["--patience", "soon"], "seconds"],
])("refuses what it cannot do: %j", (args, message) => {
  expect(() => readOptions(args)).toThrow(message);
});

test("without a gateway every framing and every API is tried, with one its usual framing", () => {
  const all = casesFor(readOptions([]));
  expect(new Set(all.map(({ dialect }) => dialect))).toEqual(new Set(["chat", "completions", "responses", "messages"]));
  expect(new Set(all.filter(({ setup }) => setup === undefined).map(({ framing }) => framing)).size).toBe(4);
  expect(new Set(casesFor(readOptions(GIVEN)).map(({ framing }) => framing))).toEqual(new Set(["default"]));
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
});

test("lists the models that a gateway must let through, without a comma in any", () => {
  const models = listModels(readOptions([...GIVEN, "--model-prefix", "openai/"]));
  expect(models).toContain("openai/chaos/ok");
  expect(models).toContain("openai/chaos/truncate:0+ok");
  expect(new Set(models).size).toBe(models.length);
  expect(models.filter((model) => model.includes(","))).toEqual([]);
});

describe("the command that shows a verdict again", () => {
  test("asks the one case of the one target", () => {
    const one = find("truncate:0+ok streamed default");
    const command = commandFor(
      "mine",
      one,
      readOptions([...GIVEN, "--header", "x-provider: openai", "--model-prefix", "openai/"]),
    );
    expect(command).toBe(
      "npm run conformance -- --target mine=http://127.0.0.1:4000/v1 --header 'x-provider: openai' --model-prefix openai/ " +
        "--only-target mine --case 'truncate:0+ok streamed default'",
    );
    const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "").slice(4);
    expect(casesFor(readOptions(words)).map(({ id }) => id)).toEqual([one.id]);
  });

  test("holds no key", () => {
    const options = readOptions([...GIVEN, "--key", "sk-secret", "--header", "X-Api-Key: sk-secret"]);
    expect(commandFor("mine", find("ok streamed default"), options)).not.toContain("sk-secret");
  });
});

test("a gateway is asked with its header, its prefix and its path", async () => {
  const seen: unknown[] = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const part of request) text += part;
    const { model } = JSON.parse(text) as { model: string };
    seen.push([request.url, request.headers["x-provider"], request.headers.authorization, model]);
    response.end("{}");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`;
  const options = readOptions([
    "--target",
    `mine=${url}`,
    "--header",
    "X-Provider: a",
    "--model-prefix",
    "p/",
    "--dialect",
    "chat",
    "--path",
    "/x",
  ]);
  await runCases(givenTarget("mine", url), [find("ok plain default")], { ...options.style, concurrency: 1 });
  server.close();
  expect(seen).toEqual([["/v1/x", "a", "Bearer sk-conformance", "p/chaos/ok"]]);
});

test("the chaos server answers what gateways probe, and takes a plus for a comma", async () => {
  const chaos = createChaosServer({ tokenDelayMs: 0 });
  const { url } = await chaos.listen();
  const origin = new URL(url).origin;
  for (const path of ["/", "/health", "/healthz", "/v1", "/v1/models", "/v1/models/", "/models"]) {
    for (const method of ["GET", "HEAD"]) expect((await fetch(origin + path, { method })).status, `${method} ${path}`).toBe(200);
  }
  const body = JSON.stringify({ model: "chaos/500+ok", messages: [] });
  const statuses = [];
  for (let attempt = 0; attempt < 2; attempt++)
    statuses.push((await fetch(`${url}/chat/completions`, { method: "POST", body })).status);
  await chaos.close();
  expect(statuses).toEqual([500, 200]);
});
