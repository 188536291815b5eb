/** No key, prompt or answer is found in anything that Perennial tells its operators, nor a key in what it tells its clients. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { chat, send } from "./support/client.ts";
import { startOtlpReceiver } from "./support/otlp-receiver.ts";
import { PROGRAM_ENV } from "./support/program-env.ts";
import { chatAnswer, chatEvents, frame, jsonReply } from "./support/raw-upstream.ts";
import { STREAM_HEAD } from "./support/replies.ts";
import { test } from "./support/test.ts";

const MAIN = new URL("../src/main.ts", import.meta.url).pathname;

const KEYS = { upstream: "sk-MARK-upstream", client: "MARK-client-key", wrong: "MARK-wrong-key", collector: "MARK-collector" };
const PROMPT = "MARK-prompt";
const ANSWER = "MARK-answer";
const cut = STREAM_HEAD;

/** Everything an upstream may say, each with the answer, or the prompt, or the key quoted in it. */
const REPLIES: (string | Buffer)[] = [
  frame("chunked", chatEvents([ANSWER])),
  jsonReply(chatAnswer(ANSWER)),
  cut + chatEvents([ANSWER], { finish: null, done: false }).join(""),
  `${cut}data: {"error":{"message":"${PROMPT} ${KEYS.upstream}","code":null}}\n\n`,
  `${cut}data: {"choices":[{"delta":{"content":"${ANSWER}\n\n`,
  `${cut}Traceback: ${ANSWER}\n\n`,
  jsonReply(`{"error":{"message":"bad key ${ANSWER}"}}`, "401 No"),
  jsonReply(`{"error":{"message":"${ANSWER}"}}`, "503 Busy", `x-quoted: ${ANSWER}\r\n`),
  jsonReply(`{"${ANSWER}": `),
  `${ANSWER}\r\n\r\n`,
];

const yaml = (baseUrl: string, more = ""): string => `
upstreams: [{ baseUrl: "${baseUrl}", apiKey: "${KEYS.upstream}" }]
auth: { keys: ["${KEYS.client}"] }
retry: { maxAttempts: 2, outage: 100ms, backoff: { initial: 1ms } }
log: { level: trace }
metrics: { public: true }
dashboard: { text: true }
${more}`;

const checkConfig = (file: string) =>
  spawnSync(process.execPath, [MAIN, "check-config", file], { encoding: "utf8", env: PROGRAM_ENV });

test("marked keys, prompts and answers are in no log, metric, trace or check-config", async ({
  startUpstream,
  closing,
  spawnPerennial,
}) => {
  let reply: string | Buffer = "";
  const upstream = await startUpstream((socket) => {
    if (typeof reply === "string" && !reply.includes("content-length")) socket.end(reply);
    else socket.write(reply);
  });
  const receiver = closing(await startOtlpReceiver());
  const file = join(mkdtempSync(join(tmpdir(), "perennial-secrets-")), "perennial.yaml");
  writeFileSync(file, yaml(upstream.baseUrl));
  const running = await spawnPerennial(["--config", file, "--port", "0"], {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: `x-key=${KEYS.collector}`,
    OTEL_BSP_SCHEDULE_DELAY: "10",
  });
  const { url } = running;
  const headers = { authorization: `Bearer ${KEYS.client}`, cookie: PROMPT, "x-odd": PROMPT, "user-agent": PROMPT };
  const body = { messages: [{ role: "user", content: PROMPT }], user: PROMPT, metadata: { PROMPT } };
  const answers: string[] = [];
  const hear = async (asking: Promise<{ body: string; headers: object }>): Promise<void> => {
    const seen = await asking;
    answers.push(JSON.stringify(seen.headers), seen.body);
  };

  for (reply of REPLIES) {
    await hear(chat(`${url}/v1`, body, { headers }));
    await hear(chat(`${url}/v1`, { ...body, stream: false }, { headers }));
    await hear(send(`${url}/v1/files/x?q=${PROMPT}`, { method: "POST", headers, body: PROMPT }));
  }
  const said = answers.length;
  await hear(chat(`${url}/v1`, body, { headers: { authorization: `Bearer ${KEYS.wrong}`, "x-api-key": KEYS.wrong } }));
  await hear(send(`${url}/v1/chat/completions`, { method: "POST", headers, body: `{"messages": ${PROMPT}` }));
  await hear(send(`${url}/v1/chat/completions`, { method: "POST", headers, body: JSON.stringify([PROMPT]) }));
  await hear(send(`${url}/v1/chat/completions?q=${PROMPT}`, { headers }));
  const refusals = answers.slice(said);
  const metrics = (await send(`${url}/metrics`)).body;
  writeFileSync(file, yaml(upstream.baseUrl, `auth: "${KEYS.client}"\n`));
  await expect.poll(() => running.output()).toContain("refused");
  const wrong = checkConfig(file);
  writeFileSync(file, yaml(upstream.baseUrl, "timeouts: { idle: 9s }\n"));
  await expect.poll(() => running.output()).toContain("configuration reloaded");
  const right = checkConfig(file);
  expect(await running.stop()).toBe(0);

  const output = running.output();
  expect(output.match(/"outcome":/g)?.length).toBe(REPLIES.length * 3 + 4);
  expect(receiver.spans.length).toBeGreaterThan(REPLIES.length * 3);
  expect(metrics).toContain("perennial_exchanges_total");
  expect(right).toMatchObject({ status: 0, stdout: expect.stringContaining("apiKey") });
  expect(wrong).toMatchObject({ status: 2 });
  const told = {
    output,
    metrics,
    traces: receiver.raw(),
    right: right.stdout + right.stderr,
    wrong: wrong.stdout + wrong.stderr,
  };
  for (const [where, text] of Object.entries(told))
    expect([where, /.{0,80}MARK.{0,20}/.exec(text)?.[0]]).toEqual([where, undefined]);

  expect(refusals.filter((text) => text.includes("MARK"))).toEqual([]);
  // What an upstream says of itself is passed on; the keys that Perennial holds are its own to keep.
  const own = answers.filter((text) => !text.includes(`${PROMPT} ${KEYS.upstream}`)).join("\n");
  for (const key of Object.values(KEYS)) expect(own).not.toContain(key);
});
