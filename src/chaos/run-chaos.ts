/** `perennial chaos`: starts the sandbox upstream and tells how to use it, or lists the faults. */
import { type ChaosServer, createChaosServer } from "./chaos-server.ts";
import { listFaults } from "./list-faults.ts";

export interface RunChaosOptions {
  /** @defaultValue 8788 */
  readonly port?: number | undefined;
  /** @defaultValue "127.0.0.1" */
  readonly host?: string | undefined;
  /** Only print the faults. */
  readonly list?: boolean | undefined;
  /** Share of the requests to break at random, 0 to 1. */
  readonly rate?: number | undefined;
  readonly seed?: number | undefined;
}

/** @returns the running server; undefined when only the list was asked for */
export async function runChaos(options: RunChaosOptions, out: (line: string) => void): Promise<ChaosServer | undefined> {
  if (options.list) {
    out(listFaults());
    return undefined;
  }
  const { rate, seed } = options;
  const server = createChaosServer({ ...(rate === undefined ? {} : { rate }), ...(seed === undefined ? {} : { seed }) });
  const { url } = await server.listen(options.port ?? 8788, options.host ?? "127.0.0.1");
  out(`The sandbox upstream listens on ${url}`);
  if (rate) out(`It breaks ${rate * 100} % of the requests at random${seed === undefined ? "" : `, seed ${seed}`}.`);
  out("");
  out("Choose a fault by the model name, or by a header that goes before it:");
  out('  "model": "chaos/truncate:3"         cut after 3 events');
  out('  "model": "chaos/empty,500,ok"       the first attempt is empty, the second a 500, the third whole');
  out("  x-chaos: stall                      the same names, whatever the model");
  out("All faults: perennial chaos --list");
  out("");
  out("Try:");
  out(`  curl -N ${url}/chat/completions -H 'content-type: application/json' \\`);
  out(`    -d '{"model":"chaos/truncate:5","stream":true,"messages":[{"role":"user","content":"Hello"}]}'`);
  return server;
}
