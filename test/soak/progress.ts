/** The live line: rewritten on a terminal, else one line every ten seconds. */
import pc from "picocolors";
import { MUST_BE_ZERO, type Tally } from "./tally.ts";

const TERMINAL_MS = 200;
const PLAIN_MS = 10_000;

export interface Progress {
  stop(): void;
}

export function showProgress(tally: Tally, total: number, out: NodeJS.WriteStream): Progress {
  const startedAt = Date.now();
  const line = (): string => {
    const { told, ended } = tally;
    const seconds = (Date.now() - startedAt) / 1_000;
    const bad = MUST_BE_ZERO.map((name) => (told[name] === 0 ? pc.dim(`${name} 0`) : pc.red(`${name} ${told[name]}`)));
    const good = [
      pc.green(`whole ${told.whole + told.recovered}`),
      pc.cyan(`recovered ${told.recovered}`),
      pc.yellow(`told of an error ${told.interrupted + told.refused}`),
      `left ${told.left}`,
    ];
    const of = total === 0 ? "" : `/${total}`;
    const rate = pc.dim(`${(ended / seconds).toFixed(0)} streams/s, ${seconds.toFixed(0)} s`);
    return `${ended}${of}  ${[...good, ...bad].join("  ")}  ${rate}`;
  };
  const show = (): void => void out.write(out.isTTY ? `\r${line()}\u001b[K` : `${line()}\n`);
  const timer = setInterval(show, out.isTTY ? TERMINAL_MS : PLAIN_MS);
  return {
    stop() {
      clearInterval(timer);
      show();
      if (out.isTTY) out.write("\n");
    },
  };
}
