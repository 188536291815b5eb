/** Rows that are programs of one command, on a port that they are given. */

import { type Child, freePort, type StartOptions, startChild, untilListening } from "../measure/children.ts";
import { familyOf, fineCpuMs } from "../measure/processes.ts";
import { CHAT, type Running } from "./row.ts";

export interface Program extends StartOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly model?: string;
  /** @defaultValue 20 s */
  readonly listensWithinMs?: number;
}

const LISTENS_WITHIN_MS = 20_000;

/** @param plan the program that listens on this port. @throws when it does not */
export async function startProgram(plan: (port: number) => Program): Promise<Running & { readonly child: Child }> {
  const port = await freePort();
  const program = plan(port);
  const child = startChild(program.command, program.args, program);
  try {
    await untilListening(port, child, program.listensWithinMs ?? LISTENS_WITHIN_MS);
  } catch (error) {
    await child.stop();
    throw error;
  }
  return {
    child,
    url: `http://127.0.0.1:${port}${program.path ?? CHAT}`,
    headers: program.headers ?? {},
    model: program.model ?? "bench",
    readyMs: fineCpuMs(familyOf(child.pid)),
    pids: () => familyOf(child.pid),
    stop: child.stop,
  };
}
