/** The page's head: whose it is, whether it is live, how to find a stream, and the choices of its user. */
import type { JSX } from "preact";
import type { Told } from "../feed.ts";
import type { Preferences } from "../preferences.ts";
import { useTexts } from "../texts.ts";

const THEME_GLYPHS = { auto: "◐", light: "☀", dark: "☾" } as const;

export function Header({ preferences, told }: { preferences: Preferences; told: Told | undefined }): JSX.Element {
  const texts = useTexts();
  const { view, link } = told ?? { view: undefined, link: undefined };
  return (
    <header class="head">
      <div class="head-row">
        <a class="brand" href="#/">
          <Logo />
          <span>
            <strong>Perennial</strong> <span class="brand-cn">细水长流</span>
            <span class="tagline">{texts.tagline}</span>
          </span>
        </a>
        {link && (
          <span class={`link link-${link}`} role="status">
            <span class="dot" aria-hidden="true" /> {texts.link[link]}
          </span>
        )}
        <div class="tools">
          {told && <Finder />}
          <button
            type="button"
            class="tool"
            onClick={preferences.nextTheme}
            title={texts.theme[preferences.theme]}
            aria-label={texts.theme[preferences.theme]}
          >
            <span aria-hidden="true">{THEME_GLYPHS[preferences.theme]}</span>
          </button>
          <button
            type="button"
            class="tool"
            onClick={preferences.switchLanguage}
            lang={preferences.language === "en" ? "zh-CN" : "en"}
          >
            {texts.other}
          </button>
          {view?.signedIn && (
            <form method="post" action="dashboard/logout">
              <button type="submit" class="tool">
                {texts.signOut}
              </button>
            </form>
          )}
        </div>
      </div>
      {link === "lost" && <p class="notice notice-bad">{texts.linkLost}</p>}
      {view?.warm === false && <p class="notice">{texts.warming}</p>}
      {view?.showsTexts && <p class="notice">{texts.words.notice}</p>}
      {view?.sandbox && <p class="notice">{texts.sandbox}</p>}
    </header>
  );
}

function Finder(): JSX.Element {
  const texts = useTexts();
  const find = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const id = String(new FormData(form).get("id") ?? "").trim();
    if (id !== "") location.hash = `#/stream/${encodeURIComponent(id)}`;
    form.reset();
  };
  return (
    <search>
      <form class="finder" onSubmit={find}>
        <input
          name="id"
          type="search"
          placeholder={texts.find.placeholder}
          aria-label={texts.find.label}
          spellcheck={false}
          autocomplete="off"
        />
        <button type="submit" class="tool">
          {texts.find.go}
        </button>
      </form>
    </search>
  );
}

function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" />
      <path class="logo-a" d="M4 12c4-4 8-4 12 0s8 4 12 0" />
      <path class="logo-b" d="M4 21c4-4 8-4 12 0s8 4 12 0" />
    </svg>
  );
}
