/* Light or dark: as the system has it, until the button says otherwise. */

const KEY = "edgeflow-theme";

export function startTheme(button, onchange) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem(KEY); } catch { /* pages may not keep anything */ }
  const dark = () => (chosen ? chosen === "dark" : system.matches);
  const apply = () => {
    document.documentElement.dataset.theme = dark() ? "dark" : "light";
    button.setAttribute("aria-pressed", String(dark()));
    onchange();
  };
  button.addEventListener("click", () => {
    chosen = dark() ? "light" : "dark";
    try { localStorage.setItem(KEY, chosen); } catch { /* until the page is closed */ }
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
