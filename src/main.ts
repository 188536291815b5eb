#!/usr/bin/env node
/** The program: load the configuration, start the app, close it gracefully. */
import closeWithGrace from "close-with-grace";
import type { Logger } from "pino";
import { startApp } from "./app.ts";
import { runProgram } from "./cli/program.ts";
import type { LoadedConfig } from "./config/load.ts";
import { createLogger } from "./telemetry/logger.ts";

/** Beyond `drain.timeout`: for the last bytes to leave, in milliseconds. */
const CLOSING_MS = 5_000;

async function serve({ config, file }: LoadedConfig): Promise<void> {
  const logger = createLogger(config.log);
  surviveDefects(logger);
  const app = await startApp(config, logger);
  closeWithGrace(
    {
      delay: config.drain.timeout + CLOSING_MS,
      logger: false,
      skip: ["uncaughtException", "unhandledRejection"],
      onSecondSignal: () => process.exit(1),
    },
    async ({ signal }) => {
      logger.info({ signal, drainMs: config.drain.timeout }, "draining: no new requests, running ones may finish");
      await app.close();
      logger.info("closed");
    },
  );
  const upstream = config.upstreams[0]?.baseUrl ?? "the built-in sandbox";
  logger.info({ url: app.url, upstream, config: file }, `listening on ${app.url}, upstream ${upstream}`);
  if (app.isSandbox) process.stdout.write(sandboxNotice(app.url));
}

/** One exchange's defect must not end the others: it is logged, and what it broke is ended by its own timers. */
function surviveDefects(logger: Logger): void {
  process.on("uncaughtException", (error) => logger.error({ err: error }, "uncaught error; this is a bug, please report it"));
  process.on("unhandledRejection", (error) =>
    logger.error({ err: error }, "unhandled rejection; this is a bug, please report it"),
  );
}

function sandboxNotice(url: string): string {
  return `
No upstream is configured, so the built-in sandbox answers: real-looking text, and any failure you ask for.

Try it:
  curl -N ${url}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"chaos/empty,ok","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

"chaos/empty,ok" fails once and is retried unseen; "chaos/truncate" breaks off and says so. \`perennial chaos --list\` names the rest.
For your own upstream: --upstream https://api.openai.com/v1, or perennial.yaml; see config.example.yaml.

`;
}

try {
  process.exitCode = await runProgram(process.argv.slice(2), {
    serve,
    async chaos(options) {
      const { runChaos } = await import("./chaos/run-chaos.ts");
      const chaos = await runChaos(options, (line) => process.stdout.write(`${line}\n`));
      if (chaos !== undefined) closeWithGrace({ logger: false }, () => chaos.close());
    },
    stdout: process.stdout,
    stderr: process.stderr,
  });
} catch (error) {
  process.stderr.write(`perennial: ${explainStart(error as NodeJS.ErrnoException)}\n`);
  process.exitCode = 1;
}

function explainStart(error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE")
    return `${error.message}. Another program listens there; choose another port with --port or PERENNIAL_PORT.`;
  if (error.code === "EACCES")
    return `${error.message}. Ports below 1024 need rights; choose another with --port or PERENNIAL_PORT.`;
  if (error.code === "EADDRNOTAVAIL") return `${error.message}. This machine does not have that address; check host.`;
  return error.stack ?? String(error);
}
