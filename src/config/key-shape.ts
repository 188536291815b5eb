/** Whether a key can be one of its provider's, by its shape alone. What is said of it holds nothing of the key. */

interface KeyShape {
  readonly provider: string;
  /** Of the base URL. */
  readonly host: RegExp;
  readonly shape: RegExp;
  /** For the message. */
  readonly like: string;
}

const PROVIDERS: readonly KeyShape[] = [
  { provider: "Anthropic", host: /(^|\.)anthropic\.com$/, shape: /^sk-ant-/, like: "sk-ant-…" },
  { provider: "OpenRouter", host: /(^|\.)openrouter\.ai$/, shape: /^sk-or-/, like: "sk-or-…" },
  { provider: "OpenAI", host: /(^|\.)openai\.com$/, shape: /^sk-(?!ant-|or-)/, like: "sk-…" },
  { provider: "DeepSeek", host: /(^|\.)deepseek\.com$/, shape: /^sk-(?!ant-|or-|proj-)/, like: "sk-…" },
  { provider: "Moonshot", host: /(^|\.)moonshot\.(cn|ai)$/, shape: /^sk-(?!ant-|or-|proj-)/, like: "sk-…" },
  { provider: "DashScope", host: /(^|\.)dashscope(-intl)?\.aliyuncs\.com$/, shape: /^sk-(?!ant-|or-|proj-)/, like: "sk-…" },
  { provider: "Zhipu", host: /(^|\.)bigmodel\.cn$/, shape: /^[^.]{8,}\.[^.]{8,}$/, like: "two parts with a dot between them" },
  { provider: "Groq", host: /(^|\.)groq\.com$/, shape: /^gsk_/, like: "gsk_…" },
  { provider: "xAI", host: /(^|\.)x\.ai$/, shape: /^xai-/, like: "xai-…" },
  { provider: "Google", host: /(^|\.)generativelanguage\.googleapis\.com$/, shape: /^A[IQ][a-zA-Z.]/, like: "AIza…" },
  { provider: "Perplexity", host: /(^|\.)perplexity\.ai$/, shape: /^pplx-/, like: "pplx-…" },
  { provider: "Hugging Face", host: /(^|\.)huggingface\.co$/, shape: /^hf_/, like: "hf_…" },
  { provider: "NVIDIA", host: /(^|\.)nvidia\.com$/, shape: /^nvapi-/, like: "nvapi-…" },
  { provider: "Azure", host: /\.openai\.azure\.com$/, shape: /^(?!sk-)[A-Za-z0-9]{32,}$/, like: "32 or 84 letters and digits" },
];

/** Examples in documentation, and what stands where a key was to be filled in. */
const PLACEHOLDER =
  /^(sk-)?(x{3,}|\*{3,}|\.{3,}|…+)|your[-_ ]?(openai[-_ ]?)?(api[-_ ]?)?key|<[^>]*>|^(sk-)?(\.\.\.|xxx)|replace[-_ ]?me|changeme/i;

/** @returns what is wrong with it, as the end of a sentence that begins with "the key"; undefined where nothing is. */
export function explainKeyShape(baseUrl: string, key: string): string | undefined {
  if (/^bearer\b/i.test(key)) return "begins with Bearer: give it without that word, which is put before it";
  if (/^["'“‘].*["'”’]$/.test(key)) return "stands in quotes, which are no part of it";
  if (/^\$\{?\w+\}?$/.test(key)) return "is the name of a variable, and not its value";
  if (PLACEHOLDER.test(key)) return "is a placeholder out of an example";
  const { hostname } = new URL(baseUrl);
  const known = PROVIDERS.find(({ host }) => host.test(hostname));
  if (known === undefined || known.shape.test(key)) return undefined;
  return `has not the shape of ${known.provider}'s keys (${known.like}): it may be another provider's`;
}
