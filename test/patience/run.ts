/** `npm run test:patience`: six minutes at true speed through the built program, with no setting but `--upstream`. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { SCENES, type Scene, startPatientUpstream } from "./upstream.ts";

const upstream = await startPatientUpstream();
const args = ["dist/main.js", "--upstream", upstream.baseUrl, "--port", "0"];
const perennial = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
const url = await listening();
const began = performance.now();

process.stdout.write(`${SCENES.length} answers at true speed: this takes six minutes\n`);
const results = await Promise.all(SCENES.map(watch));
perennial.kill();
await once(perennial, "exit");
upstream.close();
process.exitCode = results.every(Boolean) ? 0 : 1;

async function listening(): Promise<string> {
  for await (const line of createInterface({ input: perennial.stdout })) {
    const found = /listening on (http:\/\/[^\s",]+)/.exec(line)?.[1];
    if (found === undefined) continue;
    perennial.stdout.resume();
    return found;
  }
  throw new Error("perennial has ended before it listened");
}

/** Whole means: the end of the answer, no error in it, a clean end of the body, and one request upstream. */
async function watch(scene: Scene, index: number): Promise<boolean> {
  const { body, isClean } = await ask(scene, index);
  const requests = upstream.requests.get(scene.name);
  const isWhole = isClean && body.includes(scene.ending) && !body.includes('"error"') && requests === 1;
  const seconds = ((performance.now() - began) / 1_000).toFixed(0).padStart(4);
  const verdict = isWhole ? "whole" : "NOT WHOLE";
  process.stdout.write(`${seconds} s  ${verdict}  ${requests} request(s)  ${scene.path}: ${scene.name}\n`);
  if (!isWhole) process.stdout.write(`        ${JSON.stringify(body.slice(-300))}\n`);
  return isWhole;
}

/** Not fetch: it has a patience of its own, of 5 minutes. */
function ask({ path, stream }: Scene, index: number): Promise<{ body: string; isClean: boolean }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const outgoing = request(`${url}/v1${path}`, { method: "POST", headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text) => {
        body += text;
      });
      response.on("end", () => resolve({ body, isClean: true }));
      response.on("error", () => resolve({ body, isClean: false }));
    });
    outgoing.on("error", reject);
    outgoing.end(JSON.stringify({ model: String(index), stream, messages: [], input: "" }));
  });
}
