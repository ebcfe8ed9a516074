/** A form with fewer characters than this would be found everywhere. */
const FORM_MIN = 4;
/** Shorter lines of a value of several lines say too little, and would be found everywhere. */
const LINE_MIN = 8;
/** Where programs break base64 into lines. */
const BASE64_LINE = 76;

/** Every text by which a value is known: itself, its lines, and how JSON, URLs and base64 write it. The longest first. */
export function formsOf(value: string): string[] {
  const lines = value.split(/\r?\n/).map((line) => line.trim());
  const whole = [value, value.trim()];
  const plain = [...whole, ...(lines.length > 1 ? lines.filter((line) => line.length >= LINE_MIN) : [])];
  const escaped = plain.flatMap((text) => [...inJson(text), ...inUrls(text)]);
  const encoded = whole.flatMap((text) => [...inBase64(text), ...inBase64(`${text}\n`)]);
  const forms = new Set([...plain, ...escaped, ...encoded]);
  return [...forms].filter((form) => form.length >= FORM_MIN).sort((a, b) => b.length - a.length);
}

function inJson(text: string): string[] {
  const json = JSON.stringify(text).slice(1, -1);
  const ascii = json.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return [json, ascii, json.replaceAll("/", "\\/")];
}

/** Programs do not agree on what a URL may hold as it is, nor on how a space is written. */
function inUrls(text: string): string[] {
  const least = encodeURIComponent(text);
  const most = least.replace(/[!'()*~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const python = most.replaceAll("%7E", "~");
  const form = new URLSearchParams({ v: text }).toString().slice(2);
  const all = [
    least,
    most,
    python,
    python.replaceAll("%2F", "/"),
    python.replaceAll("%20", "+"),
    form,
    encodeURI(text),
  ];
  return [...all, ...all.map((url) => url.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()))];
}

/** As the whole of what was encoded, and within something longer, where it may begin at any of three places. */
function inBase64(text: string): string[] {
  const bytes = Buffer.from(text);
  const whole = bytes.toString("base64");
  const parts = [0, 1, 2].map((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    return shifted.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
  });
  const wrapped = whole.replace(new RegExp(`.{${BASE64_LINE}}(?=.)`, "g"), "$&\n");
  const all = [whole, whole.replace(/=+$/, ""), wrapped, ...parts];
  return [...all, ...all.map((form) => form.replaceAll("+", "-").replaceAll("/", "_"))];
}
