/** Writes config.schema.json, from which editors complete a configuration file. */
import { writeFileSync } from "node:fs";
import { printJsonSchema } from "../src/config/json-schema.ts";

writeFileSync(new URL("../config.schema.json", import.meta.url), printJsonSchema());
