/** The tests of one room, as `run.ts` names them. */
import { statSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The cheapest first: the first test that fails ends the run. Unit tests stand under src/; among the others a small file is a quick one. */
class CheapestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const cost = ({ moduleId }: TestSpecification): number => statSync(moduleId).size + (moduleId.includes("/src/") ? 0 : 1e9);
    return files.sort((a, b) => cost(a) - cost(b));
  }
}

export default defineConfig({
  test: {
    include: (process.env.MUTATION_TESTS ?? "").split(",").filter(Boolean),
    setupFiles: ["test/mutation/patience.ts"],
    // One process for all files of a run, where they bear it: to load them costs more than to run them.
    isolate: process.env.MUTATION_ISOLATE === "true",
    sequence: { sequencer: CheapestFirst },
    expect: { poll: { timeout: 10_000, interval: 10 } },
  },
});
