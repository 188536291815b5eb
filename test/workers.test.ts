/** Several processes as one program (`workers`): whichever of them a client reaches, it is told of all, and held to what all may have. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { createFetch } from "../src/embed/perennial.ts";
import type { DashboardView } from "../src/telemetry/history/view.ts";
import { chat, readStream, type Seen, send } from "./support/client.ts";
import { sumOf } from "./support/prometheus.ts";
import { chatEvents, frame, jsonReply, type RawUpstream } from "./support/raw-upstream.ts";
import { begin } from "./support/replies.ts";
import type { SpawnedPerennial } from "./support/spawn-perennial.ts";
import { test } from "./support/test.ts";

const BEGUN = chatEvents(["Hello"], { finish: null, done: false }).join("");
const REST = chatEvents([]).slice(1).join("");
/** Processes of a loaded machine take their time. */
const PATIENT = { timeout: 60_000, interval: 50 };
const LONG_MS = 180_000;

interface Line {
  readonly msg: string;
  readonly worker?: number;
  readonly workers?: readonly number[];
}

const linesOf = (program: SpawnedPerennial): readonly Line[] =>
  program
    .output()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Line);
const pidsOf = (program: SpawnedPerennial): readonly number[] => linesOf(program).find(({ workers }) => workers)?.workers ?? [];

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Each over a connection of its own, so that the workers take turns. */
function openStreams({ url }: SpawnedPerennial, count: number): Promise<Seen>[] {
  return Array.from({ length: count }, () => chat(`${url}/v1`));
}

const finishAll = ({ sockets }: RawUpstream): void => {
  for (const socket of sockets) socket.end(REST);
};

const metricsOf = async ({ url }: SpawnedPerennial): Promise<string> => (await send(`${url}/metrics`)).body;
const openOf = async (program: SpawnedPerennial): Promise<number> => sumOf(await metricsOf(program), "perennial_open_exchanges");

async function viewOf({ url }: SpawnedPerennial): Promise<DashboardView> {
  let event = "";
  await send(`${url}/dashboard/feed`, {
    onRead(body, abort) {
      if (event !== "" || !body.includes("\n\n")) return;
      event = body.slice("data: ".length, body.indexOf("\n\n"));
      abort();
    },
  }).catch(() => {});
  return JSON.parse(event) as DashboardView;
}

const count = (all: readonly Seen[], is: (seen: Seen) => boolean): number => all.filter(is).length;
const isWhole = ({ status, body, end }: Seen): boolean => status === 200 && end === "clean" && body.includes("[DONE]");

