import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { levelsHere, until, Workshop } from "./kit.js";

const levels = await levelsHere();

/** Registers a path by hand, as a step that does not keep to the library would. */
const REGISTER = `
register() { printf '{"path":"%s","name":"%s"}\\n' "$1" "$2" >> "$MAIA_ATTEMPT_DIR/.maia/registered"; }
cd "$MAIA_ATTEMPT_DIR"
echo content > good.txt
`;

/** What a step may try, and the words with which it is refused. */
const REFUSED: Record<string, readonly [script: string, reason: RegExp]> = {
  "a path that leads up": ['register "$PWD/../run/input.json" a.txt', /outside/],
  "an absolute path": ["register /etc/hosts a.txt", /outside/],
  "/proc/self/environ": ["register /proc/self/environ a.txt", /outside/],
  "a link to a file outside": ['ln -s /etc/hosts "$MAIA_ARTIFACTS_DIR/a.txt"', /symbolic link/],
  "a link to a file inside": ['ln -s "$PWD/good.txt" "$MAIA_ARTIFACTS_DIR/a.txt"', /symbolic link/],
  "a file below a linked folder": ['ln -s /etc linked; register "$PWD/linked/hosts" a.txt', /behind a link|not exist/],
  "a linked folder": ['ln -s /etc "$MAIA_ARTIFACTS_DIR/etc"', /symbolic link/],
  "what lies behind its folder, replaced by a link": [
    'rmdir "$MAIA_ARTIFACTS_DIR"; ln -s /etc "$MAIA_ARTIFACTS_DIR"',
    /artifacts" lies behind a link/,
  ],
  "what lay in its folder, which it has removed": ['rm -r "$MAIA_ARTIFACTS_DIR"', /folder "artifacts" does not exist/],
  "a device": ['ln -s /dev dev; register "$PWD/dev/null" a', /behind a link/],
  "a hard link": ['ln good.txt "$MAIA_ARTIFACTS_DIR/a.txt"', /more than one name/],
  "a pipe": ['mkfifo "$MAIA_ARTIFACTS_DIR/a.txt"', /no regular file/],
  "a socket": [
    "python3 -c \"import socket, os; socket.socket(socket.AF_UNIX).bind(os.environ['MAIA_ARTIFACTS_DIR'] + '/a.txt')\"",
    /cannot be read|no regular file/,
  ],
  "a folder": ['mkdir made; register "$PWD/made" a.txt', /no regular file/],
  nothing: ['register "$PWD/missing.txt" a.txt', /does not exist/],
  "a sparse file of a terabyte": ['truncate -s 1T "$MAIA_ARTIFACTS_DIR/a.txt"', /larger than/],
  "a name with a newline": ['touch "$MAIA_ARTIFACTS_DIR/a\nb"', /control characters/],
  "a name that is no text": ["touch \"$MAIA_ARTIFACTS_DIR/$(printf '\\377')\"", /no text|not exist/],
  "a name that leads elsewhere": ['register "$PWD/good.txt" ../../a.txt', /leads elsewhere/],
  "an absolute name": ['register "$PWD/good.txt" /a.txt', /absolute name/],
  "a file that it may not read": [
    'echo x > "$MAIA_ARTIFACTS_DIR/a.txt"; mkdir -p d; register "$PWD/d/../good.txt/x" b',
    /not exist|outside/,
  ],
};

