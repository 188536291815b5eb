/** The doctor before a real model server: what it finds, and that what it proposes holds. */
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { chat, readStream } from "../support/client.ts";
import { examine, ills, saidOf } from "../support/doctor.ts";
import { startPerennial } from "../support/perennial.ts";
import { type LlamaServer, startLlamaServer } from "./llama-server.ts";

let server: LlamaServer;

beforeAll(async () => {
  server = await startLlamaServer();
});

afterAll(async () => {
  await server?.kill();
});

test("it is known, nothing is wrong with it, and with its profile clients get whole answers", async () => {
  const verdict = await examine(server.baseUrl, { patienceMs: 60_000 });
  process.stdout.write(
    `llama: ${verdict.findings.map(({ check, mark, says }) => `${mark} ${check}: ${says}`).join("\nllama: ")}\n`,
  );
  expect(ills(verdict)).toEqual({ profile: "note" });
  expect(saidOf(verdict, "models")).toContain("smollm2");
  expect(saidOf(verdict, "ending")).toContain("its terminator");
  expect(saidOf(verdict, "continuation")).toMatch(/go(es)? on .*\(llamacpp\)/);
  expect(verdict.spent).toMatchObject({ questions: 2, tokens: expect.any(Number), continuations: 5 });
  const { baseUrl, ...upstream } = verdict.proposal;
  expect(upstream).toEqual({ profile: "llamacpp" });
  const app = await startPerennial(String(baseUrl), { upstream });
  onTestFinished(() => app.close());
  const question = { model: "smollm2", max_tokens: 20, messages: [{ role: "user", content: "What is 1+1?" }] };
  expect(readStream((await chat(app.baseUrl, question)).body)).toMatchObject({ done: true, errorCode: undefined });
  expect((await chat(app.baseUrl, { ...question, stream: false })).status).toBe(200);
});

test("a server that was killed is told from one that is there", async () => {
  await server.kill();
  expect(ills(await examine(server.baseUrl))).toEqual({ connects: "fault" });
});
