import net from "node:net";
import { gzipSync } from "node:zlib";
import { each, head, postText, type Row, raw, type Scene, seen } from "./row.js";

const JSON_HEAD = "Content-Type: application/json\n";
const MIB = 1_024 * 1_024;

export const transportRows: readonly Row[] = [
  { id: "B001", what: "half an object", status: [400], send: (scene) => postText(scene, "/v1/jobs", '{"a":') },
  {
    id: "B002",
    what: "an empty body that claims to be JSON",
    status: [400],
    send: (scene) => postText(scene, "/v1/jobs", ""),
  },
  {
    id: "B004",
    what: "UTF-16, an unknown charset, another type, bytes that are no UTF-8",
    status: [415, 400],
    send: (scene) =>
      each(
        [
          ["application/json; charset=utf-16", Buffer.from("{}", "utf16le")],
          ["application/json; charset=martian", Buffer.from("{}")],
          ["text/plain", Buffer.from("{}")],
          ["application/json", Buffer.from([0x22, 0xff, 0x22])],
        ] as const,
        ([type, bytes]) => postText(scene, "/v1/jobs", bytes, { "Content-Type": type }),
      ),
  },
  {
    id: "B005",
    what: "a gzip bomb",
    status: [415],
    send: (scene) => postText(scene, "/v1/jobs", gzipSync(Buffer.alloc(50 * MIB)), { "Content-Encoding": "gzip" }),
  },
  {
    id: "B007",
    what: "a body beyond the limit, with and without its length",
    status: [413],
    send: async (scene) => [
      await postText(scene, "/v1/jobs", `"${"a".repeat(MIB)}"`),
      await raw(
        scene,
        head(scene, "POST", "/v1/jobs", `${JSON_HEAD}Transfer-Encoding: chunked\n`),
        chunked(`"${"a".repeat(MIB)}"`),
      ),
    ],
  },
  {
    id: "B008",
    what: "a body that never comes whole",
    status: [408],
    send: (scene) => raw(scene, head(scene, "POST", "/v1/jobs", `${JSON_HEAD}Content-Length: 50\n`), '{"workflow":'),
  },
  {
    id: "B010",
    what: "framing that two parties would read differently",
    status: [400, 413],
    send: (scene) => {
      const start = `POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${scene.api.adminKey}\r\nContent-Type: application/json\r\n`;
      const odd = [
        "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        "Content-Length: +2\r\n\r\n{}",
        "Content-Length: 0x2\r\n\r\n{}",
        "Content-Length : 2\r\n\r\n{}",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        `Transfer-Encoding: chunked\r\n\r\n2;${"x".repeat(64 * 1_024)}\r\n{}\r\n0\r\n\r\n`,
        "X-A: 1\nX-B: 2\n\nContent-Length: 2\r\n\r\n{}",
      ];
      return each(odd, async (rest) => seen(await scene.api.raw(start + rest, /\}$/)));
    },
  },
  { id: "B011", what: "five hundred connections that never finish their headers", status: [200], send: slowloris },
  {
    id: "B013",
    what: "20 KB of a header, 2,000 headers, an address of 16 KB and one of 100 KB",
    status: [431, 414],
    send: async (scene) => [
      await raw(scene, head(scene, "GET", "/v1/jobs", `X-Long: ${"a".repeat(20_000)}\n`)),
      await raw(scene, head(scene, "GET", "/v1/jobs", "a: b\n".repeat(2_000))),
      await raw(scene, head(scene, "GET", `/v1/jobs?x=${"a".repeat(16_000)}`)),
      await raw(scene, head(scene, "GET", `/v1/jobs?x=${"a".repeat(100_000)}`)),
    ],
  },
  {
    id: "B014",
    what: "no Host, a foreign Host, two Hosts, a Host that is none",
    status: [400, 421],
    send: (scene) =>
      each(["", "Host: evil.example\n", "Host: localhost\nHost: evil.example\n", "Host: a b\n"], (host) =>
        raw(scene, `GET /healthz HTTP/1.1\n${host}\n`),
      ),
  },
  {
    id: "B016",
    what: "a method override",
    status: [200],
    send: async ({ api, workflow }) => {
      const headers = { "X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method-Override": "DELETE" };
      await api.get(`/v1/workflows/${workflow}?_method=DELETE`);
      return api.get(`/v1/workflows/${workflow}`, { headers });
    },
  },
  {
    id: "B017",
    what: "other spellings of a path",
    status: [401, 404],
    send: async (scene) => {
      const spellings = [
        "//v1/jobs", "/v1//jobs", "/./v1/jobs", "/v1/./jobs", "/v1/x/../jobs", "/v1/%2e%2e/v1/jobs", "/v1/jobs;x=1",
        "/v1/jobs.", "/v1/jobs%20", "/v1/jobs/", "/V1/JOBS", "/v1/%6aobs", "/healthz/../v1/jobs", "/v1/jobs/..;/healthz",
      ]; // biome-ignore format: a list of paths
      const withoutKey = await each(spellings, (path) => raw(scene, `GET ${path} HTTP/1.1\nHost: localhost\n\n`));
      const withKey = await each(spellings, (path) => raw(scene, head(scene, "GET", path)));
      return [...withoutKey, ...withKey];
    },
  },
  {
    id: "B019",
    what: "percent-encoding that is no text",
    status: [400],
    send: (scene) =>
      each(["/v1/jobs/%zz", "/v1/jobs/%c0%ae", "/v1/jobs/%00", "/%zz", "/v1/jobs/a%"], (path) =>
        raw(scene, head(scene, "GET", path)),
      ),
  },
  {
    id: "B020",
    what: "limits that are none",
    status: [422],
    send: ({ api }) => {
      const odd = [
        "limit=-1",
        "limit=0",
        "limit=1000000000",
        "limit=1.5",
        "limit=abc",
        "limit=",
        "limit=1&limit=2",
        "limit[]=1",
        "limit[$gt]=1",
        "limit=1e1",
      ];
      const lists = ["jobs", "runs", "workflows", "projects", "api-keys"];
      return each(
        lists.flatMap((list) => odd.map((query) => `/v1/${list}?${query}`)),
        (path) => api.get(path),
      );
    },
  },
  {
    id: "B022",
    what: "orders, filters and operators that nobody offers",
    status: [400, 422],
    send: ({ api }) => {
      const odd = [
        "sort=password",
        "sort=id;drop",
        'filter={"apiKey":{"startsWith":"a"}}',
        "where[id]=1",
        "cursor=garbage",
        "cursor[$gt]=a",
        "cursor=",
        "include=secretHash",
      ];
      return each(odd, (query) => api.get(`/v1/jobs?${query}`));
    },
  },
  {
    id: "B023",
    what: "a hundred thousand parameters",
    status: [414, 431],
    send: (scene) => raw(scene, head(scene, "GET", `/v1/jobs?${"a[]=&".repeat(100_000)}`)),
  },
];

/** Others are still served at once, and each of the connections is dropped. */
async function slowloris({ api }: Scene) {
  const port = Number(new URL(api.url).port);
  const sockets = Array.from({ length: 500 }, () => net.connect(port, "127.0.0.1"));
  const dropped = sockets.map(
    (socket) =>
      new Promise((resolve) =>
        socket
          .on("error", () => {})
          .on("close", resolve)
          .resume(),
      ),
  );
  for (const socket of sockets) socket.write("GET / HTTP/1.1\r\nX");
  const began = performance.now();
  const answers = await each(Array.from({ length: 20 }), () => api.get("/healthz"));
  if (performance.now() - began > 20 * 500) return { status: 0, text: "too slow" };
  await Promise.all(dropped);
  return answers;
}

function chunked(text: string): string {
  const size = 64 * 1_024;
  const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
  return `${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")}0\r\n\r\n`;
}
