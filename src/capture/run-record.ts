/** `perennial record`: captures exchanges with an upstream, and writes them as a case. */
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { createRecorder, type Recorded, type Recorder } from "./recorder.ts";
import { toCase } from "./write-case.ts";

export interface RecordOptions {
  readonly out: string;
  readonly upstream: string;
  readonly port: number;
  readonly host: string;
  /** After how many exchanges it is over. A client that retries makes several. */
  readonly count: number;
  readonly maskTexts: boolean;
}

export interface Recording {
  /** Resolves when all exchanges are written. */
  readonly over: Promise<void>;
  close(): Promise<void>;
}

export async function runRecord(options: RecordOptions, out: (line: string) => void): Promise<Recording> {
  const { out: file, upstream, port, host, count, maskTexts } = options;
  const exchanges: Recorded[] = [];
  let recorder: Recorder | undefined;
  const over = new Promise<void>((resolve, reject) => {
    recorder = createRecorder({
      upstream,
      maskTexts,
      onExchange(exchange) {
        exchanges.push(exchange);
        try {
          writeFileSync(file, `${JSON.stringify(caseOf(file, exchanges), undefined, 2)}\n`, { mode: 0o600 });
        } catch (error) {
          reject(error as Error);
          return;
        }
        out(
          `${exchange.method} ${exchange.path}: ${exchange.status || "no response"}; ${file} has ${exchanges.length} of ${count}`,
        );
        if (exchanges.length >= count) resolve();
      },
    });
  });
  // Whoever only closes it does not wait for the end.
  over.catch(() => {});
  const started = recorder as unknown as Recorder;
  const url = await started.listen(port, host);
  out(`Recording what ${new URL(upstream).host} sends; listening on ${url}`);
  out("Point the client, or Perennial, there, and ask once more.");
  out(maskTexts ? "Keys and texts are masked." : "Keys are masked; prompts and answers are not: --mask-texts masks them, too.");
  out("An answer that never ends is written when its client gives up, or at Ctrl-C.");
  return { over, close: () => started.close() };
}

function caseOf(file: string, exchanges: readonly Recorded[]): object {
  const [first] = exchanges;
  const { model, path, body } = first ?? {};
  return toCase({ id: basename(file).replace(/\.json$/, ""), model, path, body, responses: exchanges.map(({ steps }) => steps) });
}
