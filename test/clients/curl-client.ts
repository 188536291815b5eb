/** `curl -N` as people type it: the exit code is all that a shell script is told. */
import { spawn, spawnSync } from "node:child_process";
import { textOf } from "./answer-text.ts";
import type { Client } from "./job.ts";

/** `--fail-with-body` is as old as curl 7.76. */
export function findCurl(): boolean {
  return spawnSync("curl", ["--fail-with-body", "--version"], { stdio: "ignore" }).status === 0;
}

export const CURL: Client = {
  name: "curl -N --fail-with-body",
  plain: true,
  async ask({ baseUrl, model, id, stream }) {
    const body = JSON.stringify({ model, stream, messages: [{ role: "user", content: id }] });
    const headers = ["-H", "content-type: application/json"];
    const options = ["-q", "-N", "-sS", "--fail-with-body", "--noproxy", "*", "--max-time", "30"];
    const curl = spawn("curl", [...options, ...headers, "-d", body, `${baseUrl}/chat/completions`], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    let output = "";
    curl.stdout.setEncoding("utf8").on("data", (chunk) => {
      output += chunk;
    });
    const exit = await new Promise<number | null>((resolve, reject) => {
      curl.on("error", reject);
      curl.on("close", resolve);
    });
    const text = textOf(output, stream);
    if (exit === 0) return { told: "complete", type: null, code: null, text, retries: 0 };
    return { told: "error", type: "exit code", code: String(exit), text, retries: 0 };
  },
};
