/**
 * A slow client does not grow memory: streams much text to a client that reads little by little, and watches the process.
 *   node test/memory/run.ts [--mb 200] [--rate 1] [--max-growth 128]    MB in all, MB per second, MB of RSS
 */
import { execFileSync } from "node:child_process";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createChaosServer } from "../../src/chaos/chaos-server.ts";
import { spawnPerennial } from "../support/spawn-perennial.ts";

const { values } = parseArgs({
  options: {
    mb: { type: "string", default: "200" },
    rate: { type: "string", default: "1" },
    // V8 collects buffers that are read and written only once there are some 64 MiB of them, whatever there is of clients.
    "max-growth": { type: "string", default: "128" },
  },
});
const MB = 1024 * 1024;
const total = Number(values.mb) * MB;
const rate = Number(values.rate) * MB;
const maxGrowth = Number(values["max-growth"]);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** Resident memory of a process, in MB. */
const rssOf = (pid: number): number => Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) / 1024;

const chaos = createChaosServer({ tokenDelayMs: 0 });
const { url } = await chaos.listen(0, "127.0.0.1");
const perennial = await spawnPerennial(["--upstream", url, "--port", "0"]);

/** Reads one stream of `bytes` at `bytesPerSecond`; whole streams only. */
async function read(
  bytes: number,
  bytesPerSecond: number,
  onSecond: (received: number) => void,
): Promise<{ received: number; whole: boolean }> {
  const body = JSON.stringify({ model: `chaos/flood:${bytes}`, stream: true, messages: [{ role: "user", content: "x" }] });
  return new Promise((resolve, reject) => {
    const outgoing = request(`${perennial.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    outgoing.on("error", reject);
    outgoing.on("response", async (response) => {
      let received = 0;
      let tail = "";
      const began = Date.now();
      let told = began;
      try {
        for await (const chunk of response as AsyncIterable<Buffer>) {
          received += chunk.length;
          tail = (tail + chunk.toString("latin1")).slice(-64);
          if (Date.now() - told >= 1_000) {
            told = Date.now();
            onSecond(received);
          }
          const ahead = (received / bytesPerSecond) * 1_000 - (Date.now() - began);
          if (ahead > 5) await sleep(ahead);
        }
        resolve({ received, whole: tail.endsWith("data: [DONE]\n\n") });
      } catch (error) {
        reject(error);
      }
    });
    outgoing.end(body);
  });
}

// Warm: what the runtime takes once, whatever the client does, is not growth.
await read(4 * MB, 1e9, () => {});
const before = rssOf(perennial.pid);
let peak = before;
let seconds = 0;
say(
  `streaming ${values.mb} MB at ${values.rate} MB/s (about ${Math.round(total / rate)} s); RSS at the start ${before.toFixed(1)} MB`,
);
const { received, whole } = await read(total, rate, (so_far) => {
  peak = Math.max(peak, rssOf(perennial.pid));
  if (++seconds % 20 === 0) say(`  ${(so_far / MB).toFixed(0)} MB read, RSS at most ${peak.toFixed(1)} MB`);
});
await perennial.stop();
await chaos.close();

const growth = peak - before;
const passed = whole && received >= total && growth < maxGrowth;
say(
  `read ${(received / MB).toFixed(1)} MB, ${whole ? "whole" : "NOT whole"}; RSS grew by ${growth.toFixed(1)} MB (limit ${maxGrowth} MB)`,
);
say(passed ? "1 passed, 0 failed" : "0 passed, 1 failed");
process.exitCode = passed ? 0 : 1;
