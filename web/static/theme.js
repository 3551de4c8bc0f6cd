// Runs before the first paint: light or dark as the system is.
(() => {
  const root = document.documentElement;
  if (root.hasAttribute("data-theme-fixed")) return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => root.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
  apply();
  dark.addEventListener("change", apply);
})();
