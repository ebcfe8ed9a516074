/** A tar archive (ustar) of small text files. */
export function tarOf(files: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(files).flatMap(([name, text]) => {
    const body = Buffer.from(text);
    return [header(name, body.length), body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1_024)]);
}

function header(name: string, size: number): Buffer {
  const block = Buffer.alloc(512);
  const put = (text: string, at: number): number => block.write(text, at, "latin1");
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits - 1, "0")}\0`;
  put(name, 0);
  put(octal(0o644, 8), 100);
  for (const at of [108, 116]) put(octal(0, 8), at);
  put(octal(size, 12), 124);
  put(octal(0, 12), 136);
  put("        ", 148);
  put("0", 156);
  put("ustar\x0000", 257);
  put(
    `${octal(
      block.reduce((sum, byte) => sum + byte, 0),
      7,
    )} `,
    148,
  );
  return block;
}
