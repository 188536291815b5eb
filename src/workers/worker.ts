/** A worker: a process that serves what the primary gives it to serve, and ends when the primary says so, or is gone. */
import { type App, startApp } from "../app.ts";
import { endProcess, untilThreadsAreFree } from "../cli/end-process.ts";
import { partOfWorker } from "../config/worker-settings.ts";
import { openProgramLog, type ProgramLog } from "../telemetry/program-log.ts";
import { type Beginning, type Begun, type PrimaryCalls, WORKER_VARIABLE, type WorkerCalls } from "./calls.ts";
import { Channel } from "./channel.ts";
import { joinGroup } from "./group-over-channel.ts";
import { refusalOf } from "./refusals.ts";
import { ReloadTurn } from "./reload-turn.ts";

/** For the log's last lines to be written, in milliseconds. */
const LAST_LINES_MS = 500;
/** A terminal, or a service manager, may send them to every process of the program; the primary says what they mean. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;
/** Of these the first worker's lines are enough while they start. */
const TOLD_ONCE: ReadonlySet<string> = new Set(["trace", "debug", "info", "warn"]);

/** The life of a worker, from here to its end. */
export function runWorker(): void {
  delete process.env[WORKER_VARIABLE];
  if (process.send === undefined) throw new Error(`${WORKER_VARIABLE} is for Perennial's own use; it must not be set`);
  for (const signal of SIGNALS) process.on(signal, () => {});
  process.on("disconnect", () => endProcess(1));

  let number = 0;
  let log: ProgramLog | undefined;
  let starting: Promise<App> = Promise.reject(new Error("it has not begun"));
  starting.catch(() => {});
  const reload = new ReloadTurn();

  const own: WorkerCalls = {
    async begin({ worker, config, isFirst }: Beginning): Promise<Begun> {
      number = worker;
      log = openProgramLog(config.log, { worker });
      const { logger } = log;
      const { level } = logger;
      if (!isFirst && TOLD_ONCE.has(level)) logger.level = "error";
      starting = startApp(partOfWorker(config, worker), logger, group);
      try {
        const { url, isSandbox } = await starting;
        return { url, isSandbox };
      } catch (error) {
        return { refused: refusalOf(error) };
      } finally {
        logger.level = level;
      }
    },
    async prepare(config) {
      try {
        await reload.prepare(starting.then((app) => app.prepare(partOfWorker(config, number))));
        return "prepared";
      } catch (error) {
        return refusalOf(error);
      }
    },
    commit: () => reload.commit(),
    cancel: () => reload.cancel(),
    async drain() {
      const app = await starting.catch(() => undefined);
      await app?.close();
      await log?.output.flushed(LAST_LINES_MS);
      await untilThreadsAreFree();
      endProcess(0);
    },
    metrics: async () => (await group.answers?.metrics()) ?? [],
    dashboardPart: () => group.answers?.dashboardPart(),
    findStream: (id) => group.answers?.findStream(id),
    isReady: () => group.answers?.isReady() ?? false,
  };
  const group = joinGroup(new Channel<PrimaryCalls>(process, own));
}
