import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { isMaiaError } from "@maia/domain";
import type { BlobStore } from "@maia/storage";
import fc from "fast-check";
import { readCsv } from "../src/batch/csv.js";
import { parseBatchRequest } from "../src/batch/request.js";
import { decodeText } from "../src/batch/source.js";
import { createBatch } from "../src/index.js";
import { aBatchPlace, type BatchPlace } from "./batch-support.js";
import { anyone, NOW, publish } from "./support.js";

const paramsSchema = {
  type: "object",
  properties: {
    city: { type: "string" },
    top: { type: "integer", minimum: 1, default: 3 },
    rate: { type: ["number", "null"] },
    on: { type: "boolean" },
    tags: { type: "array", items: { type: "string" } },
  },
  required: ["city", "top"],
  additionalProperties: false,
};

let place: BatchPlace;
beforeAll(async () => {
  place = await aBatchPlace();
  const inputSpec = { version: 2, paramsSchema, filesInput: { urlFiles: { enabled: true, maxItems: 2 } } };
  await publish(place, "sheet", { inputSpec });
  await publish(place, "open", {});
});
afterAll(async () => {
  await place[Symbol.asyncDispose]();
});

const rows = (items: number) => place.db.sql.all(`SELECT 1 FROM "Batch" WHERE "itemCount" = ?`, items);
const csv = async (content: string | Uint8Array, more = {}) => ({
  itemsFile: { sha256: await place.upload(content), name: "rows.csv" },
  ...more,
});

describe("a batch's items", () => {
  it("are kept as they will run, defaults filled in, and the batch is one row (G4)", async () => {
    const { batchId } = await place.create({
      items: [{ params: { city: "Rome" } }, { params: { city: "Oslo", top: 9 } }],
    });
    expect(await place.items(batchId)).toEqual([
      [1, { city: "Rome", top: 3 }],
      [2, { city: "Oslo", top: 9 }],
    ]);
    expect(await rows(2)).toHaveLength(1);
    expect(await place.db.sql.all(`SELECT 1 FROM "JobRun"`)).toEqual([]);
    const events = await place.db.models.logEvent.findMany({ where: { kind: "batch_status" } });
    expect(events.map(({ data }) => JSON.parse(data))).toEqual([{ batchId, status: "RUNNING", at: NOW.toISOString() }]);
    const held = await place.db.sql.all(`SELECT 1 FROM "BatchBlob" WHERE "batchId" = ?`, batchId);
    expect(held).toHaveLength(1);
  });

  it("keep what they need from being collected until they are open", async () => {
    const file = await place.upload("a file that a row brings");
    const files = [{ name: "a.txt", sha256: file }];
    const { batchId } = await place.create({
      items: [
        { params: { city: "Rome" }, files },
        { params: { city: "Oslo" }, files },
      ],
    });
    const held = await place.db.sql.all<{ sha256: string }>(
      `SELECT "sha256" FROM "BatchBlob" WHERE "batchId" = ?`,
      batchId,
    );
    expect(held.map(({ sha256 }) => sha256)).toContain(file);
    expect(held).toHaveLength(2);
    for (const { sha256 } of held) {
      const remove = place.db.write(({ sql }) => sql.run(`DELETE FROM "InputBlob" WHERE "sha256" = ?`, sha256));
      await expect(remove).rejects.toThrow("FOREIGN KEY");
    }
  });

  it("are made once per Idempotency-Key, also by twins", async () => {
    const request = { items: Array.from({ length: 7 }, () => ({ params: { city: "Bern" } })) };
    const twins = await Promise.all([place.create(request, "k"), place.create(request, "k")]);
    const again = await place.create(request, "k");
    expect(new Set([...twins, again].map(({ batchId }) => batchId)).size).toBe(1);
    expect(again.replayed).toBe(true);
    expect(await rows(7)).toHaveLength(1);
    await expect(place.create({ ...request, concurrency: 2 }, "k")).rejects.toMatchObject({
      code: "IDEMPOTENCY_KEY_REUSED",
    });
  });

  it("are refused together: a dry run lists every fault of every row, and nothing is made (B071)", async () => {
    const items = [
      { params: { city: "Rome", top: 0, more: 1 } },
      { params: { city: "Oslo" } },
      { params: {} },
      { params: { city: "Kyiv", files: [] } },
      { params: { city: 5 }, path: "/etc/passwd" },
      { params: { city: "Bern" }, files: [{ name: "a.txt", sha256: "a".repeat(64) }] },
      { params: { city: "Riga" }, urlFiles: [{ url: "file:///etc/passwd" }] },
      "Rome",
    ];
    expect(await place.faults({ items })).toEqual([
      "1 /items/0/params/more is not a known field",
      "1 /items/0/params/top must be at least 1, got 0",
      "3 /items/2/params/city is required",
      "4 /items/3/params/files files is reserved for Maia",
      "5 /items/4/path is not a known field",
      "6 /items/5/files/0/sha256 is not known here; upload it with PUT /v1/blobs first",
      expect.stringMatching(/^7 \/items\/6\/urlFiles\/0\/url /),
      "8 /items/7 must be an object, got a string",
    ]);
    await expect(place.create({ items })).rejects.toMatchObject({
      code: "INVALID",
      message: expect.stringContaining("7 rows are wrong; the first: row 1, /items/0/params/more"),
    });
    expect(await rows(8)).toEqual([]);
  });

  it("are named to the last wrong row by a dry run, where a refusal stops at a hundred", async () => {
    const text = `city,top\n${Array.from({ length: 3_000 }, (_, n) => `city ${n},${n % 2}`).join("\n")}\n`;
    const request = await csv(text);
    const faults = await place.faults(request);
    expect(faults).toHaveLength(1_500);
    expect(faults.at(-1)).toBe("3000 /items/2998/params/top must be at least 1, got 0");
    const error = await place.create(request).catch((error: unknown) => error);
    expect(isMaiaError(error) && error.issues.length).toBe(100);
  });

  it("may be no more than the limit", async () => {
    await using small = await aBatchPlace(3);
    await publish(small, "sheet", {});
    const sha256 = await small.upload("n\n1\n2\n3\n4\n");
    expect(await small.faults({ itemsFile: sha256 })).toEqual(["- /itemsFile has more than 3 items"]);
    expect(() => parseBatchRequest({ workflow: "sheet", items: [1, 2, 3, 4] }, 3)).toThrow("at most 3 items");
    expect((await small.create({ itemsFile: await small.upload("n\n1\n2\n3\n") })).replayed).toBe(false);
  });
});

