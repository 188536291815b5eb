/** An answer that broke at one upstream goes on at another of the same model, with the proof that lies in its own words, or not at all. */
import type { Socket } from "node:net";
import { describe, expect } from "vitest";
import { chat, readStream } from "./support/client.ts";
import { DONE, line } from "./support/events.ts";
import { jsonReply, type RawRequest, sendFramed } from "./support/raw-upstream.ts";
import { begin } from "./support/replies.ts";
import { type InFrontOf, type Settings, test } from "./support/several-upstreams.ts";
import type { Answer } from "./support/test.ts";

const WORDS = ["A stream", " is a small", " promise:", " the first word", " arrives before", " the last one", " is known."];
const WHOLE = WORDS.join("");
/** So many words come before the break. */
const BREAKS = 5;

const chunk = (model: string, delta: object, finish_reason: string | null = null): string =>
  line({ id: "c", object: "chat.completion.chunk", created: 1, model, choices: [{ index: 0, delta, finish_reason }] });
const said = (model: string, words: readonly string[]): string[] => words.map((content) => chunk(model, { content }));

/** The beginning; whatever comes later is refused. */
const breaks =
  (end: (socket: Socket) => unknown = (socket) => socket.end(), model = "m"): Answer =>
  (socket, { number }) => {
    if (number > 1) {
      socket.write(jsonReply('{"error":{"message":"no"}}', "400 Bad Request"));
      return;
    }
    begin(socket);
    socket.write(said(model, WORDS.slice(0, BREAKS)).join(""), () => end(socket));
  };

/** Goes on where the request's beginning stops; or says all of it, where it has none. */
const goesOn =
  (model = "m", words = WORDS): Answer =>
  (socket, request: RawRequest) => {
    const last = request.json.messages.at(-1);
    const from = last.role === "assistant" ? words.findIndex((_, at) => words.slice(0, at).join("") === last.content) : 0;
    const events = said(model, words.slice(Math.max(0, from)));
    sendFramed(socket, "chunked", [chunk(model, { role: "assistant" }), ...events, chunk(model, {}, "stop"), DONE]);
  };

interface Case {
  readonly a?: Answer;
  readonly b?: Answer;
  readonly ofA?: Settings;
  readonly ofB?: Settings;
  readonly settings?: Settings;
  readonly body?: object;
}

const ASSISTANT = { continuation: "assistant" };
const AGAIN = { continuation: "rerun" };

async function hear(inFrontOf: InFrontOf, { a = breaks(), b = goesOn(), ofA = {}, ofB = ASSISTANT, settings, body }: Case) {
  const { perennial, upstreams } = await inFrontOf(
    [
      { reply: a, settings: ofA },
      { reply: b, settings: ofB },
    ],
    { recovery: "continue", ...settings },
  );
  const seen = await chat(perennial.baseUrl, { temperature: 0, ...body });
  const log = await perennial.exchangeLog();
  const models = [...new Set([...seen.body.matchAll(/"model":"([^"]+)"/g)].map(([, model]) => model))];
  return { ...readStream(seen.body), body: seen.body, log, models, asked: upstreams.map(({ requests }) => requests) };
}

describe("it goes on at another upstream of the same model", () => {
  test.for<readonly [string, Case, string]>([
    ["which proves it by its last words, where the first cannot continue", {}, "answer"],
    ["which says all of it again, where the first cannot continue", { ofB: AGAIN }, "rerun"],
    ["which says all of it again, by a seed", { ofB: AGAIN, body: { temperature: 1, seed: 7 } }, "rerun"],
    [
      "at whatever temperature, where its last words come again",
      { body: { temperature: 1 }, ofB: { ...ASSISTANT, resume: { proof: "answer" } } },
      "answer",
    ],
    ["though there a server is enough, since here it is not", { ofB: { ...ASSISTANT, resume: { proof: "server" } } }, "answer"],
    ["where the first refuses to continue", { ofA: ASSISTANT, settings: { resume: { maxAttempts: 2 } } }, "answer"],
    [
      "where the first fell silent, which is not asked first",
      { a: breaks(() => {}), ofA: ASSISTANT, settings: { timeouts: { idle: "200ms" } } },
      "answer",
    ],
    [
      "which knows the model by the same name, though the client does not",
      { a: breaks(undefined, "x-1"), b: goesOn("x-1"), ofA: { models: { m: "x" } }, ofB: { ...ASSISTANT, models: { m: "x" } } },
      "answer",
    ],
  ])("%s", async ([_what, setup, by], { inFrontOf }) => {
    const { text, done, errorCode, log, models, asked } = await hear(inFrontOf, setup);
    expect({ text, done, errorCode, models }).toEqual({ text: WHOLE, done: true, errorCode: undefined, models: ["m"] });
    expect(log).toMatchObject({ outcome: "resumed", by, seams: 1, upstream: "b" });
    expect(asked[1]).toHaveLength(1);
    const names = asked.flat().map(({ json }) => json.model);
    expect(new Set(names).size).toBe(1);
  });

  test("and is out itself, where it asks nobody to wait for it", async ({ inFrontOf }) => {
    let isDown = false;
    const down: Answer = (socket, request) => {
      if (isDown) socket.resetAndDestroy();
      else breaks((broken) => broken.end())(socket, request);
      isDown = true;
    };
    const { text, done, log } = await hear(inFrontOf, { a: down, ofA: ASSISTANT, settings: { retry: { outage: "1h" } } });
    expect({ text, done }).toEqual({ text: WHOLE, done: true });
    expect(log).toMatchObject({ outcome: "resumed", upstream: "b" });
    // It cost the first nothing to be out, so that it does not count.
    expect(log.attempts).toHaveLength(3);
  });
});

describe("it does not go on", () => {
  const other = WORDS.map((word, index) => (index === 3 ? " the last word" : word));
  test.for<readonly [string, Case, string, number]>([
    ["where another model answers", { b: goesOn("n") }, "model", 1],
    ["where it is not said which model answers", { b: (socket, request) => goesOn("")(socket, request) }, "model", 1],
    ["where the last words do not come again", { b: goesOn("m", other) }, "tail", 1],
    ["where all of it does not come again", { b: goesOn("m", other), ofB: AGAIN }, "tail", 1],
    [
      "where the other calls another model by this name",
      { ofA: { models: { m: "x" } }, ofB: { ...ASSISTANT, models: { m: "y" } } },
      "unsupported",
      0,
    ],
    ["where chance made it, whatever that server can do", { body: { temperature: 0.8 } }, "unsupported", 0],
    ["where the other is not to be asked after that", { settings: { failover: { on: ["status"] } } }, "unsupported", 0],
    ["where the other may not", { ofB: { ...ASSISTANT, recovery: "resume" } }, "unsupported", 0],
    ["where no attempt is left", { settings: { resume: { maxAttempts: 0 } } }, "unsupported", 0],
    ["where tools may be called", { body: { tools: [{ type: "function", function: { name: "f" } }] } }, "unsupported", 0],
  ])("%s", async ([_what, setup, rule, asked], { inFrontOf }) => {
    const heard = await hear(inFrontOf, setup);
    expect({ text: heard.text, done: heard.done, code: heard.errorCode }).toEqual({
      text: WORDS.slice(0, BREAKS).join(""),
      done: false,
      code: "stream_truncated",
    });
    expect(heard.body).toContain(`It could not be continued (${rule}).`);
    expect(heard.log).toMatchObject({ outcome: "interrupted", seam: rule });
    expect(heard.asked[1]).toHaveLength(asked);
  });
});
