import Fastify from "fastify";
import { expect, it, onTestFinished } from "vitest";
import { Failure } from "../core/failure.ts";
import type { Refusal } from "../core/observer.ts";
import { anthropicMessages } from "../dialect/anthropic-messages.ts";
import { reject } from "./reject.ts";

/** What a client is answered, and what the observer hears, of something that was thrown. */
async function refused(thrown: unknown, dialect?: typeof anthropicMessages) {
  const heard: Refusal[] = [];
  const app = Fastify({ genReqId: () => "7" });
  onTestFinished(() => app.close());
  app.decorateRequest("arrivedAt", performance.now());
  app.setErrorHandler((error, request, reply) =>
    reject(request, reply, error, { onRejected: (request) => void heard.push(request) }, dialect),
  );
  app.get("/*", () => Promise.reject(thrown));
  const { statusCode, headers, body } = await app.inject("/v1/a?key=secret");
  const { date: _date, connection, "content-length": _length, ...others } = headers;
  return { status: statusCode, headers: others, closes: connection === "close", error: JSON.parse(body).error, heard };
}

const HEADERS = { "content-type": "application/json; charset=utf-8", "x-perennial-attempts": "0" };
const fastify = (statusCode: unknown, code = "FST_ERR"): Error =>
  Object.assign(new Error("in Fastify's words"), { statusCode, code });

it.each<[string, unknown, number, string, string, Record<string, string>, boolean]>([
  ["a refusal of ours", new Failure("not_found", "nothing"), 404, "not_found", "nothing", {}, false],
  ["one for a moment", new Failure("overloaded", "full"), 503, "overloaded", "full", { "retry-after": "1" }, false],
  ["one at the end", new Failure("draining", "bye"), 503, "draining", "bye", { "retry-after": "1" }, true],
  [
    "an answer that is gone",
    new Failure("stream_gone", "gone"),
    410,
    "stream_gone",
    "gone",
    { "x-should-retry": "false" },
    false,
  ],
  ["what Fastify refuses", fastify(415), 415, "invalid_request", "in Fastify's words", {}, false],
  ["the last of these", fastify(499), 499, "invalid_request", "in Fastify's words", {}, false],
])("answers %s in its own words, and tells it once", async (_which, thrown, status, code, message, headers, closes) => {
  const { error, heard, ...seen } = await refused(thrown);
  expect(seen).toEqual({ status, headers: { ...HEADERS, ...headers }, closes });
  expect(error).toMatchObject({ code, message });
  const told = {
    id: "7",
    method: "GET",
    path: "/v1/a",
    failure: code,
    status,
    durationMs: expect.any(Number),
    defect: undefined,
  };
  expect(heard).toEqual([told]);
});

it.each([new Error("a defect"), fastify(500), fastify(399), fastify("404")])(
  "shows nothing of a defect but to the log: %s",
  async (thrown) => {
    const { status, error, heard } = await refused(thrown);
    expect([status, error.code, error.message]).toEqual([
      500,
      "internal_error",
      "Perennial failed on this request; this is a bug, please report it.",
    ]);
    expect(heard).toMatchObject([{ failure: "internal_error", status: 500, defect: thrown }]);
  },
);

it("speaks the dialect of whoever asked", async () => {
  const { error } = await refused(new Failure("unauthorized", "no key"), anthropicMessages);
  expect(error).toMatchObject({ type: "authentication_error", message: "no key" });
});
