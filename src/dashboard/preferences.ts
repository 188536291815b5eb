/** What a user has chosen, kept in the browser: the language and the colours. */
import { useEffect, useState } from "preact/hooks";
import { type Language, preferredLanguage, TEXTS } from "./texts.ts";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export interface Preferences {
  readonly language: Language;
  readonly theme: Theme;
  switchLanguage(): void;
  nextTheme(): void;
}

export function usePreferences(): Preferences {
  const [language, setLanguage] = useState<Language>(() => {
    const kept = read("language");
    return kept === "en" || kept === "zh" ? kept : preferredLanguage(navigator.languages);
  });
  const [theme, setTheme] = useState<Theme>(() => THEMES.find((theme) => theme === read("theme")) ?? "auto");
  useEffect(() => {
    document.documentElement.lang = TEXTS[language].lang;
  }, [language]);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  return {
    language,
    theme,
    switchLanguage() {
      const other = language === "en" ? "zh" : "en";
      keep("language", other);
      setLanguage(other);
    },
    nextTheme() {
      const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";
      keep("theme", next);
      setTheme(next);
    },
  };
}

/** A browser may forbid to keep anything. */
function read(name: string): string | null {
  try {
    return localStorage.getItem(`perennial-${name}`);
  } catch {
    return null;
  }
}

function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`perennial-${name}`, value);
  } catch {}
}
