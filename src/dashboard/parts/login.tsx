/** Where keys are set: the form that takes one. A plain form, so that the key is never in the hands of a script. */
import type { JSX } from "preact";
import { useTexts } from "../texts.ts";

export function Login({ isWrong }: { isWrong: boolean }): JSX.Element {
  const { login } = useTexts();
  return (
    <form class="card login" method="post" action="dashboard/login">
      <h1>{login.title}</h1>
      <p>{login.text}</p>
      {isWrong && (
        <p class="bad" role="alert">
          ✖ {login.wrong}
        </p>
      )}
      <label>
        {login.key}
        <input type="password" name="key" autocomplete="current-password" required />
      </label>
      <button type="submit" class="primary">
        {login.go}
      </button>
    </form>
  );
}
