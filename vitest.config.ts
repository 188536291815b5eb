import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    exclude: ["test/llama/**", "test/containers/**", "test/clients/**", "test/soak/**"],
    testTimeout: 15_000,
    pool: "forks",
    maxConcurrency: 16,
    // The tests wait more than they work: on two cores the default would be one worker, and three are done soonest.
    maxWorkers: 3,
  },
});
