/** Does my program notice half an answer? With vitest, in one process: no port to choose, nothing to start by hand. */
import OpenAI from "openai";
import { type ChaosServer, createChaosServer } from "perennial/chaos";
import { afterAll, beforeAll, expect, test } from "vitest";

let chaos: ChaosServer;
let client: OpenAI;

beforeAll(async () => {
  chaos = createChaosServer({ tokenDelayMs: 0 });
  const { url } = await chaos.listen();
  client = new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 1 });
});
afterAll(() => chaos.close());

/** The program under test: it must not take half an answer for a whole one. */
async function answer(model: string): Promise<string> {
  let text = "";
  let finish: string | null = null;
  const stream = await client.chat.completions.create({ model, stream: true, messages: [{ role: "user", content: "Hello" }] });
  for await (const { choices } of stream) {
    text += choices[0]?.delta.content ?? "";
    finish = choices[0]?.finish_reason ?? finish;
  }
  if (finish === null) throw new Error("the answer is incomplete");
  return text;
}

test("a whole answer is returned", async () => {
  expect(await answer("chaos/ok")).toContain("begun again.");
});

test("a server error is tried again", async () => {
  expect(await answer("chaos/500+ok")).toContain("begun again.");
  expect(chaos.requests.slice(-2).map(({ fault }) => fault)).toEqual(["500", "ok"]);
});

test.each(["eof:3", "done-without-finish", "truncate:3"])("an answer that breaks off is an error: %s", async (fault) => {
  await expect(answer(`chaos/${fault}`)).rejects.toThrow();
});
