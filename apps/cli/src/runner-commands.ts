import { type Command, Option } from "commander";
import type { AllowFlags } from "./commands/runner-allow.js";
import type { CreateFlags } from "./commands/runner-create.js";
import type { SetFlags } from "./commands/runner-settings.js";
import type { CommandFlags, CredentialFlags, ListFlags, RemoveFlags } from "./commands/runners.js";
import type { CommonFlags, Context } from "./context.js";
import { type Act, ALL, collect, limit } from "./flags.js";

const PLATFORMS = ["aws", "azure", "gcp", "snowflake", "kubernetes", "self_managed"];

/** `maia runners …`. */
export function addRunnerCommands(program: Command, context: Context, act: Act): void {
  const load = () => import("./commands/runners.js");
  const allowing = () => import("./commands/runner-allow.js");
  const settings = () => import("./commands/runner-settings.js");
  const runners = program.command("runners").description("where steps run: make, watch and command runners");
  const list = runners.command("list").description("the runners and what they are doing").addOption(limit(ALL));
  act(list, async (flags: ListFlags) => (await load()).listRunners(context, flags));
  const show = runners.command("show <runner>").description("one of them, by name or id");
  act(show, async (flags: CommonFlags, ref: string) => (await load()).showRunner(context, ref, flags));

  const create = runners
    .command("create <name>")
    .description("make a runner, and print the credentials that its instances need")
    .addOption(new Option("--platform <platform>", "where it is to run").choices(PLATFORMS).makeOptionMandatory())
    .option("--deployment <deployment>", "how, on that platform")
    .addOption(new Option("--type <type>", "maia unless given").choices(["maia", "streaming"]))
    .addOption(track())
    .option("--description <text>", "what it is for")
    .option("--auto-update", "let it move to each new version of its track")
    .option("--restricted", "let only what its allow list names use it")
    .option("--idempotency-key <key>", "the same key never makes a second runner");
  withConfig(create);
  act(create, async (flags: CreateFlags, name: string) =>
    (await import("./commands/runner-create.js")).createRunner(context, name, flags),
  );

  const set = runners
    .command("set <runner>")
    .description("change what is named of a runner; --env replaces all of its variables")
    .option("--name <name>", "what it is called")
    .option("--description <text>", "what it is for")
    .addOption(track())
    .option("--auto-update", "let it move to each new version of its track")
    .option("--no-auto-update", "let it stay at its version");
  withConfig(set);
  act(set, async (flags: SetFlags, ref: string) => (await settings()).setRunner(context, ref, flags));
  const parameters = runners
    .command("parameters <runner>")
    .description("what its instances need in their environment, and what else they can be told");
  act(parameters, async (flags: CommonFlags, ref: string) => (await settings()).listParameters(context, ref, flags));
  const instances = runners
    .command("instances <runner>")
    .description("its processes, newest first, those that are gone too")
    .addOption(limit());
  act(instances, async (flags: ListFlags, ref: string) => (await settings()).listInstances(context, ref, flags));

  const doctor = runners
    .command("doctor")
    .description("find out what keeps the runner of this environment from working; run it where the runner runs");
  act(doctor, async (flags: CommonFlags) => (await import("./commands/runner-doctor.js")).doctor(context, flags));

  const yes = (command: Command) => command.option("--yes", "do it without asking for words to be typed");
  const commands = [
    ["pause", "PAUSE", "let it finish its tasks and queue new ones, for maintenance"],
    ["resume", "RESUME", "end its pause"],
    ["restart", "RESTART", "have every instance finish its tasks, end, and be started again"],
    ["stop", "STOP", "have every instance finish its tasks and end"],
  ] as const;
  for (const [name, command, description] of commands) {
    const one = runners
      .command(`${name} <runner>`)
      .description(description)
      .option("--note <text>", "why, for the runner's history");
    if (command === "PAUSE") yes(one);
    act(one, async (flags: CommandFlags, ref: string) => (await load()).commandRunner(context, command, ref, flags));
  }

  const remove = runners
    .command("remove <runner>")
    .description("remove a runner that nobody counts on; what was deployed stays where it is")
    .option("--force", "also while it has work, which ends");
  act(remove, async (flags: RemoveFlags, ref: string) => (await load()).removeRunner(context, ref, flags));
  const credentials = yes(
    runners
      .command("credentials <runner>")
      .description("show its client id and secret; who looks is noted")
      .option("--refresh", "make a new secret; the old one is refused at once"),
  );
  act(credentials, async (flags: CredentialFlags, ref: string) => (await load()).credentials(context, ref, flags));

  const allow = runners
    .command("allow <runner> [places...]")
    .description("show who may use it, or add PROJECT or PROJECT/ENVIRONMENT")
    .option("--remove", "take these off the list instead")
    .option("--set", "put these in place of the whole list; none is nobody");
  act(allow, async (flags: AllowFlags, ref: string, ...places: string[]) =>
    (await allowing()).allow(context, ref, places, flags),
  );
  const restrict = runners
    .command("restrict <runner>")
    .description("enforce its allow list")
    .option("--off", "let every project use it");
  act(restrict, async (flags: CommonFlags & { off?: boolean }, ref: string) =>
    (await allowing()).restrict(context, ref, flags),
  );
  const test = runners.command("test <runner> <host> <port>").description("have it try a TCP connection");
  act(test, async (flags: CommonFlags, ref: string, host: string, port: string) =>
    (await load()).testConnection(context, [ref, host, port], flags),
  );
  const activity = runners
    .command("activity <runner>")
    .description("who did what to it, the newest first")
    .addOption(limit());
  act(activity, async (flags: ListFlags, ref: string) => (await load()).activity(context, ref, flags));
  const deployment = runners.command("deployment <runner>").description("how to deploy it: files and commands");
  act(deployment, async (flags: CommonFlags, ref: string) => (await load()).deployment(context, ref, flags));
}

function track(): Option {
  return new Option("--track <track>", "how often it gets new versions").choices(["current", "stable"]);
}

/** Flags of what instances are started with. */
function withConfig(command: Command): Command {
  return command
    .option("--image <image>", "the container image of its instances")
    .option("--env <name=value>", "a variable for its instances", collect)
    .option("--cpu <cores>", "cores of an instance, such as 0.5 or 500m")
    .option("--memory <size>", "memory of an instance, such as 2Gi")
    .option("--min-instances <number>", "how many there are at least")
    .option("--max-instances <number>", "how many there are at most");
}
