/** A bug report that plays: what was recorded comes again, byte for byte, at its pace, and without anybody's secrets. */
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { describe, expect } from "vitest";
import { createExchangeRecorder, OpenRecordings } from "../src/capture/exchange-recorder.ts";
import { maskResponse } from "../src/capture/mask.ts";
import { runRecord } from "../src/capture/run-record.ts";
import { runReplay } from "../src/capture/run-replay.ts";
import type { Exchange } from "../src/core/exchange.ts";
import { HeldMemory } from "../src/core/held-memory.ts";
import type { Case } from "./cases/case.ts";
import { startCasePlayer } from "./cases/play.ts";
import { chat, readStream } from "./support/client.ts";
import { sendRaw } from "./support/raw-client.ts";
import { chatAnswer, chatEvents, frame, jsonReply, SSE_HEAD } from "./support/raw-upstream.ts";
import { type Answer, type Tools, test } from "./support/test.ts";

const KEY = "sk-live-0123456789abcdef";
const HEAD = `${SSE_HEAD}transfer-encoding: chunked\r\nset-cookie: session=top-secret\r\n\r\n`;
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

interface Options {
  readonly answer: Answer;
  readonly maskTexts?: boolean;
  readonly count?: number;
}

async function record({ startUpstream, closing }: Pick<Tools, "startUpstream" | "closing">, options: Options) {
  const upstream = await startUpstream(options.answer);
  const file = join(mkdtempSync(join(tmpdir(), "perennial-")), "report.json");
  const lines: string[] = [];
  const { maskTexts = false, count = 1 } = options;
  const asked = { out: file, upstream: upstream.baseUrl, port: 0, host: "127.0.0.1", count, maskTexts };
  const recording = closing(await runRecord(asked, (line) => lines.push(line)));
  const url = /listening on (http\S+)/.exec(lines[0] ?? "")?.[1] ?? "";
  return {
    upstream,
    url,
    recording,
    file,
    read: () => JSON.parse(readFileSync(file, "utf8")) as Case & { responses: object[][] },
  };
}

async function replay({ closing }: Pick<Tools, "closing">, file: string): Promise<string> {
  return closing(await runReplay({ file, port: 0, host: "127.0.0.1" }, () => {})).url;
}

