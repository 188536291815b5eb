/** Perennial inside another program: as a plugin of its Fastify app, or as a `fetch` for the SDKs that it uses. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "pino";
import { ConfigError } from "../config/config-error.ts";
import { configFrom, type Settings } from "../config/config-from.ts";
import type { Config } from "../config/schema.ts";
import { openRuntime, type Runtime } from "../runtime/runtime.ts";
import { createServer } from "../server/create-server.ts";
import { type HostPlugin, mountServer } from "../server/mount.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createSocketFetch, type SocketFetch } from "../upstream/socket-fetch.ts";

/** The settings of perennial.yaml, and a short way to name an upstream. What is about listening (`host`, `port`, `tls`) has no effect; `workers` is refused. */
export interface PerennialOptions extends Settings {
  /** The base URL of the one upstream, in place of `upstreams`. */
  readonly upstream?: string;
  /** Who is told of each exchange. @defaultValue the app's log for the plugin; for `createFetch` nobody, unless `log` is set. */
  readonly logger?: Logger;
}

/**
 * `app.register(perennial, { prefix: "/llm", upstream: "https://api.openai.com/v1" })` answers under `/llm/v1/…`. Who may ask is up to
 * `auth.keys`, as ever; with `open: true` it is up to the app alone.
 * @throws ConfigError when the options are wrong.
 */
export const perennial: HostPlugin<PerennialOptions> = async (
  app,
  { prefix: _, ...options }: PerennialOptions & { prefix?: string },
) => {
  const { server, runtime } = await openServer(options, options.logger ?? (app.log as Logger));
  mountServer(app, server);
  // Before the app stops listening: what runs may come to its end, and what does not is told why.
  app.addHook("preClose", () => runtime.drain());
  app.addHook("onClose", async () => {
    await server.close();
    await runtime.close();
  });
};

/** A `fetch` with the same contract, for `new OpenAI({ fetch })` and its like. */
export interface PerennialFetch {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Lets what runs come to its end, and closes every connection. Not needed before the program ends. */
  close(): Promise<void>;
}

/**
 * Requests for an upstream's base URL go through Perennial, and so do those for `http://perennial/v1/…`; all others go where they would
 * without it. It opens no port: what it listens on is a socket that this user alone can reach, from the first request on.
 * @throws ConfigError when the options are wrong.
 */
export function createFetch(options: PerennialOptions): PerennialFetch {
  const config = readOptions(options);
  const logger = options.logger ?? createLogger(options.log === undefined ? { level: "silent", format: "json" } : config.log);
  let opened: Promise<Listening> | undefined;
  const perennialFetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const path = pathFor(new URL(request.url), config);
    if (path === undefined) return fetch(request);
    opened ??= listen(options, logger);
    return (await opened).socket.fetch(path, request);
  };
  return Object.assign(perennialFetch, {
    async close() {
      const closing = opened;
      opened = undefined;
      await (await closing)?.close();
    },
  });
}

/** Under the mount; undefined for what is none of our business. */
function pathFor(url: URL, { upstreams }: Config): string | undefined {
  if (url.hostname === "perennial") return url.pathname + url.search;
  for (const { baseUrl, mount } of upstreams) {
    const base = new URL(baseUrl);
    const prefix = base.pathname.replace(/\/$/, "");
    if (url.origin !== base.origin || !url.pathname.startsWith(`${prefix}/`)) continue;
    return (mount === "/" ? "" : mount) + url.pathname.slice(prefix.length) + url.search;
  }
  return undefined;
}

interface Listening {
  readonly socket: SocketFetch;
  close(): Promise<void>;
}

async function listen(options: PerennialOptions, logger: Logger): Promise<Listening> {
  const { server, runtime } = await openServer(options, logger);
  // Nobody else may enter a folder that mkdtemp makes. Windows has no files for this, but names.
  const folder = await mkdtemp(join(tmpdir(), "perennial-"));
  const path = process.platform === "win32" ? `\\\\.\\pipe\\${folder.replaceAll(/[\\:]/g, "-")}` : join(folder, "socket");
  // The program ends when it has nothing else to do: while a request runs, its other end of the connection holds it.
  server.server.on("connection", (connection) => connection.unref());
  await server.listen({ path });
  server.server.unref();
  const socket = createSocketFetch(path);
  return {
    socket,
    async close() {
      await runtime.drain();
      await socket.close();
      await server.close();
      await runtime.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function openServer(
  options: PerennialOptions,
  logger: Logger,
): Promise<{ server: ReturnType<typeof createServer>; runtime: Runtime }> {
  const runtime = await openRuntime(readOptions(options), logger);
  const server = createServer({ open: runtime.open, tls: undefined, current: () => runtime.current().settings });
  await server.ready();
  return { server, runtime };
}

function readOptions({ upstream, logger: _, ...settings }: PerennialOptions): Config {
  const config = configFrom(upstream === undefined ? settings : { ...settings, upstreams: [{ baseUrl: upstream }] });
  // Its process is not ours to multiply.
  if (config.workers !== 1)
    throw new ConfigError(["workers: only the program `perennial` starts several; inside another there is 1"]);
  return config;
}
