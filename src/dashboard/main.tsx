/** The page's beginning. */
import { render } from "preact";
import { App } from "./app.tsx";
import "./style/base.css";
import "./style/parts.css";
import "./style/try-it.css";

const root = document.getElementById("app");
if (root !== null) render(<App isLocked={document.documentElement.dataset.locked === "yes"} />, root);
