// Text by Unicode code points, which the service counts in; JavaScript strings count UTF-16 units.

/** The UTF-16 index of code point `offset`. */
export function indexOf(text, offset) {
  let index = 0;
  for (let passed = 0; passed < offset && index < text.length; passed += 1) {
    index += text.codePointAt(index) > 0xffff ? 2 : 1;
  }
  return index;
}

/**
 * What stands before, in and after the code points [start, end) of `text`, with up to `around` UTF-16 units on either side,
 * cut at white space where there is some; `cutBefore` and `cutAfter` say whether the text goes on there.
 */
export function surroundings(text, start, end, around) {
  const from = indexOf(text, start);
  const to = from + indexOf(text.slice(from), end - start);
  const first = wordStart(text, Math.max(0, from - around), from);
  const last = wordEnd(text, Math.min(text.length, to + around), to);
  return {
    before: text.slice(first, from),
    quote: text.slice(from, to),
    after: text.slice(to, last),
    cutBefore: first > 0,
    cutAfter: last < text.length,
  };
}

/** A language tag for text in which Han characters occur, so that they get Chinese glyphs; else none. */
export function languageOf(text) {
  return /\p{Script=Han}/u.test(text) ? "zh" : "";
}

function wordStart(text, index, limit) {
  if (index === 0) return 0;
  const space = text.slice(index, limit).search(/\s/);
  const start = space < 0 || space > 40 ? index : index + space + 1;
  return isLowSurrogate(text, start) ? start + 1 : start;
}

function wordEnd(text, index, limit) {
  if (index === text.length) return index;
  const tail = text.slice(Math.max(limit, index - 40), index).search(/\s\S*$/);
  const end = tail < 0 ? index : Math.max(limit, index - 40) + tail;
  return isLowSurrogate(text, end) ? end - 1 : end;
}

function isLowSurrogate(text, index) {
  const unit = text.charCodeAt(index);
  return unit >= 0xdc00 && unit <= 0xdfff;
}
