/** The load and the upstream, each in processes of its own: nothing of theirs may count as a row's, or wait for one. */
import { fileURLToPath } from "node:url";
import type { Job, JobDone, Opened } from "../load/job.ts";
import { type Child, startChild } from "./children.ts";

const file = (name: string): string => fileURLToPath(new URL(`../load/${name}`, import.meta.url));
/** For a process that does not even answer. */
const GRACE_MS = 20_000;

export interface Upstream {
  readonly url: string;
  /** Ends the streams that are held. */
  finishHeld(): void;
}

export async function startUpstream(processes: number, port: number): Promise<Upstream> {
  const child = startChild(process.execPath, [file("upstream-process.ts"), String(processes), String(port)], { isOurs: true });
  const listening = await new Promise<string>((resolve, reject) => {
    child.process.stdout?.once("data", (text: Buffer) => resolve(String(text).trim()));
    child.process.once("exit", () => reject(new Error(`the upstream ended: ${child.said()}`)));
  });
  return { url: `http://127.0.0.1:${listening}`, finishHeld: () => void child.process.send("finish") };
}

export class Load {
  readonly #children: readonly Child[];

  constructor(processes: number) {
    this.#children = Array.from({ length: processes }, () =>
      startChild(process.execPath, [file("load-process.ts")], { isOurs: true }),
    );
  }

  /** @param onOpened told when each stream has its first content */
  async run(job: Job, onOpened: (withinMs: number) => void = () => {}): Promise<JobDone> {
    const shares = this.#children.map((_, index) => share(job, index, this.#children.length));
    let opened = 0;
    let slowest = 0;
    const parts = await Promise.all(
      this.#children.map((child, index) =>
        runShare(child, shares[index] as Job, (withinMs) => {
          slowest = Math.max(slowest, withinMs);
          if (++opened === shares.length) onOpened(slowest);
        }),
      ),
    );
    return join(parts);
  }
}

function share(job: Job, index: number, of: number): Job {
  const part = (whole: number): number => Math.floor(whole / of) + (index < whole % of ? 1 : 0);
  return { ...job, streams: part(job.streams), concurrency: part(job.concurrency) };
}

function runShare({ process: child, said }: Child, job: Job, onOpened: (withinMs: number) => void): Promise<JobDone> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error(`the load does not answer: ${said()}`)), job.endWithinMs + GRACE_MS);
    const onExit = (): void => reject(new Error(`the load ended: ${said()}`));
    const onMessage = (message: unknown): void => {
      const told = message as Opened | JobDone;
      if (told.opened) {
        onOpened(told.withinMs);
        return;
      }
      clearTimeout(deadline);
      child.off("message", onMessage).off("exit", onExit);
      resolve(told);
    };
    child.on("message", onMessage).on("exit", onExit);
    child.send(job);
  });
}

function join(parts: readonly JobDone[]): JobDone {
  const sum = (of: (part: JobDone) => number): number => parts.reduce((total, part) => total + of(part), 0);
  const all = (of: (part: JobDone) => Uint32Array): Uint32Array => Uint32Array.from(parts.flatMap((part) => [...of(part)]));
  return {
    opened: false,
    healthy: sum(({ healthy }) => healthy),
    bad: sum(({ bad }) => bad),
    reasons: parts.flatMap(({ reasons }) => reasons),
    events: sum(({ events }) => events),
    wallMs: Math.max(...parts.map(({ wallMs }) => wallMs)),
    latencies: all(({ latencies }) => latencies),
    firstContents: all(({ firstContents }) => firstContents),
  };
}
