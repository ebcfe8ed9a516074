import { type Deployment, DRAIN_SECONDS, envFile, SECRET, type Subject, shell } from "./subject.js";

const EXITS =
  "An instance exits with 0 after STOP, with 75 after RESTART so that it is started again, and with 77 when its secret is refused.";

/** A container on a host with Docker. */
export function docker(subject: Subject): Deployment {
  const { slug, image, cores, mebibytes, instances } = subject;
  const limits = `--cpus ${cores} --memory ${Math.ceil(mebibytes)}m`;
  const commands = Array.from({ length: Math.min(instances, 10) }, (_, index) => {
    const name = `${slug}-${index + 1}`;
    return `docker run --detach --name ${name} --restart on-failure --stop-timeout ${DRAIN_SECONDS} ${limits} --env-file ${slug}.env --volume ${name}:/var/lib/maia ${shell(image)} maia runner`;
  });
  return {
    files: [{ path: `${slug}.env`, content: `${envFile(subject)}MAIA_RUNNER_DATA_DIR=/var/lib/maia\n` }],
    commands: [`chmod 600 ${slug}.env`, ...commands],
    notes: [EXITS, "Each container has a volume of its own: two instances cannot share a data directory."],
  };
}

/** A service of systemd. */
export function systemd(subject: Subject): Deployment {
  const { slug, name, cores, mebibytes } = subject;
  const unit = `[Unit]
Description=Maia runner ${name.replaceAll("%", "%%")}
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/local/bin/maia runner
EnvironmentFile=/etc/maia/${slug}.env
Environment=MAIA_RUNNER_DATA_DIR=/var/lib/${slug}
User=maia
StateDirectory=${slug}
StateDirectoryMode=0700
CPUQuota=${Math.round(cores * 100)}%
MemoryMax=${Math.ceil(mebibytes)}M
KillMode=mixed
TimeoutStopSec=${DRAIN_SECONDS}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=77

[Install]
WantedBy=multi-user.target
`;
  return {
    files: [
      { path: `/etc/maia/${slug}.env`, content: envFile(subject) },
      { path: `/etc/systemd/system/${slug}.service`, content: unit },
    ],
    commands: [
      "id maia || useradd --system --home-dir /var/lib/maia --shell /usr/sbin/nologin maia",
      `chmod 600 /etc/maia/${slug}.env`,
      "systemctl daemon-reload",
      `systemctl enable --now ${slug}`,
    ],
    notes: [EXITS],
  };
}

/** A plain process: no container, no service. */
export function plainProcess({ slug, env }: Subject): Deployment {
  const variables = [...env, ["MAIA_CLIENT_SECRET", SECRET] as const, ["MAIA_RUNNER_DATA_DIR", `./${slug}`] as const];
  const line = variables.map(([name, value]) => `${name}=${shell(value)}`).join(" ");
  return {
    files: [],
    commands: [`${line} maia runner`],
    notes: [EXITS, "Nothing starts a plain process again after RESTART: use systemd or docker where that matters."],
  };
}
