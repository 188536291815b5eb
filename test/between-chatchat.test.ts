/**
 * Perennial around Langchain-Chatchat 0.2, which swallows every error of its model: before Chatchat, between it and its model, and
 * in both places. The stand-in asks a real model, the sandbox, which breaks in every way; half an answer must never be told as whole.
 */
import { afterEach, describe, expect, test } from "vitest";
import { ANSWER } from "../src/chaos/answer.ts";
import { type ChaosServer, type ChaosServerOptions, createChaosServer } from "../src/chaos/chaos-server.ts";
import { type Seen, send } from "./support/client.ts";
import { startPerennial } from "./support/perennial.ts";

const closing: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
});

async function chaos(options: ChaosServerOptions): Promise<{ server: ChaosServer; url: string }> {
  const server = createChaosServer({ tokenDelayMs: 0, ...options });
  closing.push(server);
  return { server, url: (await server.listen()).url };
}

async function perennial(baseUrl: string, settings: Record<string, unknown> = {}): Promise<{ url: string; baseUrl: string }> {
  const started = await startPerennial(baseUrl, { timeouts: { idle: "800ms", firstToken: "3s" }, ...settings });
  closing.push(started);
  return started;
}

/** Where a user asks, of a chain with Perennial in these places. */
async function chain(places: { before: boolean; between: "whole" | "content" | "none" }): Promise<string> {
  const model = await chaos({ stallMs: 10_000 });
  const modelUrl =
    places.between === "none" ? model.url : (await perennial(model.url, { gate: { open: places.between } })).baseUrl;
  const chatchat = await chaos({ as: "chatchat-0.2", modelUrl });
  if (!places.before) return chatchat.url;
  return (await perennial(chatchat.url, { upstream: { profile: "chatchat" }, timeouts: { idle: "20s", firstToken: "20s" } })).url;
}

function ask(url: string, path: string, model: string, headers: Record<string, string> = {}): Promise<Seen> {
  const fields = { query: "Hello", stream: true, model_name: model, knowledge_base_name: "samples", search_engine_name: "bing" };
  return send(url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(fields),
  });
}

interface Told {
  readonly text: string;
  /** As its own clients see it: the body came to its end, and no event says otherwise. */
  readonly asWhole: boolean;
}

function told({ status, body, end }: Seen): Told {
  const events = body
    .split(/\r?\n\r?\n/)
    .filter((event) => event.startsWith("data: "))
    .map((event) => JSON.parse(event.slice("data: ".length)));
  const said = events.some((event) => typeof event.final_answer === "string")
    ? events.map((event) => event.final_answer ?? "")
    : events.map((event) => event.text ?? event.answer ?? "");
  return { text: said.join(""), asWhole: status === 200 && end === "clean" && !events.some(({ error }) => error) };
}

const ROUTES = ["/chat/chat", "/chat/knowledge_base_chat", "/chat/search_engine_chat", "/chat/agent_chat"];
/** Before the first word, behind it, in the middle, and behind the last one. */
const BREAKS = [
  "empty",
  "truncate:1",
  "truncate:12",
  "truncate:25",
  "error-event:12",
  "error-abort:3",
  "reset:20",
  "stall:6",
  "half-json:9",
];

describe("between Chatchat and its model, with gate.open: whole", () => {
  test.each(BREAKS)("a model that breaks (%s) and is whole the next time is whole to Chatchat's user", async (fault) => {
    const url = await chain({ before: false, between: "whole" });
    for (const path of ROUTES) {
      expect([path, told(await ask(url, path, `chaos/${fault},ok`))]).toEqual([path, { text: ANSWER, asWhole: true }]);
    }
  });
});

describe("in both places", () => {
  test.each(BREAKS)(
    "the same (%s), and what Chatchat's own response loses is noticed",
    async (fault) => {
      const url = await chain({ before: true, between: "whole" });
      for (const path of ROUTES) {
        expect([path, told(await ask(url, path, `chaos/${fault},ok`))]).toEqual([path, { text: ANSWER, asWhole: true }]);
      }
      // A model that never comes to its end says nothing at all, which Chatchat cannot make look like an answer.
      expect(told(await ask(url, "/chat/chat", `chaos/${fault}`))).toEqual({ text: "", asWhole: false });
      const cut = await ask(url, "/chat/chat", "m", { "x-chaos": "truncate:7" });
      expect(told(cut)).toMatchObject({ asWhole: false });
      // A model that stalls is waited for, three times three.
    },
    60_000,
  );
});

test("before Chatchat a cut of its own response is told, and never half of it as whole", async () => {
  const url = await chain({ before: true, between: "none" });
  for (const path of ROUTES) {
    for (const fault of ["truncate:7", "reset:7", "half-json:5"]) {
      expect([path, fault, told(await ask(url, path, "m", { "x-chaos": fault })).asWhole]).toEqual([path, fault, false]);
    }
  }
});

test("what the recipe is for: without it half an answer is whole to Chatchat's user, wherever else Perennial stands", async () => {
  for (const places of [
    { before: false, between: "none" },
    { before: true, between: "none" },
    { before: false, between: "content" },
  ] as const) {
    const { text, asWhole } = told(await ask(await chain(places), "/chat/chat", "chaos/truncate:12"));
    expect([places, asWhole, text.length > 0 && text.length < ANSWER.length]).toEqual([places, true, true]);
  }
});