const REQUEST = (host: string): string => {
  const body = '{"model":"m","stream":true,"messages":[]}';
  return `POST /v1/chat/completions HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
};

const [ROLE = "", HELLO = "", WORLD = ""] = chatEvents(["Hello", " wörld 🌊"], { finish: null, done: false });

/** Each is a way in which streams break; the recorder's own client sees it at the same time. */
const WAYS: readonly { name: string; answer: Answer }[] = [
  {
    name: "a chunk that is cut in its middle, within a character",
    answer: (socket) => {
      socket.write(HEAD + chunk(ROLE) + chunk(HELLO));
      const cut = Buffer.from(chunk(WORLD));
      setTimeout(() => socket.end(cut.subarray(0, cut.indexOf("🌊") + 2)), 30);
    },
  },
  {
    name: "a clean end in the middle",
    answer: (socket) => socket.end(frame("chunked", [ROLE, HELLO])),
  },
  {
    name: "bytes that are no text",
    answer: (socket) => socket.end(Buffer.concat([Buffer.from(`${SSE_HEAD}\r\n`), Buffer.from([0xff, 0xfe, 0x80])])),
  },
  {
    name: "the end of the connection, and no length",
    answer: (socket) => socket.end(frame("close-delimited", [ROLE, HELLO])),
  },
  { name: "bytes that are no HTTP", answer: (socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n") },
];

describe("what was recorded is replayed byte for byte", () => {
  test.for(WAYS)("$name", async ({ answer }, { startUpstream, closing }) => {
    const { url, recording, file } = await record({ startUpstream, closing }, { answer });
    const first = await sendRaw(url, REQUEST("a"), 2_000);
    await recording.over;
    const again = await sendRaw(await replay({ closing }, file), REQUEST("b"), 2_000);
    const masked = first.text.replace("session=top-secret", "x".repeat(18));
    expect(again).toEqual({ ...first, text: masked });
    expect(first.text).not.toBe("");
  });
});

test("a reset is replayed as a reset, and Perennial says the same of both", async ({
  startUpstream,
  startPerennial,
  closing,
}) => {
  const { url, recording, file } = await record(
    { startUpstream, closing },
    {
      answer: async (socket) => {
        socket.write(HEAD + chunk(ROLE) + chunk(HELLO));
        await sleep(100);
        socket.resetAndDestroy();
      },
    },
  );
  const before = await chat((await startPerennial(url)).baseUrl);
  await recording.over;
  const after = await chat((await startPerennial(`${await replay({ closing }, file)}/v1`)).baseUrl);
  expect(readStream(before.body)).toMatchObject({ text: "Hello", errorCode: "stream_truncated" });
  expect(readStream(after.body)).toMatchObject({ text: "Hello", errorCode: "stream_truncated" });
  expect(readFileSync(file, "utf8")).toContain('"rst"');
});

test("the pace is kept, and silence before a client gives up is silence in the capture", async ({ startUpstream, closing }) => {
  const { url, recording, file, read } = await record(
    { startUpstream, closing },
    {
      answer: async (socket) => {
        socket.write(HEAD);
        await sleep(300);
        socket.write(chunk(ROLE));
      },
    },
  );
  await sendRaw(url, REQUEST("a"), 800);
  await recording.over;
  const steps = read().responses[0] as { wait?: number; end?: string }[];
  expect(Math.max(...steps.map(({ wait = 0 }) => wait))).toBeGreaterThan(250);
  expect(steps.some(({ end }) => end !== undefined)).toBe(false);
  const startedAt = performance.now();
  const again = await sendRaw(await replay({ closing }, file), REQUEST("b"), 800);
  expect(again.closed).toBe(false);
  expect(performance.now() - startedAt).toBeGreaterThan(1_000);
});

test("what an upstream answers to a client that tries again is one response after the other", async ({
  startUpstream,
  startPerennial,
  closing,
}) => {
  const { url, recording, file, read } = await record(
    { startUpstream, closing },
    {
      count: 2,
      answer: (socket, { number }) =>
        socket.end(number === 1 ? jsonReply('{"error":{}}', "500 No") : frame("chunked", chatEvents(["Hello"]))),
    },
  );
  expect(readStream((await chat((await startPerennial(url)).baseUrl)).body)).toMatchObject({ text: "Hello", done: true });
  await recording.over;
  expect(read().responses).toHaveLength(2);
  const again = await chat((await startPerennial(`${await replay({ closing }, file)}/v1`)).baseUrl);
  expect(again.headers["x-perennial-attempts"]).toBe("2");
});

test("an answer whose connection is kept open ends the recording all the same", async ({ startUpstream, closing }) => {
  const { url, recording } = await record(
    { startUpstream, closing },
    { answer: (socket) => void socket.write(jsonReply(chatAnswer("Hello"))) },
  );
  expect((await chat(url, { stream: false })).status).toBe(200);
  await recording.over;
});

test("a capture is a case that the suite of cases plays", async ({ startUpstream, closing }) => {
  const { url, recording, read } = await record(
    { startUpstream, closing },
    {
      answer: (socket) => socket.end(frame("chunked", chatEvents(["Hello"]))),
    },
  );
  await chat(url);
  await recording.over;
  const player = closing(await startCasePlayer());
  const [ask] = read().asks ?? [];
  expect(await player.play(read())).toEqual([]);
  const stricter = {
    ...read(),
    asks: [{ ...ask, body: ask?.body ?? {}, expect: { told: "whole", text: "Hello", requests: 1 } }],
  };
  expect(await player.play(stricter)).toEqual([]);
});

describe("secrets", () => {
  test("keys and cookies are in no capture, wherever the upstream repeats them", async ({ startUpstream, closing }) => {
    const { url, recording, file, upstream, read } = await record(
      { startUpstream, closing },
      {
        answer: (socket) =>
          socket.end(
            jsonReply(
              `{"error":{"message":"Incorrect API key: ${KEY}, or my-own-key-77"}}`,
              "401 No",
              "set-cookie: a=b\r\nx-token: t\r\n",
            ),
          ),
      },
    );
    await chat(url, { user: KEY }, { headers: { authorization: "Bearer my-own-key-77", "x-api-key": KEY } });
    await recording.over;
    // The upstream got them.
    expect(upstream.requests[0]?.head).toContain("my-own-key-77");
    const text = readFileSync(file, "utf8");
    for (const secret of [KEY, "my-own-key-77", "a=b"]) expect(text).not.toContain(secret);
    expect(JSON.stringify(read().responses)).toContain("Incorrect API key: xxx");
  });

  test("with --mask-texts no word of prompt or answer is left, also not one that is spread over chunks", async ({
    startUpstream,
    closing,
  }) => {
    const [, event = ""] = chatEvents(["geheim细水 1 \n"], { finish: null, done: false });
    const at = event.indexOf("geheim") + 3;
    const { url, recording, file, read } = await record(
      { startUpstream, closing },
      {
        maskTexts: true,
        answer: (socket) =>
          socket.end(
            [HEAD, chunk(event.slice(0, at)), chunk(event.slice(at)), chunk(chatEvents([]).join("")), "0\r\n\r\n"].join(""),
          ),
      },
    );
    await chat(url, { messages: [{ role: "user", content: "Vertraulich 长流!" }] });
    await recording.over;
    const text = readFileSync(file, "utf8");
    for (const word of ["gehe", "heim", "细", "水", "Vertraulich", "长"]) expect(text).not.toContain(word);
    expect(read().asks?.[0]?.body).toMatchObject({ messages: [{ role: "user", content: "xxxxxxxxxxx xx!" }] });
    const again = await chat(`${await replay({ closing }, file)}/v1`);
    expect(again.end).toBe("clean");
    expect(readStream(again.body)).toMatchObject({ text: `${"x".repeat(12)} 1 \n`, done: true });
  });

  test("what an answer says again of the request, cites or lists is masked; words of the API and errors are not", () => {
    const said = {
      instructions: "Geheim",
      docs: ["Geheim 1", 'Ge"heim', "长流"],
      annotations: [{ cited_text: "Geheim", title: "Geheim" }],
      logprobs: [{ token: "Geheim" }],
      output: [{ type: "function_call_output", output: "Geheim" }],
      error: { code: "rate_limit_exceeded", message: "Slow down" },
      finish_reason: "stop",
      stop: ["END"],
    };
    const head = "HTTP/1.1 200 OK\r\n\r\n";
    const body = JSON.stringify(said);
    const masked = maskResponse(Buffer.from(head + body), { secrets: [], texts: true });
    expect(masked.length).toBe(Buffer.byteLength(head + body));
    const text = masked.toString();
    expect(text).not.toMatch(/Geheim|heim|长/);
    expect(JSON.parse(text.slice(head.length))).toMatchObject({
      docs: ["xxxxxx 1", 'xx"xxxx', "xxxxxx"],
      output: [{ type: "function_call_output", output: "xxxxxx" }],
      error: said.error,
      finish_reason: "stop",
      stop: ["END"],
    });
  });

  test("a mask moves no byte, whatever is masked", () => {
    const bytes = Buffer.concat([
      Buffer.from(`${HEAD}${chunk(ROLE)}${chunk(HELLO)}`),
      Buffer.from(
        chunk('data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{\\"a\\":12,\\"b\\":true}"}}]}}]}\n\n'),
      ),
      Buffer.from("zz\r\nnot a chunk"),
    ]);
    const masked = maskResponse(bytes, { secrets: ["Hello"], texts: true });
    expect(masked.length).toBe(bytes.length);
    expect(masked.toString()).toContain('"{\\"x\\":11,\\"x\\":true}"');
    const where = (text: Buffer) => [...text.toString("latin1").matchAll(/\r\n/g)].map(({ index }) => index);
    expect(where(masked)).toEqual(where(bytes));
  });
});

describe("one exchange of a running proxy (record)", () => {
  const ASKED = { headers: { "x-perennial-record": "1" } };
  const folder = (): string => join(mkdtempSync(join(tmpdir(), "perennial-")), "captures");
  const capturesIn = (dir: string): string[] =>
    readdirSync(dir)
      .filter((name) => name.endsWith(".json"))
      .map((name) => join(dir, name));

  test.for<{ name: string; answer: Answer; stream?: boolean }>([
    { name: "a whole answer", answer: (socket) => socket.end(frame("chunked", chatEvents(["Hello"]))) },
    {
      name: "a connection that is kept",
      answer: (socket) => void socket.write(jsonReply(chatAnswer("Hello"))),
      stream: false,
    },
    // What is no HTTP has no answer that could be put together anew.
    ...WAYS.slice(0, -1),
    {
      name: "a reset behind the first words",
      answer: async (socket) => {
        socket.write(HEAD + chunk(ROLE) + chunk(HELLO));
        await sleep(100);
        socket.resetAndDestroy();
      },
    },
    {
      name: "an error, then a whole answer",
      answer: (socket, { number }) =>
        socket.end(number === 1 ? jsonReply('{"error":{}}', "500 No") : frame("chunked", chatEvents(["Hello"]))),
    },
    {
      name: "an answer whose body stays open behind its end",
      answer: (socket) => void socket.write(`${HEAD}${chunk(chatEvents(["Hello"]).join(""))}`),
    },
  ])("$name: its capture tells the same again", async ({ answer, stream = true }, { startUpstream, startPerennial, closing }) => {
    const upstream = await startUpstream(answer);
    const dir = folder();
    const { baseUrl } = await startPerennial(upstream.baseUrl, { record: { dir, texts: true } });
    const first = await chat(baseUrl, { stream }, ASKED);
    await expect.poll(() => capturesIn(dir).length, { timeout: 10_000 }).toBe(1);
    const [file = ""] = capturesIn(dir);
    expect(file).toBe(join(dir, `${first.headers["x-perennial-id"]}.json`));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((JSON.parse(readFileSync(file, "utf8")) as Case).responses).toHaveLength(upstream.requests.length);
    const again = await chat((await startPerennial(`${await replay({ closing }, file)}/v1`)).baseUrl, { stream });
    expect([again.status, again.end, again.body]).toEqual([first.status, first.end, first.body]);
    expect(again.headers["x-perennial-attempts"]).toBe(first.headers["x-perennial-attempts"]);
  });

  test("what a client has waited for in vain stays silent in its capture", async ({ startUpstream, startPerennial }) => {
    const upstream = await startUpstream((socket) => void socket.write(HEAD + chunk(ROLE) + chunk(HELLO)));
    const dir = folder();
    const { baseUrl } = await startPerennial(upstream.baseUrl, { record: { dir } });
    const leave = (_body: string, abort: () => void): void => abort();
    await chat(baseUrl, {}, { ...ASKED, onRead: leave }).catch(() => {});
    await expect.poll(() => capturesIn(dir).length, { timeout: 10_000 }).toBe(1);
    const text = readFileSync(capturesIn(dir)[0] ?? "", "utf8");
    expect(text).toContain("xxxxx");
    expect(text).not.toContain('"end"');
  });

  test("only where both the configuration and the request ask for it, within both bounds", async ({
    startUpstream,
    startPerennial,
  }) => {
    const upstream = await startUpstream((socket) => socket.end(frame("chunked", chatEvents(["Hello".repeat(50)]))));
    const dir = folder();
    const off = await startPerennial(upstream.baseUrl);
    await chat(off.baseUrl, {}, ASKED);
    expect(upstream.requests.every(({ head }) => !head.includes("x-perennial"))).toBe(true);
    const small = await startPerennial(upstream.baseUrl, { record: { dir, maxFileBytes: "500B" } });
    await chat(small.baseUrl);
    expect(capturesIn(dir)).toEqual([]);
    await chat(small.baseUrl, {}, ASKED);
    await expect
      .poll(() => small.log)
      .toContainEqual(expect.objectContaining({ reason: "it is larger than record.maxFileBytes" }));
    const full = await startPerennial(upstream.baseUrl, { record: { dir, maxFiles: 1 } });
    for (let count = 1; count <= 2; count++) await chat(full.baseUrl, {}, ASKED);
    await expect
      .poll(() => full.log)
      .toContainEqual(expect.objectContaining({ reason: "there are 1 captures (record.maxFiles)" }));
    expect(capturesIn(dir)).toHaveLength(1);
  });

  test("goes before anything that is for a client where memory is short, and holds nothing from there", async () => {
    const held = new HeldMemory(1_000);
    const notes: (string | undefined)[] = [];
    const record = createExchangeRecorder({
      ...{ dir: "/nowhere", texts: false, maxFiles: 1, maxFileBytes: 10_000, secrets: [] },
      recordings: new OpenRecordings(held),
      report: (_id, reason) => notes.push(reason),
    });
    const request = { method: "POST", path: "/", headers: { "x-perennial-record": "1" }, body: null };
    const recording = record({ id: "id", request } as unknown as Exchange);
    const call = recording?.call("http://127.0.0.1:1/v1/chat/completions");
    call?.onHead(200, {});
    for (let read = 0; read < 100; read++) {
      call?.onData(Buffer.alloc(200));
      await Promise.resolve();
    }
    expect(held.bytes).toBe(0);
    let isEvicted = false;
    held.open({ evict: () => (isEvicted = true) }).add(900);
    await Promise.resolve();
    expect(isEvicted).toBe(false);
    call?.onEnd();
    await recording?.end();
    expect(notes).toEqual(["it has no room in memory (limits.maxHeldBytes)"]);
  });

  test("a folder that cannot be had is said at the start", async ({ startPerennial }) => {
    const file = join(mkdtempSync(join(tmpdir(), "perennial-")), "file");
    writeFileSync(file, "");
    for (const dir of [file, join(file, "in-a-file"), join(`${file}s`, "nowhere")])
      await expect(startPerennial("http://127.0.0.1:1/v1", { record: { dir } })).rejects.toThrow(
        /^record\.dir: .*cannot be written/,
      );
  });

  test("masks words, unless texts are wanted, and keys always: the client's and ours", async ({
    startUpstream,
    startPerennial,
  }) => {
    const upstream = await startUpstream((socket, { number }) =>
      socket.end(
        number === 1
          ? jsonReply(`{"error":{"message":"not ${KEY}, not our-upstream-key"}}`, "500 No")
          : frame("chunked", chatEvents(["geheim"])),
      ),
    );
    for (const texts of [false, true]) {
      const dir = folder();
      const { baseUrl } = await startPerennial(upstream.baseUrl, {
        upstream: { apiKey: "our-upstream-key" },
        auth: { keys: ["our-own-clients-key-of-32-characters"] },
        record: { dir, texts },
      });
      const headers = { ...ASKED.headers, authorization: "Bearer our-own-clients-key-of-32-characters", "x-api-key": KEY };
      await chat(baseUrl, { messages: [{ role: "user", content: "Vertraulich" }] }, { headers });
      await expect.poll(() => capturesIn(dir).length, { timeout: 10_000 }).toBe(1);
      const text = readFileSync(capturesIn(dir)[0] ?? "", "utf8");
      for (const secret of [KEY, "our-upstream-key", "our-own-clients"]) expect(text).not.toContain(secret);
      expect([text.includes("geheim"), text.includes("Vertraulich")]).toEqual([texts, texts]);
    }
  });

  test("what is compressed cannot be masked, and is not written", async ({ startUpstream, startPerennial }) => {
    const body = gzipSync(chatAnswer("geheim"));
    const upstream = await startUpstream((socket) =>
      socket.end(
        Buffer.concat([
          Buffer.from(
            `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`,
          ),
          body,
        ]),
      ),
    );
    const dir = folder();
    const { baseUrl, log } = await startPerennial(upstream.baseUrl, { record: { dir } });
    expect((await chat(baseUrl, { stream: false }, ASKED)).status).toBe(200);
    await expect.poll(() => log).toContainEqual(expect.objectContaining({ reason: expect.stringContaining("compressed") }));
    expect(capturesIn(dir)).toEqual([]);
  });
});

test("as a program: it writes the case, says so, and ends with 0", async ({ startUpstream, spawnPerennial }) => {
  const upstream = await startUpstream((socket) => socket.end(frame("chunked", [ROLE, HELLO])));
  const file = join(mkdtempSync(join(tmpdir(), "perennial-")), "report.json");
  const running = await spawnPerennial(["record", "--out", file, "--upstream", upstream.baseUrl, "--port", "0"]);
  const seen = await chat(running.url);
  expect(readStream(seen.body).text).toBe("Hello");
  await expect.poll(() => running.process.exitCode).toBe(0);
  const replayed = await spawnPerennial(["replay", file, "--port", "0"]);
  expect((await chat(`${replayed.url}/v1`)).body).toBe(seen.body);
  expect(await replayed.stop()).toBe(0);
});
