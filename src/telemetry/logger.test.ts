import { expect, test } from "vitest";
import { createLogger } from "./logger.ts";

/** The line that is logged of these fields. */
function logged(fields: object): Record<string, unknown> {
  const lines: string[] = [];
  createLogger({ level: "info", format: "json" }, { write: (line) => void lines.push(line) }).info(fields, "told");
  const { time: _time, level: _level, msg: _msg, ...rest } = JSON.parse(lines.join("")) as Record<string, unknown>;
  return rest;
}

test.each<[string, object, object]>([
  [
    "a header",
    { headers: { authorization: "S3CRET", accept: "*/*" } },
    { headers: { authorization: "[redacted]", accept: "*/*" } },
  ],
  ["a field", { apiKey: "S3CRET", id: "1" }, { apiKey: "[redacted]", id: "1" }],
  [
    "settings",
    { config: { upstreams: [{ name: "main", apiKey: "S3CRET" }], auth: { keys: ["S3CRET"] } } },
    { config: { upstreams: [{ name: "main", apiKey: "[redacted]" }], auth: { keys: "[redacted]" } } },
  ],
  ["an upstream, of which its name is told", { upstream: { name: "main", apiKey: "S3CRET" } }, { upstream: "main" }],
  ["an upstream without a name", { upstream: { apiKey: "S3CRET" } }, {}],
  ["an upstream that is a name already", { upstream: "main" }, { upstream: "main" }],
  ["no upstream", { upstream: null }, {}],
])("a secret that slips into a line is masked: %s", (_what, fields, line) => {
  expect(logged(fields)).toEqual(line);
});
