/** The suites of the contract once more, without the short cut of `src/sse/plain-events.ts`. */
import { mergeConfig } from "vitest/config";
import base from "../../vitest.config.ts";

const config = mergeConfig(base, {});
config.test = {
  ...config.test,
  setupFiles: ["test/support/parser-only.ts"],
  include: [
    "test/exhaustive/{every-byte,dialect-faults,dialect-kinds,properties}.test.ts",
    "test/{cases,dialects,dialect-sequences,lost-pieces,messages-verdicts,responses-verdicts,resume,stream-shapes,tool-calls,wire}.test.ts",
  ],
  exclude: [],
};
export default config;