describe.each(levels)("artifacts at the level %s", (level) => {
  let workshop: Workshop;
  beforeAll(async () => {
    workshop = await Workshop.open(level);
  });
  afterAll(() => workshop[Symbol.asyncDispose]());

  it.each(Object.entries(REFUSED))(
    "leave out %s, with a reason, and the step goes on (B088)",
    async (_what, [script, reason]) => {
      const run = await workshop.run(workshop.task("shell", REGISTER + script));
      expect(run.exit).toMatchObject({ exitCode: 0, reason: "exited" });
      expect(run.lines("system")).toEqual([expect.stringMatching(reason)]);
      expect(run.artifacts.filter(({ name }) => name !== "a.txt")).toEqual([]);
      for (const { sha256 } of run.artifacts) expect(workshop.kept.get(sha256)?.toString()).toBe("x\n");
    },
  );

  it("take an empty file, and one in a folder below", async () => {
    const script =
      'touch "$MAIA_ARTIFACTS_DIR/empty"; mkdir -p "$MAIA_ARTIFACTS_DIR/a/b"; echo x > "$MAIA_ARTIFACTS_DIR/a/b/c"';
    const { artifacts } = await workshop.run(workshop.task("shell", script));
    expect(artifacts.map(({ name, sizeBytes }) => [name, sizeBytes]).sort()).toEqual([
      ["a/b/c", 2],
      ["empty", 0],
    ]);
  });

  it("are the bytes that were hashed, whoever changes them meanwhile (G19)", async () => {
    // What left its group goes on writing for a moment after the step has ended, where no namespace ends it.
    const script = `setsid sh -c 'i=0; while :; do i=$((i+1)); echo $i > "$0"; ln -sf /etc/hosts "$0.new"; mv "$0.new" "$0"; rm -f "$0"; done' \
      "$MAIA_ARTIFACTS_DIR/race" >/dev/null 2>&1 & sleep 0.2`;
    for (let round = 0; round < 5; round++) {
      const { artifacts, exit } = await workshop.run(workshop.task("shell", script));
      expect(exit.exitCode).toBe(0);
      for (const { sha256, sizeBytes } of artifacts) {
        const bytes = workshop.kept.get(sha256)!;
        expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha256);
        expect([bytes.length, bytes.toString()]).toEqual([sizeBytes, expect.stringMatching(/^\d*\n?$/)]);
      }
    }
  });

  it("are kept of a step that fails, too", async () => {
    const run = await workshop.run(workshop.task("shell", 'echo why > "$MAIA_ARTIFACTS_DIR/why.txt"; exit 3'));
    expect([run.exit.exitCode, run.artifacts.map(({ name }) => name)]).toEqual([3, ["why.txt"]]);
  });
});

/** Registers what cannot be kept, then what can, and gives back the reasons that it was told. */
const REGISTERING = {
  node: `import fs from "node:fs";
export default async ({ artifacts }) => {
  fs.writeFileSync("good.txt", "x");
  fs.symlinkSync("good.txt", "link.txt");
  fs.symlinkSync("/etc", "linked");
  fs.mkdirSync("folder");
  fs.writeFileSync("one.txt", "x");
  fs.linkSync("one.txt", "two.txt");
  const told = {};
  for (const path of ["link.txt", "missing.txt", "/etc/hosts", "../up.txt", "folder", "linked/hosts", "two.txt"])
    told[path] = await artifacts.register(path, { name: "a.txt" }).then(() => "kept", (error) => error.message);
  await artifacts.register("./folder/../good.txt");
  return told;
};`,
  python: `import os
def main(ctx):
    open("good.txt", "w").write("x")
    os.symlink("good.txt", "link.txt")
    os.symlink("/etc", "linked")
    os.mkdir("folder")
    open("one.txt", "w").write("x")
    os.link("one.txt", "two.txt")
    told = {}
    for path in ["link.txt", "missing.txt", "/etc/hosts", "../up.txt", "folder", "linked/hosts", "two.txt"]:
        try:
            ctx.artifacts.register(path, name="a.txt")
            told[path] = "kept"
        except ValueError as error:
            told[path] = str(error)
    ctx.artifacts.register("./folder/../good.txt")
    return told`,
} as const;

describe("ctx.artifacts.register", () => {
  it.each(Object.entries(REGISTERING))(
    "in %s refuses at once what could not be kept, with the reason (G19, B088)",
    async (runtime, script) => {
      await using workshop = await Workshop.open();
      const run = await workshop.run(workshop.task(runtime as keyof typeof REGISTERING, script));
      expect([run.exit.error, run.exit.exitCode]).toEqual([null, 0]);
      expect(run.output).toEqual({
        "link.txt": expect.stringContaining("is a symbolic link"),
        "missing.txt": expect.stringContaining("does not exist"),
        "/etc/hosts": expect.stringContaining("outside of the attempt's folder"),
        "../up.txt": expect.stringContaining("outside of the attempt's folder"),
        folder: expect.stringContaining("no regular file"),
        "linked/hosts": expect.stringContaining("behind a link"),
        "two.txt": expect.stringContaining("more than one name"),
      });
      expect(run.artifacts.map(({ name }) => name)).toEqual(["good.txt"]);
      expect(run.lines("system")).toEqual([]);
    },
  );
});

