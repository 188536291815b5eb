/** What the clients people use are told, each against every fault: an exception with its code, the whole answer, or nothing at all. */
import { mkdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ANSWER } from "../../src/chaos/answer.ts";
import { cellsOf, SO_FAR } from "./cells.ts";
import { CURL, findCurl } from "./curl-client.ts";
import { CACHE, installedPython, TABLE } from "./environment.ts";
import { EXPECTED, type Expected, SILENT, WHOLE } from "./expected.ts";
import { ATTEMPTS, type Gateways, LATE_ATTEMPTS, startGateways } from "./gateways.ts";
import { builtGoClient } from "./go-client.ts";
import { askAiWithOnError, JAVASCRIPT_CLIENTS, newChatOpenAi } from "./javascript-clients.ts";
import type { Client, Job } from "./job.ts";
import { createPythonClients } from "./python-client.ts";
import { createTable, describeTold } from "./table.ts";

const python = installedPython();
const pythonClients = python === undefined ? [] : createPythonClients(python);
const goClient = builtGoClient();
const processClients = goClient === undefined ? pythonClients : [...pythonClients, goClient];
const clients: readonly Client[] = [...JAVASCRIPT_CLIENTS, ...processClients, ...(findCurl() ? [CURL] : [])];
const table = createTable();

/** Its waits between them add up to a minute or two. */
const LANGCHAIN_CALLS = 7;

let gateways: Gateways;
let jobs = 0;

beforeAll(async () => {
  gateways = await startGateways();
});

afterAll(async () => {
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(TABLE, table.toMarkdown(clients.map(({ name }) => name)));
  await Promise.all(processClients.map((client) => client.stop()));
  await gateways.close();
});

function newJob(baseUrl: string, fault: string, more: Partial<Job> = {}): Job {
  return { id: `job ${++jobs}`, baseUrl, model: `chaos/${fault}`, stream: true, ownRetries: false, ...more };
}

const times = (count: number | "several" | undefined): string => (count === 1 ? "once" : `${count} times`);

describe.each(clients)("$name", (client) => {
  const expected = EXPECTED[client.name];
  if (expected === undefined) throw new Error(`nothing is expected of ${client.name}`);

  test.each(cellsOf(expected, client.plain))("is told “$told” $title", async (cell) => {
    const { stream, readMs = 0 } = cell;
    const job = newJob(cell.baseUrl(gateways), cell.fault, { stream, readMs });
    const told = await client.ask(job);
    table.add(client.name, cell, told);
    expect(cell.told.split(" or ")).toContain(describeTold(told));
    expect(ANSWER.startsWith(told.text)).toBe(true);
    expect(told.text).toBe(cell.text ?? told.text);
    if (cell.fault === "429:0") expect(gateways.requestsOf(job.id)).toBe(ATTEMPTS);
  });
});

describe.each(clients.filter(({ name }) => name.includes("copied loop")))("$name", (loop) => {
  test("has the whole answer after one retry of its own, as it has directly", async () => {
    const told = await loop.ask(newJob(gateways.plain.auto, "truncate:5,ok"));
    expect({ ...told, told: describeTold(told) }).toMatchObject({ told: WHOLE, retries: 1 });
  });

  test("takes a part for the whole where the same break ends cleanly", async () => {
    const told = await loop.ask(newJob(gateways.plain.clean, "truncate:5,ok"));
    expect({ ...told, told: describeTold(told) }).toMatchObject({ told: SILENT, retries: 0, text: SO_FAR });
  });

  test.each(["auto", "clean", "cut"] as const)(
    "stumbles over the error event if it skips no KeyError (interruptEnd: %s)",
    async (end) => {
      const told = await loop.ask(newJob(gateways.plain[end], "truncate:5", { skipKeyError: false }));
      expect(told).toMatchObject({ told: "error", type: "KeyError", text: SO_FAR, retries: 0 });
    },
  );
});