describe("a CSV of items", () => {
  it("is read by what the schema says: text stays text, numbers and lists are what they stand for", async () => {
    const content = 'city,top,rate,on,tags\r\n007,5,1.5,TRUE,"[""a"",""b""]"\r\ntrue,+4,null,false,\r\n12,,,,\r\n';
    const { batchId } = await place.create(await csv(content));
    expect(await place.items(batchId)).toEqual([
      [2, { city: "007", top: 5, rate: 1.5, on: true, tags: ["a", "b"] }],
      [3, { city: "true", top: 4, rate: null, on: false }],
      [4, { city: "12", top: 3 }],
    ]);
  });

  it("without a schema keeps as text what a number would not keep", async () => {
    const sha256 = await place.upload("a,b,c,d,e\n1,007,12345678901234567890,-2.5e3,true\n");
    const { batchId } = await place.create({ workflow: "open", itemsFile: { sha256 } });
    expect(await place.items(batchId)).toEqual([[2, { a: 1, b: "007", c: "12345678901234567890", d: -2500, e: true }]]);
  });

  it.each([
    ["a byte order mark", "\ufeffcity,top\nRome,2\n"],
    ["CRLF", "city,top\r\nRome,2\r\n"],
    ["CR", "city,top\rRome,2\r"],
    ["no last line end", "city,top\nRome,2"],
    ["semicolons", "city;top\nRome;2\n"],
    ["tabs", "city\ttop\nRome\t2\n"],
    ["blank lines", "city,top\n\nRome,2\n\n\n"],
    ["quotes", '"city","top"\n"Rome","2"\n'],
    ["spaces around names", " city , top\nRome,2\n"],
    ["an empty column at the end", "city,top,\nRome,2,\n"],
  ])("may have %s", async (_, content) => {
    const { batchId } = await place.create(await csv(content));
    expect((await place.items(batchId)).map(([, params]) => params)).toEqual([{ city: "Rome", top: 2 }]);
  });

  it("counts rows as a spreadsheet does, blank ones and cells of several lines included", async () => {
    const content = 'city,top\n"two\nlines",2\n\nOslo,0\n';
    expect(await place.faults(await csv(content))).toEqual(["4 /items/1/params/top must be at least 1, got 0"]);
  });

  it.each([
    ["nothing", "", "- /itemsFile is empty; a CSV begins with the names of the params"],
    ["a header alone", "city,top\n", "- /itemsFile has no items"],
    ["no column that is required", "top\n1\n", "1 /itemsFile has no column city, which the workflow requires"],
    ["a column twice", "city,top,city\nx,1,y\n", "1 /itemsFile has two columns city"],
    ["a column named __proto__", "city,__proto__\nx,1\n", "1 /itemsFile column 2: is not allowed as a param"],
    [
      "a column of Maia's own",
      "city,files\nx,1\n",
      expect.stringContaining("1 /itemsFile has a column files, which is reserved"),
    ],
    ["an unclosed quote", 'city,top\nx,1\n"y,2\nz,3\n', "3 /itemsFile has a quote that is never closed"],
    [
      "text after a quote",
      'city,top\n"x"y,1\n',
      expect.stringContaining("2 /itemsFile has text after the closing quote"),
    ],
    ["a quote within a cell", 'city,top\nx"y,1\n', expect.stringContaining("2 /itemsFile has a quote inside a cell")],
    ["Latin-1", Buffer.from("city,top\nZ\xfcrich,1\n", "latin1"), "- /itemsFile is not UTF-8; save it as CSV UTF-8"],
    ["UTF-16", Buffer.from("\ufeffcity,top\nRome,1\n", "utf16le"), "- /itemsFile is not UTF-8; save it as CSV UTF-8"],
    ["too few cells", "city,top\nx\n", "2 /items/0 has 1 cells, but the header names 2 columns"],
    ["too many cells", "city,top\nx,1,2\n", "2 /items/0 has 3 cells, but the header names 2 columns"],
    ["a cell without a name", "city,\nx,1\n", "2 /items/0 column 2 has a cell, but no name"],
    ["a column that is no param", "city,more\nx,1\n", "2 /items/0/params/more is not a known field"],
    ["a cell of another type", "city,top\nx,many\n", '2 /items/0/params/top must be an integer, got "many"'],
  ])("is refused with %s", async (_, content, fault) => {
    expect(await place.faults(await csv(content))).toEqual([fault]);
  });

  it("keeps every text, however it is quoted and wherever its bytes are cut", async () => {
    const cell = fc.string({ unit: "grapheme", minLength: 1 }).map((text) => text.replaceAll("\0", ""));
    const tables = fc.record({
      cells: fc.array(
        cell.filter((text) => text !== ""),
        { minLength: 1, maxLength: 8 },
      ),
      delimiter: fc.constantFrom(",", ";", "\t"),
      end: fc.constantFrom("\n", "\r\n"),
      cut: fc.integer({ min: 1, max: 7 }),
    });
    await fc.assert(
      fc.asyncProperty(tables, async ({ cells, delimiter, end, cut }) => {
        const quoted = cells.map((text) => `"${text.replaceAll('"', '""')}"${delimiter}1`);
        const bytes = Buffer.from([`city${delimiter}top`, ...quoted, ""].join(end));
        const pieces = async function* () {
          for (let at = 0; at < bytes.length; at += cut) yield bytes.subarray(at, at + cut);
        };
        const read = await Array.fromAsync(readCsv(decodeText(pieces()), paramsSchema));
        expect(read.map(({ value }) => value)).toEqual(cells.map((city) => ({ params: { city, top: 1 } })));
      }),
    );
  });

  it("is refused when a line has no end, without being read to it", async () => {
    const sha256 = await place.upload(`city,top\n"${"x".repeat(40 * 1024 * 1024)}`);
    const itemsFile = { sha256, format: "csv" };
    let read = 0;
    const counted = async function* (hash: string) {
      for await (const chunk of place.blobs.read(hash)) {
        read += chunk.length;
        yield chunk;
      }
    };
    const { touch, put } = place.blobs;
    const blobs = { read: counted, touch: touch.bind(place.blobs), put: put.bind(place.blobs) } as unknown as BlobStore;
    const request = parseBatchRequest({ workflow: "sheet", itemsFile }, 10);
    await expect(createBatch({ ...place.context, blobs }, request, anyone, null, NOW)).rejects.toMatchObject({
      issues: [{ row: 2, message: expect.stringContaining("is a quote never closed?") }],
    });
    expect(read).toBeLessThan(8 * 1024 * 1024);
  });

  it("gives each row the files that its urlFiles name", async () => {
    const { batchId } = await place.create(
      await csv("city,urlFiles\nRome,https://a.example/x.csv  https://b.example/y\n"),
    );
    const batch = await place.db.sql.get<{ itemsSha256: string }>(`SELECT * FROM "Batch" WHERE "id" = ?`, batchId);
    const text = (await Array.fromAsync(place.blobs.read(batch!.itemsSha256))).join("");
    expect(JSON.parse(text).urlFiles).toEqual([
      { url: "https://a.example/x.csv", name: "x.csv" },
      { url: "https://b.example/y", name: "y" },
    ]);
  });
});