describe("artifacts", () => {
  it("are capped in their size together (B089)", async () => {
    await using workshop = await Workshop.open();
    const script = 'cd "$MAIA_ARTIFACTS_DIR"; for i in 1 2 3; do head -c 400 /dev/zero > $i; done';
    const run = await workshop.run(workshop.task("shell", script, { limits: { artifactMax: 1_000 } }));
    expect(run.artifacts).toHaveLength(2);
    expect(run.lines("system")).toEqual([expect.stringMatching(/larger than 1000 bytes in all/)]);
  });

  it("are not looked for without end in folders, and the loop goes on meanwhile (G29)", async () => {
    await using workshop = await Workshop.open();
    const script = `cd "$MAIA_ARTIFACTS_DIR"; python3 -c "import os
for i in range(25000): os.mkdir('d%d' % i)"`;
    const task = workshop.task("shell", script, { limits: { artifactsMax: 10 } });
    let turns = 0;
    const turning = setInterval(() => {
      turns += 1;
    }, 1);
    const run = await workshop.run(task);
    clearInterval(turning);
    expect(run.lines("system")).toEqual(["not kept: more files than are looked at"]);
    expect(turns).toBeGreaterThan(20);
  });

  it("are not waited for once their attempt is canceled (G16)", async () => {
    let calls = 0;
    const gate = Promise.withResolvers<void>();
    await using workshop = await Workshop.open("auto", {
      keep: async (bytes) => {
        calls += 1;
        await gate.promise;
        for await (const _ of bytes());
        return { sha256: "0".repeat(64), sizeBytes: 1 };
      },
    });
    const task = workshop.task("shell", 'cd "$MAIA_ARTIFACTS_DIR"; for i in 1 2 3; do echo x > $i; done; echo done');
    const outcome = workshop.run(task);
    await until(() => calls === 1);
    await workshop.executor.cancel(task.attemptId, "stop");
    gate.resolve();
    const run = await outcome;
    expect(run.exit).toMatchObject({ reason: "canceled" });
    expect([run.artifacts, calls]).toEqual([[], 1]);
  });

  it("are capped in number and size, with a record (B089)", async () => {
    await using workshop = await Workshop.open();
    const script = 'cd "$MAIA_ARTIFACTS_DIR"; seq 1 3000 | xargs touch; head -c 2000 /dev/zero > big';
    const limits = { artifactsMax: 10, artifactMax: 1_000 };
    const run = await workshop.run(workshop.task("shell", script, { limits }));
    expect(run.artifacts.length).toBe(10);
    expect(run.lines("system").at(-1)).toBe("not kept: more than 10 artifacts");
    expect(run.exit.exitCode).toBe(0);
  });

  it("are capped where there are a hundred thousand of them, or ten gigabytes, with a record (B089)", async () => {
    await using workshop = await Workshop.open();
    const many = 'cd "$MAIA_ARTIFACTS_DIR"; seq 1 100000 | xargs touch';
    const first = await workshop.run(workshop.task("shell", many, { limits: { artifactsMax: 50 } }));
    expect([first.artifacts.length, first.exit.exitCode]).toEqual([50, 0]);
    expect(first.lines("system")).toEqual(["not kept: more than 50 artifacts"]);
    const large = 'cd "$MAIA_ARTIFACTS_DIR"; for i in 1 2; do truncate -s 5G $i; done; echo small > 3';
    const second = await workshop.run(workshop.task("shell", large));
    expect(second.artifacts.map(({ name }) => name)).toEqual(["3"]);
    expect(second.lines("system")).toEqual([
      expect.stringMatching(/larger than/),
      expect.stringMatching(/larger than/),
    ]);
  });

  it("that are refused by the thousand are named by the hundred", async () => {
    await using workshop = await Workshop.open();
    const script = 'cd "$MAIA_ARTIFACTS_DIR"; for i in $(seq 1 3000); do ln -s x $i; done';
    const run = await workshop.run(workshop.task("shell", script));
    expect(run.lines("system").length).toBe(100);
    expect(run.artifacts).toEqual([]);
  });

  it("that cannot be stored end the attempt as lost: its outcome is not known to be kept (G8)", async () => {
    await using workshop = await Workshop.open("auto", {
      keep: async () => {
        throw new Error("the disk is full");
      },
    });
    const run = await workshop.run(workshop.task("shell", 'echo x > "$MAIA_ARTIFACTS_DIR/a"'));
    expect(run.exit).toMatchObject({ reason: "lost", error: { message: expect.stringContaining("the disk is full") } });
  });
});
