/** The settings for captures of single exchanges (docs/captures.md). */
import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { z } from "zod";
import { ConfigError } from "./config-error.ts";
import { size, text, wholeNumber } from "./values.ts";

export const record = z
  .union(
    [
      z.literal("off"),
      z.literal(false),
      z.strictObject({
        dir: text(/./, "expected the name of a folder").describe(
          "Folder for captures, absolute or from the folder of the configuration file; made where it is not there, in one that is. Required.",
        ),
        texts: z.boolean().default(false).describe("Write prompts and answers as they are, not masked. Default: false."),
        maxFiles: wholeNumber(1, 10_000)
          .default(100)
          .describe("With so many captures in the folder none is written any more; 1 to 10000. Default: 100."),
        maxFileBytes: size()
          .prefault("4MiB")
          .describe("An exchange whose capture would be larger is not written, as a size. Default: 4MiB."),
      }),
    ],
    { error: "expected off, or a mapping with dir, texts, maxFiles and maxFileBytes" },
  )
  .default("off")
  .transform((value) => (value === "off" ? false : value))
  .describe(
    "Write down what upstreams send to requests with x-perennial-record: 1, each as a file that perennial replay plays; keys are masked. Default: off.",
  );

export type RecordSettings = z.output<typeof record>;

/** At once, and not when somebody has waited for a stream to break. @throws ConfigError when the folder cannot be written to */
export function prepareRecordFolder(settings: RecordSettings): void {
  if (settings === false) return;
  try {
    // Not with all of its parents: a folder that is misspelt is more likely, and on /proc Node would try for ever.
    if (!existsSync(settings.dir)) makeFolder(settings.dir);
    if (!statSync(settings.dir).isDirectory()) throw Object.assign(new Error("no folder"), { code: "ENOTDIR" });
    accessSync(settings.dir, constants.W_OK);
  } catch (error) {
    throw new ConfigError([`record.dir: ${settings.dir}: cannot be written to (${(error as NodeJS.ErrnoException).code})`]);
  }
}

/** Another worker may be making it at the same moment. */
function makeFolder(dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
