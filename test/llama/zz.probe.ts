import { startLlamaServer } from "./llama-server.ts";
import { startPerennial } from "../support/perennial.ts";
import { chat } from "../support/client.ts";
import { setTimeout as sleep } from "node:timers/promises";
const s = await startLlamaServer();
const q = { temperature: 0, max_tokens: 5, messages: [{ role: "user", content: "The cat sat on the mat and looked around. ".repeat(100) }] };
const t0 = () => { const t = performance.now(); return () => Math.round(performance.now() - t); };
async function timed(base: string, leaveAt?: number) {
  const t = t0(); const c = new AbortController(); if (leaveAt) setTimeout(() => c.abort(), leaveAt);
  try {
    const r = await fetch(`${base}/chat/completions`, { method: "POST", signal: c.signal, headers: {"content-type":"application/json"}, body: JSON.stringify({ ...q, stream: true }) });
    console.log(base, "headers", t(), r.status);
    for await (const chunk of r.body!) console.log("  ", t(), Buffer.from(chunk).toString().slice(0, 90).replaceAll("\n", "|"));
  } catch (e) { console.log("  left", t(), String(e)); }
  const f = t0(); while (await s.isBusy()) await sleep(20); console.log("  free after", f());
}
await timed(s.baseUrl); await timed(s.baseUrl, 500);
const p = await startPerennial(s.baseUrl, { retry: { maxAttempts: 20, backoff: { initial: "500ms", factor: 1, max: "500ms", jitter: false } } });
await timed(p.baseUrl); await timed(p.baseUrl, 500);
for (let i = 0; i < 3; i++) {
  const t = t0(); const a = chat(p.baseUrl, q); while (!(await s.isBusy())) await sleep(10); console.log("busy", t());
  await sleep(300); await s.kill(); console.log("killed", t()); await s.start(); console.log("started", t()); await a; console.log("answered", t());
  console.log(JSON.stringify((await p.exchangeLog(i + 3)).attempts));
}
console.log(p.log.filter((l) => "delayMs" in l || l.level >= 40).map((l) => JSON.stringify(l)).join("\n"));
await p.close(); await s.kill();
