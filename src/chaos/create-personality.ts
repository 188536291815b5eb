/** Makes the server that was asked for; without a name the sandbox, which speaks as OpenAI and Anthropic do. */

import { createChatchat02 } from "./personalities/chatchat-02.ts";
import { createChatchat03 } from "./personalities/chatchat-03.ts";
import { createChatglm3 } from "./personalities/chatglm3.ts";
import { createSandbox } from "./personalities/sandbox.ts";
import type { Personality } from "./personality.ts";
import type { PersonalityName } from "./personality-name.ts";

export interface PersonalityOptions {
  /** How long ChatGLM3's first answer keeps everybody waiting. @defaultValue 1500 */
  readonly firstRequestMs?: number | undefined;
  /** Base URL of the model server behind Chatchat 0.2. @defaultValue none: it has its words of its own */
  readonly modelUrl?: string | undefined;
}

export function createPersonality(name: PersonalityName | undefined, options: PersonalityOptions = {}): Personality {
  switch (name) {
    case "chatglm3":
      return createChatglm3(options.firstRequestMs);
    case "chatchat-0.2":
      return createChatchat02(options.modelUrl);
    case "chatchat-0.3":
      return createChatchat03();
    case undefined:
      return createSandbox();
  }
}
