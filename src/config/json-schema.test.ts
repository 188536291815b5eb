import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { printJsonSchema } from "./json-schema.ts";
import { PROFILE_NAMES } from "./profiles.ts";

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
const example = read("config.example.yaml");
const schema = z.fromJSONSchema(JSON.parse(printJsonSchema()));
const accepts = (yaml: string): boolean => schema.safeParse(parse(yaml) ?? {}).success;

it("is what the file in the repository says; otherwise run `node scripts/config-schema.ts`", () => {
  expect(read("config.schema.json")).toBe(printJsonSchema());
});

it("is named in the first line of the example, for editors", () => {
  expect(example.split("\n", 1)[0]).toBe("# yaml-language-server: $schema=./config.schema.json");
});

it("accepts the example, and what the program accepts", () => {
  for (const yaml of [
    example,
    "",
    "heartbeat: off\nwarmup: { on: idle, after: 1m, request: { model: m, x: [1] } }",
    "tls: { cert: a.pem, key: b.pem }\nauth: { keys: [a, b], maxStreamsPerKey: 3 }",
    "auth: { keys: [a, { key: b, name: team, rate: { requests: 20/m }, models: [x], priority: 1 }] }\nprogress: true",
    'upstreams: [{ baseUrl: http://a, rate: { requests: 200/m, tokens: 1/h, concurrent: 8, wait: 2m, models: { "gpt-4.1": { requests: 5/s } } } }]',
    "retry: { backoff: { initial: 0, factor: 1.5 } }\nlimits: { maxBodyBytes: 1000, maxEventBytes: 64KB }",
    ...PROFILE_NAMES.map((profile) => `upstreams: [{ baseUrl: http://a, profile: ${profile} }]`),
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the file's syntax
    'port: "${PORT}"\nhost: "${HOST:-::1}"\nopen: "${OPEN}"\nlog: { level: "${LEVEL}" }\ntimeouts: { idle: "${IDLE}" }',
  ])
    expect([yaml, accepts(yaml)]).toEqual([yaml, true]);
});

it.each([
  "prot: 8787",
  "port: many",
  "port: 65536",
  "host: a b",
  "timeouts: { idle: 30 }",
  "timeouts: { idle: 30 seconds }",
  "limits: { maxBodyBytes: 32 MiB }",
  "log: { level: loud }",
  "open: yes please",
  "auth: { keys: one }",
  "auth: { keys: [{ name: x }] }",
  "upstreams: [{ baseUrl: http://a, rate: { requests: 200/week } }]",
  "upstreams: [{ baseUrl: http://a, rate: { models: { m: { wait: 1s } } } }]",
  "tls: { cert: a.pem }",
  "upstreams: [{ name: a }]",
  "upstreams: [{ baseUrl: http://a, profile: other }]",
])("marks %s as a mistake", (yaml) => {
  expect(accepts(yaml)).toBe(false);
});

it("describes every key, and says its default where there is one", () => {
  const missing: string[] = [];
  const walk = (node: Record<string, unknown>, path: string): void => {
    for (const [key, child] of Object.entries((node.properties ?? {}) as Record<string, Record<string, unknown>>)) {
      if (!child.description) missing.push(`${path}.${key} has no description`);
      const said = /Default: ([^ ;()]+?)\.?$/.exec(String(child.description))?.[1];
      if (child.default !== undefined && said !== undefined && said !== "none" && said !== String(child.default)) {
        missing.push(`${path}.${key} says ${said}, and is ${child.default}`);
      }
      walk(child, `${path}.${key}`);
    }
    for (const child of [node.items, ...((node.anyOf as unknown[]) ?? [])])
      if (child) walk(child as Record<string, unknown>, path);
  };
  walk(JSON.parse(printJsonSchema()), "");
  expect(missing).toEqual([]);
});
