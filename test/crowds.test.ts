/** More clients than there is room for: who goes first, what the log says, and what fits the process's file descriptors. */
import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { toTransportFailure } from "../src/upstream/transport-failure.ts";
import { chat } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { PROGRAM_ENV } from "./support/program-env.ts";
import { sendRaw } from "./support/raw-client.ts";
import { chatEvents, frame, type RawUpstream, SSE_HEAD, startRawUpstream } from "./support/raw-upstream.ts";

let upstream: RawUpstream;
let perennial: TestPerennial | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await perennial?.close();
  await upstream?.close();
  perennial = undefined;
});

const WHOLE = frame("chunked", chatEvents(["Hello"]));
const ENDLESS = `${SSE_HEAD}connection: close\r\n\r\n${chatEvents(["Hello"], { finish: null, done: false }).join("")}`;
const ASKED = 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 15\r\n\r\n{"stream":true}';

async function serve(settings: Record<string, unknown>, answer: string | Buffer = WHOLE): Promise<TestPerennial> {
  upstream = await startRawUpstream((socket) => socket.write(answer));
  perennial = await startPerennial(upstream.baseUrl, settings);
  return perennial;
}

/** A connection that says `text` and keeps all that it is told. */
async function open(url: string, text = ""): Promise<{ seen: string; closed: boolean; socket: Socket }> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  const state = { seen: "", closed: false, socket };
  sockets.push(socket);
  socket.on("data", (chunk) => {
    state.seen += chunk;
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    state.closed = true;
  });
  await new Promise((resolve) => socket.once("connect", resolve));
  if (text !== "") {
    socket.write(text);
    await expect.poll(() => state.seen).toContain("Hello");
  }
  return state;
}

test("silent connections keep nobody out: the one that has been silent for longest goes first", async () => {
  const { url } = await serve({ limits: { maxClientConnections: 4 } });
  const half = await open(url, "");
  half.socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n");
  const kept = await open(url, ASKED);
  const idle = await open(url);
  const later = await open(url);
  for (const [next, goes] of [
    [1, half],
    [2, kept],
    [3, idle],
    [4, later],
  ] as const) {
    expect([next, goes.closed]).toEqual([next, false]);
    expect((await open(url, ASKED)).seen).toContain("[DONE]");
    await expect.poll(() => goes.closed).toBe(true);
  }
});

test("a crowd of silent connections does not keep a client from its answers, and the log says so once a minute", async () => {
  const { url, log, baseUrl } = await serve({ limits: { maxClientConnections: 10 } });
  for (let each = 0; each < 60; each++) await open(url);
  expect((await chat(baseUrl)).status).toBe(200);
  const lines = log.filter(({ msg }) => /limits\.maxClientConnections/.test(msg));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ level: 40, silent: expect.any(Number), refused: 0 });
});

test("connections that are being answered stay, and it is the newcomer that is closed", async () => {
  const { url, log } = await serve({ limits: { maxClientConnections: 2 } }, ENDLESS);
  const streams = [await open(url, ASKED), await open(url, ASKED)];
  expect(await sendRaw(url, ASKED, 1_000)).toMatchObject({ text: "", closed: true });
  expect(streams.map(({ closed }) => closed)).toEqual([false, false]);
  expect(log).toContainEqual(expect.objectContaining({ refused: 1, silent: 0 }));
});

test.each(["EMFILE", "ENFILE"])("%s is a limit of ours, and not the upstream's fault", (code) => {
  const error = Object.assign(new Error(`connect ${code}`), { code });
  for (const each of [error, new AggregateError([error, error])]) {
    const failure = toTransportFailure(each, "asking");
    expect(failure).toMatchObject({ code: "overloaded", status: 503, source: "internal" });
    expect(failure.message).toMatch(/ulimit -n/);
  }
});

test.skipIf(process.platform !== "linux")(
  "a process with few descriptors says what it lowers, and never blames the upstream",
  async () => {
    upstream = await startRawUpstream((socket) => socket.write(ENDLESS));
    const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
    // No other process can be made to have so few, so the limit is set by the shell that becomes it.
    const shell = `ulimit -n 90; exec "$0" "$1" --upstream "$2" --port 0`;
    const child = spawn("sh", ["-c", shell, process.execPath, main, upstream.baseUrl], { env: PROGRAM_ENV });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    try {
      await expect.poll(() => output).toContain("listening on");
      expect(output).toMatch(/only 90 files may be open.*lowered to 36 and 9/);
      const url = /listening on (http:\/\/[^\s",]+)/.exec(output)?.[1] as string;
      const bodies: string[] = [];
      for (let each = 0; each < 20; each++) {
        void chat(`${url}/v1`, {}, { onRead: (body) => void bodies.push(body) }).then(
          ({ body }) => bodies.push(body),
          () => {},
        );
      }
      await expect.poll(() => bodies.filter((body) => body.includes('"overloaded"')).length).toBeGreaterThan(5);
      expect(bodies.join("")).not.toContain("upstream_unreachable");
    } finally {
      child.kill("SIGKILL");
    }
  },
);
