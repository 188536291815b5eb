/** Vitest for what tries every place and every combination: half the processor time of all tests, so it has a script of its own. */
import { mergeConfig } from "vitest/config";
import base from "../../vitest.config.ts";

const config = mergeConfig(base, {});
// Lists would be joined: these replace those of the other suite.
config.test = { ...config.test, include: ["test/exhaustive/**/*.test.ts"], exclude: [] };
export default config;
