import { spawn } from "node:child_process";
import { startPerennial } from "../support/perennial.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { loadavg } from "node:os";
import { VENV_PYTHON } from "./environment.ts";
const port = 18777; const u = `http://127.0.0.1:${port}`;
let log = ""; const c = spawn(VENV_PYTHON, ["test/llama/serve.py", String(port)], { stdio: ["pipe", "ignore", "pipe"] });
c.stderr.on("data", (d) => (log += d));
for (;;) { try { if ((await fetch(`${u}/health`)).ok) break; } catch {} await sleep(50); }
const busy = async () => ((await (await fetch(`${u}/slots`)).json()) as any)[0].is_processing;
const q = { stream: true, temperature: 0, max_tokens: 5, messages: [{ role: "user", content: "The cat sat on the mat and looked around. ".repeat(100) }] };
const p = await startPerennial(`${u}/v1`);
for (const base of [`${u}/v1`, p.baseUrl, p.baseUrl, `${u}/v1`, p.baseUrl]) {
  const from = log.length; const a = new AbortController(); const t = performance.now();
  const f = fetch(`${base}/chat/completions`, { method: "POST", signal: a.signal, headers: { "content-type": "application/json" }, body: JSON.stringify(q) }).then((r) => r.text()).catch((e) => String(e));
  await sleep(500); a.abort(); await f; const l = performance.now();
  while (await busy()) await sleep(20);
  console.log(base === p.baseUrl ? "perennial" : "direct", "free after leaving:", Math.round(performance.now() - l), "tasks:", log.slice(from).split("processing task").length - 1, "load", loadavg()[0]);
  const tail = log.slice(from).split("\n").filter((x) => /cancel|processing task|release|stop|prompt eval|progress/.test(x)); console.log(tail.map((x) => "   " + x.slice(0, 140)).join("\n"));
}
console.log(p.log.filter((l) => "outcome" in l).map((l) => `${l.outcome} ${JSON.stringify(l.attempts)}`).join("\n"));
await p.close(); c.kill("SIGKILL");
