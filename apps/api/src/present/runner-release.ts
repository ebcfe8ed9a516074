import type { StoredRelease } from "@maia/db";
import { runnerTracks } from "@maia/domain";
import { choice, flag, named, nullable, type Of, object, text } from "../http/shapes.js";
import { iso, moment } from "./common.js";

export const release = named(
  "RunnerRelease",
  object({
    version: text(),
    track: choice(runnerTracks),
    image: nullable(text()),
    releasedAt: moment,
    supportedUntil: nullable(moment),
    securityFix: flag(),
  }),
  {
    version: "1.4.0",
    track: "stable",
    image: "registry.example.org/maia-runner:1.4.0",
    releasedAt: "2026-11-01T00:00:00.000Z",
    supportedUntil: null,
    securityFix: false,
  },
);

export function presentRelease({ releasedAt, supportedUntil, ...rest }: StoredRelease): Of<typeof release> {
  return { ...rest, releasedAt: iso(releasedAt), supportedUntil: iso(supportedUntil) };
}
