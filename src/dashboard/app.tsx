/** The whole page: its head, and below it all that happens, one stream, or the form that takes a key. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useFeed } from "./feed.ts";
import { Header } from "./parts/header.tsx";
import { Login } from "./parts/login.tsx";
import { Overview } from "./parts/overview.tsx";
import { StreamPage } from "./parts/stream-page.tsx";
import { usePreferences } from "./preferences.ts";
import { TEXTS, TextsContext } from "./texts.ts";

export function App({ isLocked }: { isLocked: boolean }): JSX.Element {
  const preferences = usePreferences();
  const texts = TEXTS[preferences.language];
  return (
    <TextsContext.Provider value={texts}>
      <a class="skip" href="#main">
        {texts.skip}
      </a>
      {isLocked ? <Locked preferences={preferences} /> : <Open preferences={preferences} />}
    </TextsContext.Provider>
  );
}

type WithPreferences = { preferences: ReturnType<typeof usePreferences> };

function Locked({ preferences }: WithPreferences): JSX.Element {
  return (
    <>
      <Header preferences={preferences} told={undefined} />
      <main id="main">
        <Login isWrong={new URLSearchParams(location.search).get("key") === "wrong"} />
      </main>
    </>
  );
}

function Open({ preferences }: WithPreferences): JSX.Element {
  const told = useFeed();
  const id = useStreamInAddress();
  return (
    <>
      <Header preferences={preferences} told={told} />
      <main id="main">{id === undefined ? told.view && <Overview view={told.view} /> : <StreamPage key={id} id={id} />}</main>
    </>
  );
}

/** `#/stream/ID`: so that a stream can be linked to, and Back leads back. */
function useStreamInAddress(): string | undefined {
  const read = (): string | undefined => /^#\/stream\/(.+)$/.exec(location.hash)?.[1]?.slice(0, 200);
  const [id, setId] = useState(read);
  useEffect(() => {
    const onChange = (): void => setId(read());
    addEventListener("hashchange", onChange);
    return () => removeEventListener("hashchange", onChange);
  }, []);
  return id;
}
