/** Every dialect that Perennial understands: adding one is a file and a line here. */
import type { Dialect } from "../core/dialect.ts";
import { openAiChat } from "./openai-chat.ts";

export const DIALECTS: readonly Dialect[] = [openAiChat];
