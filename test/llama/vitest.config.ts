/** Vitest for the tests with a real model: apart from the others, since they download a model and take a minute. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/llama/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    reporters: ["verbose"],
    disableConsoleIntercept: true,
  },
});
