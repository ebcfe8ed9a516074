import {
  type Deployment,
  dockerEnvFile,
  leftOutOf,
  SECRET,
  STOP_SECONDS,
  type Subject,
  shell,
  systemdEnvFile,
  withDataDir,
} from "./subject.js";

const EXITS =
  "An instance exits with 0 after STOP, with 75 after RESTART so that it is started again, with 77 when its secret is refused, and with 78 when another process has a copy of its data directory.";

/** A container on a host with Docker. */
export function docker(subject: Subject): Deployment {
  const { slug, image, cores, mebibytes, instances } = subject;
  const limits = `--cpus ${cores} --memory ${Math.ceil(mebibytes)}m`;
  const commands = Array.from({ length: Math.min(Math.max(1, instances), 10) }, (_, index) => {
    const name = `${slug}-${index + 1}`;
    return `docker run --detach --name ${name} --restart on-failure --stop-timeout ${STOP_SECONDS} ${limits} --env-file ${slug}.env --volume ${name}:/var/lib/maia ${shell(image)} maia runner`;
  });
  return {
    files: [{ path: `${slug}.env`, content: dockerEnvFile(withDataDir(subject.env, "/var/lib/maia")) }],
    commands: [`chmod 600 ${slug}.env`, ...commands],
    notes: [
      EXITS,
      "Each container has a volume of its own: two instances cannot share a data directory.",
      ...leftOutOf(subject.env),
    ],
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
TimeoutStopSec=${STOP_SECONDS}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2 77 78

[Install]
WantedBy=multi-user.target
`;
  return {
    files: [
      { path: `/etc/maia/${slug}.env`, content: systemdEnvFile(subject.env) },
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
  const variables = withDataDir([...env, ["MAIA_CLIENT_SECRET", SECRET]], `./${slug}`);
  const line = variables.map(([name, value]) => `${name}=${shell(value)}`).join(" ");
  return {
    files: [],
    commands: [`${line} maia runner`],
    notes: [EXITS, "Nothing starts a plain process again after RESTART: use systemd or docker where that matters."],
  };
}
