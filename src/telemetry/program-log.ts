/** The log of a process that is the program's own: to stdout, whatever happens to it, with the process's own defects in it. */
import type { Logger } from "pino";
import { LogOutput } from "./log-output.ts";
import { createLogger, type LogOptions } from "./logger.ts";

export interface ProgramLog {
  readonly logger: Logger;
  readonly output: LogOutput;
}

/** @param fields in every line. @defaultValue none */
export function openProgramLog(options: LogOptions, fields?: Readonly<Record<string, unknown>>): ProgramLog {
  const output = new LogOutput();
  const root = createLogger(options, output);
  const logger = fields === undefined ? root : root.child(fields);
  output.onLost = (lines) => logger.warn({ lines }, "log lines were lost: they could not be written");
  surviveDefects(logger);
  return { logger, output };
}

/** One exchange's defect must not end the others: it is logged, and what it broke is ended by its own timers. */
function surviveDefects(logger: Logger): void {
  process.on("uncaughtException", (error) => logger.error({ err: error }, "uncaught error; this is a bug, please report it"));
  process.on("unhandledRejection", (error) =>
    logger.error({ err: error }, "unhandled rejection; this is a bug, please report it"),
  );
}
