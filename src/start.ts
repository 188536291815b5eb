/** The program: load the configuration, start the app, reload it on request, close it gracefully. */
import { closeSync, openSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import closeWithGrace from "close-with-grace";
import type { Logger } from "pino";
import { type App, startApp } from "./app.ts";
import { endProcess, untilThreadsAreFree } from "./cli/end-process.ts";
import { runProgram } from "./cli/program.ts";
import { ConfigError } from "./config/config-error.ts";
import type { LoadedConfig } from "./config/load.ts";
import { readPemFiles } from "./config/pem-files.ts";
import type { Config } from "./config/schema.ts";
import { MAX_DURATION_MS } from "./config/units.ts";
import { watchConfig } from "./config/watch.ts";
import { workerCount } from "./config/worker-settings.ts";
import { fitToDescriptors, readDescriptorLimit } from "./server/file-descriptors.ts";
import { openProgramLog } from "./telemetry/program-log.ts";

/** Beyond `drain.timeout`: for the last bytes to leave, in milliseconds. */
const CLOSING_MS = 5_000;
/** For the log's last lines to be written, in milliseconds. */
const LAST_LINES_MS = 500;

/** In one process, or in several. */
type ServingApp = Omit<App, "prepare"> & { readonly pids?: readonly number[] };

/** Loaded only where they are wanted. */
async function startSeveral(config: Config, logger: Logger): Promise<ServingApp> {
  const { startWorkers } = await import("./workers/start-workers.ts");
  return startWorkers(config, logger);
}

async function serve(loaded: LoadedConfig, readAll: () => LoadedConfig): Promise<void> {
  const workers = workerCount(loaded.config);
  const read = (): LoadedConfig => fitToProcesses(readAll(), workers);
  const { config, file, warnings } = fitToProcesses(loaded, workers);
  const { logger, output } = openProgramLog(config.log);
  for (const warning of warnings) logger.warn(warning);
  const starting: Promise<ServingApp> = workers === 1 ? startApp(config, logger) : startSeveral(config, logger);
  // Before the start is done: as the first process of a container, without a handler, the signal would be lost.
  const { close, uninstall } = closeWithGrace(
    {
      // A timer that is asked for more fires at once.
      delay: Math.min(config.drain.timeout + CLOSING_MS, MAX_DURATION_MS),
      logger: false,
      skip: ["uncaughtException", "unhandledRejection", "SIGHUP"],
      onSecondSignal: () => endProcess(1),
      onTimeout: () => endProcess(1),
    },
    async ({ signal }) => {
      logger.info({ signal, drainMs: config.drain.timeout }, "draining: no new requests, running ones may finish");
      await (await starting).close();
      logger.info("closed");
      await output.flushed(LAST_LINES_MS);
      await untilThreadsAreFree();
    },
  );
  const app = await starting.catch((error: NodeJS.ErrnoException) => {
    uninstall();
    if (error.syscall !== "getaddrinfo") throw error;
    throw new ConfigError([`host: ${config.host} cannot be resolved to an address of this machine (${error.code})`]);
  });
  process.on("SIGHUP", () => void (isTerminalGone() ? close() : reload(app, read, logger)));
  if (file !== undefined) watchFile(file, () => void reload(app, read, logger), logger);
  const upstream = config.upstreams.map(({ baseUrl }) => baseUrl).join(", ") || "the built-in sandbox";
  const dashboard = config.dashboard ? `${app.url}/dashboard` : undefined;
  logger.info(
    { url: app.url, upstream, config: file, dashboard, ...(app.pids && { workers: app.pids }) },
    `listening on ${listeningAt(app, config.host)}, upstream ${upstream}${workers > 1 ? `, ${workers} workers` : ""}`,
  );
  void tellOfAccounts(config, logger);
  if (app.isSandbox && logger.isLevelEnabled("info")) output.write(sandboxNotice(app.url, dashboard));
}

/** With no more connections than the processes can open. */
function fitToProcesses({ config, warnings, ...rest }: LoadedConfig, workers: number): LoadedConfig {
  const { limits, warning } = fitToDescriptors(config.limits, readDescriptorLimit(), workers);
  return { ...rest, config: { ...config, limits }, warnings: warning === undefined ? warnings : [...warnings, warning] };
}

/** One line for each key of ours that is refused, or has nothing left; clients are served meanwhile. */
async function tellOfAccounts(config: Config, logger: Logger): Promise<void> {
  if (config.upstreams.every(({ apiKey }) => apiKey === undefined)) return;
  const { lookAtAccount } = await import("./doctor/look-at-account.ts");
  const { authorities } = readPemFiles(config);
  for (const upstream of config.upstreams) {
    const ca = authorities.get(upstream.name);
    const problem = await lookAtAccount({ config, upstream, ca, env: process.env });
    if (problem !== undefined) logger.warn({ upstream: upstream.name }, problem);
  }
}

/** Where it listens, in the words of the configuration: an address for clients would hide that others can reach it. */
function listeningAt({ url }: ServingApp, host: string): string {
  const bracketed = host.includes(":") ? `[${host}]` : host;
  return url.replace(/^(https?:\/\/).*(:\d+)$/, `$1${bracketed}$2`);
}

/** Never throws: a wrong configuration is a line in the log, and the old one goes on. */
async function reload(app: ServingApp, read: () => LoadedConfig, logger: Logger): Promise<void> {
  try {
    const { config, warnings } = read();
    const { changed, needsRestart } = await app.reload(config);
    for (const warning of warnings) logger.warn(warning);
    if (changed.length === 0) logger.info("configuration read again: nothing has changed");
    else logger.info({ changed }, "configuration reloaded; running streams keep the old one");
    if (needsRestart.length > 0) logger.warn({ settings: needsRestart }, "these settings have changed and need a restart");
  } catch (error) {
    const reason = error instanceof ConfigError ? { problems: error.problems } : { err: error };
    logger.error(reason, "the new configuration is refused, and the old one stays");
  }
}

function watchFile(file: string, onChange: () => void, logger: Logger): void {
  try {
    watchConfig(file, onChange);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    logger.warn({ config: file, code }, "the configuration file cannot be watched: send SIGHUP after a change");
  }
}

/** A terminal that closes sends SIGHUP too: then its user can no longer stop the program, or read what it says. */
function isTerminalGone(): boolean {
  if (!process.stdout.isTTY) return false;
  try {
    closeSync(openSync("/dev/tty", "r"));
    return false;
  } catch {
    return true;
  }
}

function sandboxNotice(url: string, dashboard: string | undefined): string {
  const seeIt = dashboard === undefined ? "" : `See a broken stream being mended, in your browser:\n  ${dashboard}\n\n`;
  return `
No upstream is configured, so the built-in sandbox answers: real-looking text, and any failure you ask for.

${seeIt}Try it:
  curl -N ${url}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"chaos/empty,ok","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

"chaos/empty,ok" fails once and is retried unseen; "chaos/truncate" breaks off and says so. \`perennial chaos --list\` names the rest.
For your own upstream: --upstream https://api.openai.com/v1, or perennial.yaml; see config.example.yaml.

`;
}

// Output whose reader is gone, or that cannot be written, is no reason to end.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

const sayLine = (line: string): void => void process.stdout.write(`${line}\n`);

// Awaited in no module's top: the single-file executable is made of a script, which has no such place.
const run = async (): Promise<void> => {
  process.exitCode = await runProgram(process.argv.slice(2), {
    serve,
    async chaos(options) {
      const { runChaos } = await import("./chaos/run-chaos.ts");
      const { SpecError } = await import("./chaos/fault-spec.ts");
      const chaos = await runChaos(options, sayLine).catch((error: unknown) => {
        throw error instanceof SpecError ? new ConfigError([`--fault: ${error.message}`]) : error;
      });
      if (chaos !== undefined) closeWithGrace({ logger: false }, () => chaos.close());
    },
    async doctor(options) {
      const { runDoctor } = await import("./doctor/run-doctor.ts");
      return runDoctor({ ...options, env: process.env }, (text) => process.stdout.write(text));
    },
    async init(options) {
      const { runInit } = await import("./doctor/run-init.ts");
      const questions = process.stdin.isTTY ? createInterface({ input: process.stdin, output: process.stdout }) : undefined;
      const ask = questions === undefined ? undefined : (question: string) => questions.question(question);
      const write = (text: string) => process.stdout.write(text);
      return runInit(options, { env: process.env, ask, write }).finally(() => questions?.close());
    },
    async try(options) {
      const { runTry } = await import("./cli/run-try.ts");
      const key = options.key ?? process.env.OPENAI_API_KEY;
      return runTry(
        { ...options, key },
        {
          write: (text) => process.stdout.write(text),
          tell: (text) => process.stderr.write(text),
          isTerminal: process.stderr.isTTY === true,
          showsText: process.stdout.isTTY === true,
        },
      );
    },
    async top(options) {
      const { runTop } = await import("./cli/run-top.ts");
      const { stdout, stderr } = process;
      return runTop(options, {
        write: (text) => stdout.write(text),
        tell: (text) => stderr.write(text),
        // Some terminals do not know, and say 0.
        size: () => ({ rows: stdout.rows || 50, columns: stdout.columns || 160 }),
        isTerminal: stdout.isTTY === true,
      });
    },
    async record(options) {
      const { runRecord } = await import("./capture/run-record.ts");
      const recording = await runRecord(options, sayLine);
      const { close } = closeWithGrace({ logger: false }, () => recording.close());
      await recording.over;
      close();
    },
    async replay(options) {
      const { CaseError, runReplay } = await import("./capture/run-replay.ts");
      const replay = await runReplay(options, sayLine).catch((error: unknown) => {
        throw error instanceof CaseError ? new ConfigError([error.message]) : error;
      });
      closeWithGrace({ logger: false }, () => replay.close());
    },
    stdout: process.stdout,
    stderr: process.stderr,
  });
};
/** A process that the program has started for itself is a worker, whatever its arguments say. */
const live = async (): Promise<void> => {
  if (process.env.PERENNIAL_WORKER === undefined) return run();
  const { runWorker } = await import("./workers/worker.ts");
  runWorker();
};
live().catch((error: NodeJS.ErrnoException) => {
  process.stderr.write(`perennial: ${explainStart(error)}\n`);
  process.exitCode = 1;
});

function explainStart(error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE")
    return `${error.message}. Another program listens there; choose another port with --port or PERENNIAL_PORT.`;
  if (error.code === "EACCES")
    return `${error.message}. Ports below 1024 need rights; choose another with --port or PERENNIAL_PORT.`;
  if (error.code === "EADDRNOTAVAIL") return `${error.message}. This machine does not have that address; check host.`;
  return error.stack ?? String(error);
}