describe("JSON Lines of items", () => {
  it("are one item a line; blank lines are passed over", async () => {
    const text = '\ufeff{"params":{"city":"Rome"}}\r\n\n{"params":{"city":"Oslo","top":4}}';
    const { batchId } = await place.create({ itemsFile: { sha256: await place.upload(text), name: "rows.jsonl" } });
    expect(await place.items(batchId)).toEqual([
      [1, { city: "Rome", top: 3 }],
      [3, { city: "Oslo", top: 4 }],
    ]);
    expect((await place.try({ itemsFile: await place.upload(text) })).itemCount).toBe(2);
  });

  it("are refused line by line", async () => {
    const text = '{"params":{"city":"Rome"}}\n{"params":\n[1]\n{"city":"Oslo"}\n{"params":{"__proto__":{}}}\n';
    expect(await place.faults({ itemsFile: await place.upload(text) })).toEqual([
      "2 /items/1 is no JSON, or not on a line of its own",
      "3 /items/2 must be an object, got a list",
      "4 /items/3/city is not a known field",
      "5 /items/4/params/__proto__ __proto__ is not allowed as a key",
    ]);
    const long = await place.upload(`{"params":{"city":"${"x".repeat(3 * 1024 * 1024)}"}}`);
    expect(await place.faults({ itemsFile: long })).toEqual(["1 /itemsFile is longer than 1048576 characters"]);
  });
});