// Mostly waits, so all at once.
describe.concurrent.each(clients.filter(({ name }) => EXPECTED[name]?.calls))("$name, left to its own retries", (client) => {
  const calls = EXPECTED[client.name]?.calls;

  /** How often the client asks; where several times are expected, gives up once it has asked twice. */
  async function countCalls(job: Job, each: number, expected: number | "several" = 1): Promise<number | "several"> {
    const giveUp = new AbortController();
    let isOver = false;
    const asked = client.ask({ ...job, ownRetries: true }, giveUp.signal).finally(() => {
      isOver = true;
    });
    while (expected === "several" && !isOver) {
      if (gateways.requestsOf(job.id) > each) {
        giveUp.abort();
        return expected;
      }
      await sleep(20);
    }
    await asked;
    return gateways.requestsOf(job.id) / each;
  }

  test(`asks ${times(calls?.directly)} at a rate limit for ever (directly)`, async ({ expect }) => {
    expect(await countCalls(newJob(gateways.direct, "429:0"), 1, calls?.directly)).toBe(calls?.directly);
  });

  test(`asks ${times(calls?.limited)} at a rate limit for ever`, async ({ expect }) => {
    const counted = await countCalls(newJob(gateways.plain.auto, "429:0"), ATTEMPTS, calls?.limited);
    table.addCalls(client.name, counted === "several" ? `up to ${LANGCHAIN_CALLS}` : String(counted));
    expect(counted).toBe(calls?.limited);
  });

  test(`asks ${times(calls?.unavailable)} at a 500 for ever`, async ({ expect }) => {
    expect(await countCalls(newJob(gateways.plain.auto, "500"), ATTEMPTS, calls?.unavailable)).toBe(calls?.unavailable);
  });

  test(`asks ${times(calls?.noText)} when the first event is an error`, async ({ expect }) => {
    const counted = await countCalls(newJob(gateways.heartbeat.auto, "stall-first"), LATE_ATTEMPTS, calls?.noText);
    expect(counted).toBe(calls?.noText);
  });
});

describe.each(clients.filter(({ name }) => /^openai \((JS|Python)\)$/.test(name)))("$name, asking for a response", (client) => {
  test.each([
    ["raises the event that Codex reads", "truncate:5", "stream_truncated"],
    ["raises an error event of the upstream's", "error-event:5", "upstream_error_event"],
  ])("%s", async (_title, fault, code) => {
    const told = await client.ask(newJob(gateways.plain.auto, fault, { api: "responses" }));
    expect(describeTold(told)).toBe(`${client.name.includes("JS") ? "" : "openai."}APIError ${code}`);
    expect(told.text).not.toBe("");
    expect(ANSWER.startsWith(told.text)).toBe(true);
  });
});

test.each(clients.map(({ name }) => name))("%s hears of a break through Perennial where it hears of it directly", (name) => {
  const { auto, direct, interrupted, slowly, noText } = EXPECTED[name] as Expected;
  const at = auto === "clean" ? 0 : 1;
  if (direct.truncate !== SILENT) expect([interrupted[at], slowly?.[at]]).not.toContain(SILENT);
  // Before the first text `textStream` hears of nothing, directly neither.
  if (!name.includes("textStream")) expect(noText[at]).not.toBe(SILENT);
});

test("ai tells onError what its textStream leaves out, and finishReason says so", async () => {
  const { told, finishReason } = await askAiWithOnError(newJob(gateways.plain.clean, "truncate:5"));
  expect(describeTold(told)).toBe("AI_StreamProviderError stream_truncated");
  expect(told.text).toBe(SO_FAR);
  expect(finishReason).toBe("error");
});

test("ai says by finishReason alone that a stream ended without a finish (directly)", async () => {
  const { told, finishReason } = await askAiWithOnError(newJob(gateways.direct, "eof:5"));
  expect(describeTold(told)).toBe(SILENT);
  expect(finishReason).toBe("interrupted");
});

test(`@langchain/openai would ask ${LANGCHAIN_CALLS} times`, () => {
  const model = newChatOpenAi({ ...newJob("http://127.0.0.1:9/v1", "ok"), ownRetries: true });
  expect(model).toMatchObject({ caller: { maxRetries: LANGCHAIN_CALLS - 1 } });
});
