/** What the log says of keys: at start, and where an upstream refuses one. Never the key. */
import { expect } from "vitest";
import { chat } from "./support/client.ts";
import { jsonReply } from "./support/raw-upstream.ts";
import { test } from "./support/test.ts";

const KEY = "S3CRET-key";
const refusal = (status: string, body: object): string => jsonReply(JSON.stringify(body), status);
const UNAUTHORIZED = refusal("401 Unauthorized", { error: { message: "Incorrect API key" } });
const NO_MONEY = refusal("402 Payment Required", { error: { message: "Insufficient Balance" } });
const QUOTA = refusal("429 Too Many Requests", { error: { code: "insufficient_quota", message: "x" } });

test.for([
  ["a refused key of the client's", UNAUTHORIZED, {}, "the client's own key for upstream main is refused (401)"],
  ["a refused key of ours", UNAUTHORIZED, { apiKey: "k" }, "the apiKey of upstream main is refused (401)"],
  ["an empty account", NO_MONEY, { apiKey: "k" }, "is empty, or its quota used up (402)"],
  ["a quota", QUOTA, {}, "the client's own key for upstream main is empty, or its quota used up (429)"],
])("says in the line of the exchange whose it is and what to do: %s", async ([_what, reply, upstream, says], { serve }) => {
  const { perennial } = await serve([reply], { upstream });
  await chat(perennial.baseUrl, {}, { headers: { authorization: `Bearer ${KEY}` } });
  expect(await perennial.exchangeLog()).toMatchObject({ level: 40, warning: expect.stringContaining(says) });
  expect(JSON.stringify(perennial.log)).not.toContain(KEY);
});

test.for([
  ["is refused", UNAUTHORIZED, /apiKey of upstream main is refused \(401\)/],
  ["has nothing left", jsonReply('{"balance":0}'), /apiKey of upstream main is empty \(balance 0\)/],
])("says at start that a key %s", async ([_what, reply, says], { startUpstream, spawnPerennial }) => {
  const upstream = await startUpstream((socket) => socket.write(reply));
  const perennial = await spawnPerennial(["--port", "0", "--upstream", upstream.baseUrl], { PERENNIAL_API_KEY: KEY });
  await expect.poll(perennial.output).toMatch(says);
  expect(perennial.output()).not.toContain(KEY);
});

test("says at start that a key has another provider's shape, and asks nothing where there is no key", async ({
  startUpstream,
  spawnPerennial,
}) => {
  const upstream = await startUpstream((socket) => socket.write(UNAUTHORIZED));
  const perennial = await spawnPerennial(["--port", "0", "--upstream", upstream.baseUrl], { PERENNIAL_API_KEY: "sk-xxxx" });
  expect(perennial.output()).toContain("upstream main: the key is a placeholder out of an example");
  const other = await startUpstream((socket) => socket.write(UNAUTHORIZED));
  const keyless = await spawnPerennial(["--port", "0", "--upstream", other.baseUrl]);
  await keyless.stop();
  expect(other.requests).toHaveLength(0);
});
