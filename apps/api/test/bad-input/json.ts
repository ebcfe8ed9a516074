import { each, postText, type Row } from "./row.js";

const job = (fields: string) => `{"workflow":"hello",${fields}}`;

export const jsonRows: readonly Row[] = [
  {
    id: "B025",
    what: "keys that reach for JavaScript's own",
    status: [422],
    send: async (scene) => {
      const odd = [
        '"params":{"__proto__":{"admin":true}}',
        '"params":{"a":{"constructor":{"prototype":{"admin":true}}}}',
        '"__proto__":{"admin":true}',
        '"labels":{"prototype":"x"}',
      ];
      const answers = await each(odd, (fields) => postText(scene, "/v1/jobs", job(fields)));
      if ("admin" in {}) throw new Error("the prototype of all objects was changed");
      return answers;
    },
  },
  {
    id: "B026",
    what: "keys that appear twice",
    status: [400],
    send: (scene) =>
      each(['"params":{"a":1,"a":2}', '"workflow":"other"', '"params":{"a":1,"\\u0061":2}'], (fields) =>
        postText(scene, "/v1/jobs", job(fields)),
      ),
  },
  {
    id: "B028",
    what: "names that deceive the eye, or are none",
    status: [422],
    send: ({ api }) => {
      const odd = [
        "a\u0000b",
        "a\rb",
        "a\nb",
        "a\u001b[31m",
        "a\u2028b",
        "a\u202eb",
        "a\u200bb",
        "x".repeat(10_000),
        "",
        "   ",
        " a",
        "Cafe\u0301",
      ];
      return each(odd, (name) => api.post("/v1/projects", { name }));
    },
  },
  {
    id: "B029",
    what: "numbers that do not survive, or are none",
    status: [422],
    send: (scene) => {
      const params = ["1e999", "-0", "9007199254740993", "12345678901234567890"].map(
        (number) => `"params":{"n":${number}}`,
      );
      const priority = ["1.5", "2147483648", '"5"', "9007199254740993"].map((number) => `"priority":${number}`);
      return each([...params, ...priority], (fields) => postText(scene, "/v1/jobs", job(fields)));
    },
  },
  {
    id: "B031",
    what: "operators, lists and other kinds where a string is due",
    status: [422],
    send: ({ api }) =>
      each([{ not: "" }, { contains: "" }, [], null, true, 5], (value) => api.post("/v1/jobs", { workflow: value })),
  },
  {
    id: "B032",
    what: "deleting nothing in particular",
    status: [404, 405],
    send: async ({ api, workflow }) => {
      const paths = [
        "/v1/workflows",
        "/v1/workflows/",
        "/v1/workflows/%20",
        "/v1/workflows/undefined",
        "/v1/workflows/null",
        "/v1/api-keys",
        "/v1/api-keys/",
        "/v1/api-keys/%20",
      ];
      const answers = await each(paths, (path) => api.request("DELETE", path));
      const left = await Promise.all([api.get(`/v1/workflows/${workflow}`), api.get("/v1/me")]);
      if (left.some(({ status }) => status !== 200)) throw new Error("something was deleted");
      return answers;
    },
  },
];
