/** Which language the page speaks: the browser's, unless its user has chosen the other one. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { en, type Texts } from "./texts/en.ts";
import { zh } from "./texts/zh.ts";

export type Language = "en" | "zh";

export const TEXTS: Readonly<Record<Language, Texts>> = { en, zh };

export const TextsContext = createContext<Texts>(en);

export const useTexts = (): Texts => useContext(TextsContext);

export function preferredLanguage(languages: readonly string[]): Language {
  const first = languages.find((language) => /^(zh|en)\b/i.test(language));
  return first?.toLowerCase().startsWith("zh") ? "zh" : "en";
}
