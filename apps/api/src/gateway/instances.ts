import { noteActivity, sayGoodbye, sayHello } from "@maia/db";
import { MaiaError } from "@maia/domain";
import { checkProtocolVersion, ProtocolError } from "@maia/runner-protocol";
import { HttpProblem } from "../http/problems.js";
import type { Call } from "../http/route.js";
import type { Of } from "../http/shapes.js";
import { retryAfter } from "../rate-limit.js";
import { admitInstance, speakerOf } from "./admission.js";
import type { hello, helloAnswer } from "./shapes.js";

type HelloCall = Call<unknown, unknown, Of<typeof hello>>;

/** Makes the process known that says hello. Whoever had its ledger before is superseded. */
export async function greet({ context, caller, body, now }: HelloCall): Promise<Of<typeof helloAnswer>> {
  const { db, gateway, config } = context;
  const waitMs = gateway.hellos.take(caller.id, now);
  if (waitMs > 0) throw new HttpProblem("RATE_LIMITED", "Too many processes say hello", retryAfter(waitMs));
  requireVersion(body.protocol);
  const { labels = {}, capabilities = [], storeId = null } = body;
  const instance = await db.write(async (tx) => {
    const instance = await sayHello(tx, caller.id, { ...body, labels, capabilities, storeId }, now);
    if (!instance?.isNew) return instance;
    const data = { instanceId: instance.id, generation: instance.generation, version: body.version };
    await noteActivity(tx, caller.id, { actor: "runner", action: "HELLO", data }, now);
    return instance;
  });
  if (!instance) throw new HttpProblem("UNAUTHENTICATED", "The runner is gone");
  await gateway.beats.beat();
  return {
    instanceId: instance.id,
    generation: instance.generation,
    heartbeatMs: config.constants.runnerHeartbeatMs,
  };
}

/** @throws {MaiaError} RUNNER_VERSION_UNSUPPORTED where it speaks another major version of the protocol. */
function requireVersion(protocol: string): void {
  try {
    checkProtocolVersion(protocol);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new MaiaError("RUNNER_VERSION_UNSUPPORTED", error.message, { cause: error });
  }
}

/** Notes that a process leaves. Saying it again changes nothing. */
export async function takeLeave({ context, caller, req, params, now }: Call<{ readonly id: string }>): Promise<void> {
  const speaker = speakerOf(caller, req);
  await context.db.write(async (tx) => {
    const instance = await admitInstance(tx.sql, speaker, params.id);
    if (!(await sayGoodbye(tx, instance, now))) return;
    const data = { instanceId: instance.id, generation: instance.generation };
    await noteActivity(tx, caller.id, { actor: "runner", action: "GOODBYE", data }, now);
  });
}
