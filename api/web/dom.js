// Elements without markup: every text becomes a text node, so a document cannot put anything else into the page.

/** `<tag>` with properties (`class`, `data-…`, `aria-…` and the like as attributes) and children; null children are left out. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class" || name === "for" || name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

/** A labelled bar for a share in [0, 1]; `needed` marks a threshold. */
export function gauge(label, value, needed = null) {
  const percent = `${Math.round(value * 100)} %`;
  const told = needed === null ? percent : `${percent}, ${Math.round(needed * 100)} % needed`;
  const bar = make("meter", { min: 0, max: 1, value, "aria-label": label });
  if (needed !== null) bar.low = needed;
  return make("div", { class: "gauge" }, make("span", { class: "gauge-label" }, label), bar, make("span", {}, told));
}

/** Title, version, page, heading and offsets of a passage. */
export function place(passage) {
  const title = passage.title || passage.document_id;
  const facts = [
    title === passage.document_id ? null : passage.document_id,
    `version ${passage.version}`,
    passage.page === null ? null : `page ${passage.page}`,
    passage.heading && passage.heading !== title ? passage.heading : null,
    `characters ${passage.char_start}–${passage.char_end}`,
  ];
  return [
    make("h3", { class: "break" }, title),
    make("p", { class: "facts break" }, facts.filter(Boolean).join(" · ")),
  ];
}
