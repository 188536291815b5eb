/** nginx as a plain reverse proxy, the way streaming guides configure it; in a folder of its own, ended by its process id. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface Nginx {
  /** One for each upstream port, in the same order. */
  readonly ports: readonly number[];
  stop(): Promise<string>;
}

/** The same patience that Perennial is given. */
const READ_TIMEOUT = "600ms";

/** @returns such as `1.22.1`; undefined when nginx is not installed */
export function nginxVersion(): string | undefined {
  const { error, stderr } = spawnSync("nginx", ["-v"], { encoding: "utf8" });
  return error === undefined ? (/nginx\/(\S+)/.exec(stderr)?.[1] ?? "unknown") : undefined;
}

/** Where one of its servers asks. */
export interface Proxied {
  readonly port: number;
  /** Asked when the first fails. */
  readonly second: number | undefined;
}

/** All that it can be told to ask a second server after; and the first is asked each time, whatever it did before. */
const NEXT = "error timeout invalid_header http_500 http_502 http_503 http_504 http_403 http_404 http_429 non_idempotent";

/** @returns undefined when nginx is not installed */
export async function startNginx(proxied: readonly Proxied[]): Promise<Nginx | undefined> {
  if (nginxVersion() === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "conformance-nginx-"));
  const ports = await Promise.all(proxied.map(freePort));
  const servers = proxied.map(({ port, second }, at) => {
    const group = `upstream two { server 127.0.0.1:${port} max_fails=0; server 127.0.0.1:${second} backup; }`;
    const to = second === undefined ? `127.0.0.1:${port}` : "two";
    const next = second === undefined ? "" : ` proxy_next_upstream ${NEXT};`;
    return `  ${second === undefined ? "" : group}
  server { listen 127.0.0.1:${ports[at]}; location / {
    proxy_pass http://${to}; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout ${READ_TIMEOUT};${next} } }`;
  });
  const config = join(folder, "nginx.conf");
  await writeFile(
    config,
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 512; }
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
${servers.join("\n")}
}
`,
  );
  // Its complaints about a default log file it may not open are of no interest.
  const child = spawn("nginx", ["-p", folder, "-c", config], { stdio: "ignore" });
  const ended = once(child, "exit");
  await Promise.all(ports.map((port) => untilListening(port)));
  return {
    ports,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true });
      return "";
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function untilListening(port: number): Promise<void> {
  for (let waited = 0; waited < 10_000; waited += 50) {
    const socket = connect(port, "127.0.0.1");
    const listens = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (listens) return;
    await sleep(50);
  }
  throw new Error(`nginx does not listen on port ${port}`);
}
