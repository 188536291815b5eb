/** The example with two replicas, with its settings as they stand in examples/compose, behind a real nginx. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { parse } from "yaml";
import { WHOLE } from "../support/events.ts";
import { STREAM_HEAD } from "../support/replies.ts";
import { type Asked, type Got, splitEvents, visit } from "../support/returning-client.ts";
import { type Tools, test } from "../support/test.ts";
import { answers, freePort, startRedis } from "./redis-process.ts";

const EXAMPLES = new URL("../../examples/compose/", import.meta.url);
const BODY = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "Hello" }] });
const hasNginx = spawnSync("nginx", ["-v"]).status === 0;

/** Debian's nginx is another version than that of the example, and has no names of containers: only addresses are exchanged. */
async function startNginx({ closing }: Pick<Tools, "closing">, replicas: readonly { readonly url: string }[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "perennial-nginx-"));
  const port = await freePort();
  let conf = await readFile(new URL("replicas.nginx.conf", EXAMPLES), "utf8");
  conf = conf.replaceAll("/tmp/", `${folder}/`).replace("listen 8787", `listen 127.0.0.1:${port}`);
  replicas.forEach(({ url }, index) => {
    conf = conf.replace(`perennial-${index + 1}:8787`, new URL(url).host);
  });
  await writeFile(join(folder, "nginx.conf"), conf);
  const nginx = spawn("nginx", ["-p", folder, "-c", join(folder, "nginx.conf"), "-g", "daemon off;"], { stdio: "ignore" });
  const ended = once(nginx, "exit");
  closing({
    close: async () => {
      nginx.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true });
    },
  });
  await expect.poll(() => answers(port), { timeout: 20_000 }).toBe(true);
  return `http://127.0.0.1:${port}/v1`;
}

test.skipIf(!hasNginx)(
  "behind nginx a client comes back to either replica, words come as they are said, and a cut stays one",
  async ({ closing, startUpstream, startPerennial }) => {
    const redis = closing(await startRedis());
    let finish: (() => void) | undefined;
    const upstream = await startUpstream((socket) => {
      socket.write(STREAM_HEAD + WHOLE.slice(0, 3).join(""));
      finish = () => socket.end(WHOLE.slice(3).join(""));
    });
    const settings = parse(await readFile(new URL("perennial-replicas.yaml", EXAMPLES), "utf8"));
    const start = () =>
      startPerennial(upstream.baseUrl, {
        ...settings,
        store: settings.store.replace("redis:6379", `127.0.0.1:${redis.port}`),
      });
    const replicas = [await start(), await start()] as const;
    const url = await startNginx({ closing }, replicas);
    const post = (more: Asked = {}): Promise<Got> =>
      visit(`${url}/chat/completions`, { body: BODY, ...more, headers: { "x-perennial-replay": "1", ...more.headers } });

    // The upstream says no more before the client has the first words, and has come back twice: to one replica, and to the other.
    const left = await post({ leaveAfter: 2 });
    const stream = String(left.headers["x-perennial-stream"]);
    const back = (): Promise<Got> =>
      visit(`${url}/streams/${stream}`, { method: "GET", headers: { "last-event-id": `${stream}:2` }, leaveAfter: 1 });
    const third = (await Promise.all([back(), back()])).map(({ body }) => body);
    expect(new Set(third).size).toBe(1);
    finish?.();
    const whole = await visit(`${url}/streams/${stream}`, { method: "GET" });
    expect(whole.body.replaceAll(/^id: .*\n/gm, "")).toBe(WHOLE.join(""));
    expect(upstream.requests).toHaveLength(1);

    // A break is told, and can be seen, through nginx as without it.
    const broken = post({
      onData: () => {
        for (const socket of upstream.sockets) socket.destroy();
      },
    });
    expect(await broken).toMatchObject({ status: 200, end: "cut" });
    expect(splitEvents((await broken).body).at(-1)).toContain('"code":"stream_truncated"');

    // One that has gone is passed over.
    await replicas[0].close();
    const asked = await Promise.all(
      Array.from({ length: 4 }, () => visit(`${url.replace("/v1", "")}/healthz`, { method: "GET" })),
    );
    expect(asked.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  },
);
