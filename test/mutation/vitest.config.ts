/** The tests of one room, as `run.ts` names them. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: (process.env.MUTATION_TESTS ?? "").split(",").filter(Boolean),
    testTimeout: 30_000,
    hookTimeout: 30_000,
    maxConcurrency: 16,
    expect: { poll: { timeout: 10_000, interval: 10 } },
  },
});
