import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["test/llama/**", "test/containers/**", "test/clients/**", "test/browser/**", "test/soak/**"],
    // A test that waits for ever must end; one on a machine that is busy with others must not.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: "forks",
    maxConcurrency: 16,
    // The tests wait more than they work: on two cores the default would be one worker, and three are done soonest.
    maxWorkers: 3,
  },
});
