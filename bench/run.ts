/**
 * CPU per event of Perennial beside a plain byte proxy and nginx: one command, one table. Linux only (reads /proc).
 *   node bench/run.ts [--streams 250] [--rate 50] [--events 300] [--rounds 2]
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    streams: { type: "string", default: "250" },
    rate: { type: "string", default: "50" },
    events: { type: "string", default: "300" },
    rounds: { type: "string", default: "2" },
  },
});
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const children: ChildProcess[] = [];

interface Target {
  readonly name: string;
  readonly port: number;
  /** The processes whose time counts. */
  readonly pids: number[];
}

function start(command: string, args: string[], ready: RegExp): Promise<{ found: string; pid: number }> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  return new Promise((resolve, reject) => {
    let output = "";
    child.stdout.on("data", (text) => {
      output += text;
      const found = ready.exec(output)?.[1];
      if (found !== undefined) resolve({ found, pid: child.pid as number });
    });
    child.once("exit", (code) => reject(new Error(`${args[0]} ended with ${code}`)));
  });
}

async function startNode(name: string, args: string[], ready = /^(\d+)\n/): Promise<Target> {
  const { found, pid } = await start(process.execPath, args, ready);
  return { name, port: Number(found), pids: [pid] };
}

function startPerennial(name: string, upstream: string): Promise<Target> {
  const args = [here("../dist/main.js"), "--upstream", `${upstream}/v1`, "--port", "0", "--log-level", "info"];
  return startNode(name, args, /listening on http:\/\/127\.0\.0\.1:(\d+)/);
}

/** All that a page asks of Perennial while it is open. */
function openDashboard(target: Target): Promise<Target> {
  return new Promise((resolve, reject) => {
    const page = request({ port: target.port, host: "127.0.0.1", path: "/dashboard/feed", agent: false }, (response) => {
      response.resume().on("error", () => {});
      resolve(target);
    });
    page.on("error", reject).end();
  });
}

/** nginx cannot pick a port by itself. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

async function startNginx(upstreamPort: number): Promise<Target | undefined> {
  if (spawnSync("nginx", ["-v"]).error !== undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "bench-nginx-"));
  const port = await freePort();
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path ${folder}; proxy_temp_path ${folder};
  fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  upstream u { server 127.0.0.1:${upstreamPort}; keepalive 512; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header connection ""; proxy_buffering off; } } }`,
  );
  const child = spawn("nginx", ["-c", join(folder, "nginx.conf")], { stdio: "inherit" });
  children.push(child);
  await sleep(500);
  const workers = spawnSync("pgrep", ["-P", String(child.pid)], { encoding: "utf8" })
    .stdout.trim()
    .split("\n")
    .map(Number);
  return { name: "nginx, proxy_buffering off", port, pids: [child.pid as number, ...workers] };
}

/** User and system time of a process so far, in microseconds. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

function readStream(port: number, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        port,
        host: "127.0.0.1",
        path: "/v1/chat/completions",
        method: "POST",
        agent,
        headers: { "content-type": "application/json" },
      },
      (response) => {
        let tail = "";
        response.on("data", (chunk: Buffer) => {
          tail = chunk.toString("latin1", Math.max(0, chunk.length - 16));
        });
        response.on("end", () => (tail.endsWith("[DONE]\n\n") ? resolve() : reject(new Error("not whole"))));
        response.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end('{"model":"bench","stream":true,"messages":[]}');
  });
}

const streams = Number(values.streams);
const eventsEach = Number(values.events) + 1;

async function measure(target: Target): Promise<{ usPerEvent: number; rssMb: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const before = target.pids.reduce((sum, pid) => sum + cpuOf(pid), 0);
  await Promise.all(Array.from({ length: streams }, () => readStream(target.port, agent)));
  const used = target.pids.reduce((sum, pid) => sum + cpuOf(pid), 0) - before;
  agent.destroy();
  return { usPerEvent: used / (streams * eventsEach), rssMb: target.pids.reduce((sum, pid) => sum + rssOf(pid), 0) };
}

try {
  const upstream = await startNode("upstream", [here("paced-upstream.ts"), values.rate, values.events]);
  const base = `http://127.0.0.1:${upstream.port}`;
  const nginx = await startNginx(upstream.port);
  const targets = [
    ...(nginx === undefined ? [] : [nginx]),
    await startNode("plain byte proxy (node:http, undici)", [here("byte-proxy.ts"), base]),
    await startPerennial("Perennial", base),
    await startPerennial("Perennial, one dashboard open", base).then(openDashboard),
  ];
  console.log(
    `${streams} streams, ${values.rate} events/s each, ${eventsEach} events each, ${values.rounds} rounds in turn${nginx ? "" : " (nginx is not installed)"}`,
  );
  const results = new Map<string, { usPerEvent: number; rssMb: number }[]>();
  for (let round = 0; round < Number(values.rounds) + 1; round++) {
    for (const target of targets) {
      const result = await measure(target);
      // The first round warms the compilers up.
      if (round > 0) results.set(target.name, [...(results.get(target.name) ?? []), result]);
    }
  }
  const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
  const rows = targets.map(({ name }) => ({
    name,
    us: median((results.get(name) ?? []).map((r) => r.usPerEvent)),
    rss: median((results.get(name) ?? []).map((r) => r.rssMb)),
  }));
  const yardstick = rows.find(({ name }) => name.startsWith("plain"))?.us ?? 1;
  console.log("\n| proxy | CPU per event | beside the byte proxy | RSS |\n|---|---|---|---|");
  for (const { name, us, rss } of rows)
    console.log(`| ${name} | ${us.toFixed(1)} µs | ${(us / yardstick).toFixed(2)} × | ${rss.toFixed(0)} MB |`);
} finally {
  for (const child of children) child.kill();
}
