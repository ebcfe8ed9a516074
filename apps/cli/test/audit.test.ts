import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { AUDIT_START, type AuditRow, auditHash } from "@maia/domain";
import { FakeApi, sendJson } from "./fake-api.js";
import { maia } from "./run-maia.js";

let api: FakeApi;
beforeEach(async () => {
  api = await FakeApi.start();
});
afterEach(() => api[Symbol.asyncDispose]());

/** Entries in a chain, by actor. */
function chainOf(actors: readonly string[]): AuditRow[] {
  const rows: AuditRow[] = [];
  for (const actor of actors) {
    const { seq, hash: prevHash } = rows.at(-1) ?? AUDIT_START;
    const at = "2026-11-20T12:00:00.000+00:00";
    const what = { action: "project.create", target: "prj_1", outcome: "ok", requestId: null, ip: null, detail: "{}" };
    const content = { seq: seq + 1, id: `aud_${seq + 1}`, at, actor, ...what, prevHash };
    rows.push({ ...content, hash: auditHash(content) });
  }
  return rows;
}

const actors = Array.from({ length: 250 }, (_, i) => `key_${i}`);
const whole = chainOf(actors);
const { seq, hash } = whole.at(-1)!;

/** What `maia audit verify` says of these entries. */
function verify(rows: readonly AuditRow[], ...args: string[]) {
  api.on("GET /v1/audit-events", (request, response) => {
    const { searchParams } = new URL(request.url!, api.url);
    const [after, limit] = [Number(searchParams.get("after")), Number(searchParams.get("limit"))];
    sendJson(response, 200, { items: rows.filter((row) => row.seq > after).slice(0, limit), nextCursor: null });
  });
  return maia(["audit", "verify", ...args, "--url", api.url, "--api-key", "k"]);
}

const fault = (entry: number) => ({ code: 5, stderr: expect.stringContaining(`entry ${entry} is`) });

describe("maia audit verify (G33)", () => {
  it("says where a whole log ends, and takes that as the head of the next check", async () => {
    expect(await verify(whole)).toMatchObject({
      code: 0,
      stdout: `250 entries are whole and in order; head ${seq}:${hash}\n`,
    });
    expect(await verify(whole, "--head", `${seq}:${hash}`)).toMatchObject({ code: 0 });
    expect(await verify(whole, "--head", `120:${whole[119]!.hash}`)).toMatchObject({ code: 0 });
  });

  it.each([1, 100, 101, 175, 250])("names entry %i when it was altered, whichever field", async (at) => {
    const fields: Partial<AuditRow>[] = [
      { actor: "key_other" },
      { outcome: "refused" },
      { detail: '{"a":1}' },
      { ip: "::1" },
      { at: "2026-11-20T12:00:00.001+00:00" },
    ];
    const field = fields[at % fields.length]!;
    expect(await verify(whole.map((row) => (row.seq === at ? { ...row, ...field } : row)))).toMatchObject(fault(at));
  });

  it("names the entry after which one was made to fit again, but not the chain behind it", async () => {
    const forged = whole.map((row) => (row.seq === 90 ? { ...row, actor: "key_other" } : row));
    forged[89] = { ...forged[89]!, hash: auditHash(forged[89]!) };
    expect(await verify(forged)).toMatchObject(fault(91));
  });

  it("names the place of an entry that was deleted, moved or exchanged", async () => {
    expect(await verify(whole.filter((row) => row.seq !== 130))).toMatchObject(fault(130));
    expect(await verify(whole.slice(1))).toMatchObject(fault(1));
    const exchanged = whole.map((row) =>
      row.seq === 40 ? { ...whole[40]!, seq: 40 } : row.seq === 41 ? { ...whole[39]!, seq: 41 } : row,
    );
    expect(await verify(exchanged)).toMatchObject(fault(40));
  });

  it("shows a tail that was cut off, and a chain that was made anew, against a head that was kept", async () => {
    const cut = whole.slice(0, 200);
    expect(await verify(cut)).toMatchObject({ code: 0 });
    expect(await verify(cut, "--head", `${seq}:${hash}`)).toMatchObject(fault(201));
    const anew = chainOf(actors.map((actor, i) => (i === 10 ? "key_other" : actor)));
    expect(await verify(anew)).toMatchObject({ code: 0 });
    expect(await verify(anew, "--head", `${seq}:${hash}`)).toMatchObject(fault(250));
  });
});