describe("the request for a batch", () => {
  it.each([
    [{}, ["/items"]],
    [{ items: [] }, ["/items"]],
    [{ items: {} }, ["/items"]],
    [{ items: [{}], itemsFile: "a".repeat(64) }, ["/items"]],
    [{ itemsFile: "rows.csv" }, ["/itemsFile"]],
    [{ itemsFile: { sha256: "a".repeat(64), format: "xlsx" } }, ["/itemsFile/format"]],
    [{ items: [{}], concurrency: 0 }, ["/concurrency"]],
    [{ items: [{}], maxFailures: 0 }, ["/maxFailures"]],
    [{ items: [{}], dryRun: "false" }, ["/dryRun"]],
    [{ items: [{}], params: {} }, ["/params"]],
  ])("is not %j", (request, pointers) => {
    try {
      parseBatchRequest({ workflow: "sheet", ...request }, 10);
    } catch (error) {
      expect(isMaiaError(error) && error.issues.map(({ pointer }) => pointer)).toEqual(pointers);
      return;
    }
    throw new Error("it was accepted");
  });

  it("names a file that was uploaded here", async () => {
    await expect(place.create({ itemsFile: "b".repeat(64) })).rejects.toMatchObject({ code: "BLOB_UNKNOWN" });
  });
});