test(
  "two workers are one program: in figures, limits, reloads, and when one of them is killed",
  async ({ startUpstream, spawnPerennial }) => {
    const a = await startUpstream((socket, { head }) => {
      if (/\/responses/.test(head)) return socket.write(jsonReply('{"error":{"message":"unknown to a"}}', "404 Not Found"));
      begin(socket);
      return socket.write(BEGUN);
    });
    const b = await startUpstream((socket) =>
      socket.write(
        jsonReply(
          '{"id":"resp_of_b","object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hi","annotations":[]}]}]}',
        ),
      ),
    );
    const file = join(mkdtempSync(join(tmpdir(), "perennial-")), "config.yaml");
    const configure = (more: string): void =>
      writeFileSync(
        file,
        `port: 0\nworkers: 2\nmetrics: { enabled: true }\n${more}\nupstreams:\n  - { name: a, baseUrl: "${a.baseUrl}" }\n  - { name: b, baseUrl: "${b.baseUrl}" }\n`,
      );
    configure("limits: { maxStreams: 6 }");
    const program = await spawnPerennial(["--config", file, "--json"]);
    const [first = 0, second = 0] = pidsOf(program);
    expect(new Set([first, second, program.pid]).size).toBe(3);
    expect((await send(`${program.url}/readyz`)).status).toBe(200);

    // What an upstream has made is asked of it, whichever worker saw it made.
    const made = await send(`${program.url}/v1/responses`, { method: "POST", body: '{"model":"m","input":"hi"}' });
    expect(made).toMatchObject({ status: 200 });
    for (let n = 0; n < 4; n++) expect((await send(`${program.url}/v1/responses/resp_of_b`)).status, `time ${n}`).toBe(200);
    expect(a.requests.filter(({ head }) => head.startsWith("GET"))).toEqual([]);
    a.requests.length = 0;

    // Six may run, wherever they came in, and not one more; all of them are seen.
    const running = openStreams(program, 6);
    await expect.poll(() => a.requests.length, PATIENT).toBe(6);
    const refused = await Promise.all(openStreams(program, 4));
    expect(refused.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
    await expect.poll(() => openOf(program), PATIENT).toBe(6);
    const view = await viewOf(program);
    expect([view.open.count, view.open.streams.length, view.upstreams[0]?.open, view.maxStreams]).toEqual([6, 6, 6, 6]);
    for (const { id } of view.open.streams) {
      expect(JSON.parse((await send(`${program.url}/dashboard/streams/${id}`)).body)).toMatchObject({ id });
    }

    // One is killed: its streams are seen to break, the others go on, and its places are free again.
    const before = sumOf(await metricsOf(program), "perennial_exchanges_total");
    process.kill(first, "SIGKILL");
    await expect.poll(() => program.output(), PATIENT).toContain("a worker serves in the place of one that has died");
    finishAll(a);
    const ended = await Promise.all(
      running.map((each) => each.catch((): Seen => ({ status: 0, headers: {}, body: "", end: "cut" }))),
    );
    const whole = count(ended, isWhole);
    expect([whole, count(ended, ({ end }) => end === "cut")]).toEqual([whole, 6 - whole]);
    // Each worker that is free is given a connection before any is given a second.
    expect(whole).toBeGreaterThan(0);
    expect(whole).toBeLessThan(6);
    expect((await send(`${program.url}/readyz`)).status).toBe(200);
    const again = openStreams(program, 6);
    await expect.poll(() => a.requests.length, PATIENT).toBe(12);
    await expect.poll(async () => sumOf(await metricsOf(program), "perennial_exchanges_total"), PATIENT).toBe(before + whole);
    finishAll(a);
    expect(count(await Promise.all(again), isWhole)).toBe(6);

    // A configuration is taken by all, or by none.
    configure("limits: { maxStreams: 6 }\nreplay: {}");
    program.process.kill("SIGHUP");
    await expect.poll(() => program.output(), PATIENT).toContain("with replay, 2 workers need a store");
    configure("limits: { maxStreams: 3 }\ntimeouts: { connect: 4s }");
    program.process.kill("SIGHUP");
    await expect.poll(() => program.output(), PATIENT).toContain("configuration reloaded");
    // What only workers can refuse takes nothing away from what they have taken before.
    configure("limits: { maxStreams: 3 }\nrecord: { dir: no/such }");
    program.process.kill("SIGHUP");
    await expect.poll(() => program.output(), PATIENT).toContain("cannot be written to");
    const fewer = openStreams(program, 5).map((each) => each.then((seen) => seen.status));
    expect(await Promise.race(fewer)).toBe(503);
    await expect.poll(() => a.requests.length, PATIENT).toBe(15);

    // It drains as a whole, and a second signal is not needed.
    const stopped = program.stop("SIGTERM");
    await expect.poll(() => program.output(), PATIENT).toContain("draining");
    finishAll(a);
    expect((await Promise.all(fewer)).toSorted()).toEqual([200, 200, 200, 503, 503]);
    expect(await stopped).toBe(0);
    const lines = linesOf(program);
    expect(lines.filter(({ msg }) => msg.startsWith("listening on"))).toHaveLength(1);
    expect(new Set(lines.flatMap(({ worker }) => worker ?? []))).toEqual(new Set([1, 2]));
    expect(lines.filter(({ msg }) => msg.includes("nothing was lost in silence"))).toHaveLength(1);
    await expect.poll(() => [second].map(isAlive), PATIENT).toEqual([false]);
  },
  LONG_MS,
);

test(
  "an address in use is told once, and workers end with a primary that is killed",
  async ({ startUpstream, spawnPerennial }) => {
    const upstream = await startUpstream((socket) => socket.write(frame("chunked", chatEvents(["Hello"]))));
    const file = join(mkdtempSync(join(tmpdir(), "perennial-")), "config.yaml");
    writeFileSync(file, "workers: 2\n");
    const args = ["--config", file, "--json", "--upstream", upstream.baseUrl];
    const program = await spawnPerennial([...args, "--port", "0"]);
    expect(readStream((await chat(`${program.url}/v1`)).body)).toMatchObject({ text: "Hello", done: true });
    const { port } = new URL(program.url);
    const inUse = await spawnPerennial([...args, "--port", port]).catch((error: Error) => error.message);
    expect(inUse).toMatch(/ended \(1\) before it listened/);
    expect(String(inUse).match(/EADDRINUSE/g)).toHaveLength(1);
    const pids = pidsOf(program);
    expect(pids).toHaveLength(2);
    await program.stop("SIGKILL");
    await expect.poll(() => send(program.url).catch(({ code }) => code), PATIENT).toBe("ECONNREFUSED");
  },
  LONG_MS,
);

test("another program's process is not multiplied", () => {
  expect(() => createFetch({ upstream: "http://127.0.0.1:1/v1", workers: 2 })).toThrow("workers: only the program");
});
