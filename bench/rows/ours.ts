/** Perennial as it ships, and with what costs more; the cheapest proxy that Node can be; nginx; and nothing at all. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FOLDER } from "../measure/children.ts";
import { startProgram } from "./programs.ts";
import { CHAT, type Row, type Running } from "./row.ts";

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
/** Every row shall be able to hold the streams of every scenario. */
const MAX_STREAMS = 8_000;
/** Where it shows what an open page or a kept answer costs. */
const VARIANT = new Set(["paced 250", "burst"]);

export const DIRECT = "direct";
export const BYTE_PROXY = "byte proxy";
export const NGINX = "nginx";
export const PERENNIAL = "Perennial";

export const direct: Row = {
  name: DIRECT,
  async start(upstream) {
    return { url: upstream + CHAT, headers: {}, model: "bench", readyMs: undefined, pids: () => [], async stop() {} };
  },
};

export const byteProxy: Row = {
  name: BYTE_PROXY,
  start(upstream) {
    const process_ = file("byte-proxy-process.ts");
    return startProgram((port) => ({ command: process.execPath, args: [process_, upstream, String(port)] }));
  },
};

export const nginx: Row = {
  name: NGINX,
  start(upstream) {
    if (spawnSync("nginx", ["-v"]).error !== undefined) throw new Error("it is not installed (apt-get install nginx-light)");
    return startProgram((port) => {
      const config = join(FOLDER, `nginx-${port}.conf`);
      writeFileSync(config, nginxConfig(port, new URL(upstream).host));
      return { command: "nginx", args: ["-p", FOLDER, "-c", config] };
    });
  },
};

function nginxConfig(port: number, upstream: string): string {
  return `daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid ${FOLDER}/nginx-${port}.pid; error_log ${FOLDER}/nginx-error.log;
events { worker_connections 18000; }
http { access_log off; client_body_temp_path ${FOLDER}/b; proxy_temp_path ${FOLDER}/p;
  fastcgi_temp_path ${FOLDER}/f; uwsgi_temp_path ${FOLDER}/u; scgi_temp_path ${FOLDER}/s;
  upstream u { server ${upstream}; keepalive 512; }
  server { listen 127.0.0.1:${port} backlog=8192; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header connection ""; proxy_buffering off; } } }`;
}

export const perennial: Row = { name: PERENNIAL, start: (upstream) => startPerennial(upstream, {}) };

export const withDashboard: Row = {
  name: "Perennial, a dashboard open",
  only: VARIANT,
  async start(upstream) {
    const running = await startPerennial(upstream, {});
    await openDashboard(new URL(running.url).origin);
    return running;
  },
};

/** Every answer is kept for a client that comes back. */
export const withReplay: Row = {
  name: "Perennial, replay on",
  only: VARIANT,
  start: (upstream) => startPerennial(upstream, { replay: { ttl: "5m" } }, { "x-perennial-replay": "1" }),
};

function startPerennial(upstream: string, settings: object, headers: Readonly<Record<string, string>> = {}): Promise<Running> {
  return startProgram((port) => {
    // Its folder is watched, and must not be that of the log.
    const folder = join(FOLDER, "config");
    mkdirSync(folder, { recursive: true });
    const config = join(folder, `perennial-${port}.yaml`);
    // YAML takes JSON.
    writeFileSync(
      config,
      JSON.stringify({
        port,
        upstreams: [{ baseUrl: `${upstream}/v1` }],
        limits: { maxStreams: MAX_STREAMS, maxClientConnections: MAX_STREAMS },
        ...settings,
      }),
    );
    return { command: process.execPath, args: [file("../../dist/main.js"), "--config", config], headers };
  });
}

/** All that a page asks of Perennial while it is open. */
function openDashboard(origin: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const page = request(`${origin}/dashboard/feed`, { agent: false }, (response) => {
      response.resume().on("error", () => {});
      resolve();
    });
    page.on("error", reject).end();
  });
}
