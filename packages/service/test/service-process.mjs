import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, readLogging, runService } from "../dist/index.js";

const logger = readLogging(process.env, "api", false);
const alive = setInterval(() => {}, 1_000);
const say = (word) => process.stdout.write(`${word}\n`);

function service(dispose) {
  say("ready");
  return { [Symbol.asyncDispose]: dispose };
}

async function letGo() {
  clearInterval(alive);
  logger.info("let go");
}

const modes = {
  up: async () => service(letGo),
  "slow-stop": async () =>
    service(async () => {
      say("stopping");
      await delay(60_000);
    }),
  "hanging-stop": async () => service(() => new Promise(() => {})),
  "patient-stop": async () => ({
    ...service(async () => {
      await delay(400); // longer than whoever starts it allows
      await letGo();
    }),
    stopWithinMs: 60_000,
  }),
  fails: async () => {
    throw new Error("the database is\nsomewhere else");
  },
  misconfigured: async () => {
    throw new ConfigError("MAIA_X is wrong, set it");
  },
  "port-taken": async () => {
    const first = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => first.once("listening", resolve));
    const second = createServer().listen(first.address().port, "127.0.0.1");
    await new Promise((_, reject) => second.once("error", reject));
  },
  restarts: async () => ({ ...service(letGo), done: Promise.resolve(75) }),
  bug: async () => {
    setImmediate(() => {
      throw new Error("boom");
    });
    return service(letGo);
  },
  chatty: async () => {
    let lines = 0;
    setInterval(() => {
      logger.info("still here");
      if (++lines === 50) process.send("went on");
    }, 5).unref();
    return service(letGo);
  },
};

if (process.argv[2] === "logs") {
  clearInterval(alive);
  const child = logger.child({ jobId: "job_1" });
  child.info("two\nlines", { clientSecret: "hush", esc: "\u001b[31m" });
  logger.warn("with an error", { error: new TypeError("bad"), deep: { token: "hush" } });
  const loop = {};
  loop.self = loop;
  const shared = { n: 1 };
  logger.error("odd values", { loop, twice: [shared, shared], big: 9007199254740993n });
  logger.debug("never shown");
} else {
  const stopWithinMs = ["hanging-stop", "patient-stop"].includes(process.argv[2]) ? 100 : undefined;
  await runService("maia api", logger, modes[process.argv[2]], stopWithinMs ? { stopWithinMs } : {});
}
