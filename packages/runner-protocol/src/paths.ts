const part = encodeURIComponent;

/** The routes of both carriers. Ids are escaped. */
export const paths = {
  healthz: "/healthz",
  execStep: "/v1/exec/step",
  execDeps: "/v1/exec/deps",
  /** Says that the named attempts are still wanted. */
  execAlive: "/v1/exec/alive",
  connectivity: "/v1/connectivity",
  /** Follows an attempt again. The epoch, where given, must not be older than the runner has seen. */
  attempt: (attemptId: string, fromSeq: number, epoch?: number) =>
    `/v1/exec/${part(attemptId)}?fromSeq=${fromSeq}${epoch === undefined ? "" : `&epoch=${epoch}`}`,
  cancel: (attemptId: string) => `/v1/exec/${part(attemptId)}/cancel`,
  blob: (sha256: string) => `/v1/blobs/${part(sha256)}`,

  oauthToken: "/oauth/token",
  gateway: "/v1/gateway",
  gatewayInstances: "/v1/gateway/instances",
  gatewayInstance: (instanceId: string) => `/v1/gateway/instances/${part(instanceId)}`,
  gatewayPoll: (instanceId: string) => `/v1/gateway/instances/${part(instanceId)}/poll`,
  gatewayFrames: (attemptId: string) => `/v1/gateway/attempts/${part(attemptId)}/frames`,
  gatewayBlob: (attemptId: string, sha256: string) => `/v1/gateway/attempts/${part(attemptId)}/blobs/${part(sha256)}`,
  gatewayUnused: (instanceId: string) => `/v1/gateway/instances/${part(instanceId)}/unused-content`,
  gatewayTransfer: (transferId: string) => `/v1/gateway/transfers/${part(transferId)}`,
} as const;
