/** Words with which chat templates say who speaks: in an answer they are text, in a prompt they are commands. */

/** Of the templates of the models in use. Matched in lower case. */
const ROLE_TOKENS: readonly string[] = [
  "<|im_start|>",
  "<|im_end|>",
  "<|endoftext|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<|start_header_id|>",
  "<|end_header_id|>",
  "<|begin_of_text|>",
  "<|end_of_text|>",
  "<|start|>",
  "<|end|>",
  "<|message|>",
  "<|channel|>",
  "<|return|>",
  "<|call|>",
  "<|user|>",
  "<|assistant|>",
  "<|system|>",
  "<|observation|>",
  "<|tool|>",
  "<|tool_call|>",
  "<|turn>",
  "<turn|>",
  "<|endofprompt|>",
  "<start_of_turn>",
  "<end_of_turn>",
  "<s>",
  "</s>",
  "<bos>",
  "<eos>",
  "[inst]",
  "[/inst]",
  "<<sys>>",
  "<</sys>>",
  "[gmask]",
  "<sop>",
  "<eop>",
  "[available_tools]",
  "[tool_calls]",
  "<｜",
  "<think>",
  "</think>",
  "<seed:",
  "<tool_call>",
  "<|python_tag|>",
];

export function findRoleToken(text: string): string | undefined {
  // Most text holds none of the characters that they begin with.
  if (!/[<[]/.test(text)) return undefined;
  const lower = text.toLowerCase();
  return ROLE_TOKENS.find((token) => lower.includes(token)) ?? /<\|[a-z_]{2,30}\|>/.exec(lower)?.[0];
}
