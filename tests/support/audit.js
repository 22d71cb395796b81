() => {
  // Contrast of every text with what is behind it, names and size of controls, width: WCAG 2.2.
  // https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
  const parse = (text) => { const found = text.match(/[\d.]+/g).map(Number); return found.length === 3 ? [...found, 1] : found; };
  const luminance = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, n) => sum + one * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".hidden, .skip");
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data.trim()).join("");
    if (!text || !shown(element) || element.closest(":disabled")) continue;
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(2)}: ${text.slice(0, 40)}`);
  }
  const controls = document.querySelectorAll("a, button, input, select, textarea, summary, progress, [role=region], dialog[open]");
  for (const element of controls) {
    const labels = element.labels ? [...element.labels].map((one) => one.textContent).join("") : "";
    const named = element.getAttribute("aria-labelledby");
    const name = element.getAttribute("aria-label") || labels || (named && document.getElementById(named)?.textContent) || element.textContent;
    if (!name.trim()) found.push(`no name: ${element.outerHTML.slice(0, 80)}`);
    if (element.tabIndex < 0 && !element.matches("progress, dialog, :disabled")) found.push(`not reachable: ${element.outerHTML.slice(0, 80)}`);
    const box = element.getBoundingClientRect();
    if (element.matches("button, input, select, textarea, summary") && shown(element) && box.height < 24 && !element.matches("label.check input")) found.push(`small: ${element.outerHTML.slice(0, 80)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  for (const id of new Set(ids.filter((one, n) => ids.indexOf(one) !== n))) found.push(`id twice: ${id}`);
  const levels = [...document.querySelectorAll("h1, h2, h3")].filter(shown).map((one) => Number(one.tagName[1]));
  if (levels.filter((one) => one === 1).length !== 1) found.push(`headings of the first level: ${levels}`);
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) found.push(`wider than the window by ${wide}`);
  return found;
}
