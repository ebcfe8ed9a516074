import { each, postText, type Row } from "./row.js";

const definition = { steps: [{ key: "a", script: "x" }] };

export const versionRows: readonly Row[] = [
  {
    id: "B055",
    what: "versions that are unknown, no numbers, another project's, or of a workflow that is gone",
    status: [404],
    send: async ({ api, workflow, stranger }) => {
      await api.put("/v1/workflows/versions-gone", definition);
      await api.request("DELETE", "/v1/workflows/versions-gone");
      const odd = ["99", "0", "-1", "1.0", "01", "1e0", "x", "%20", "4294967297", "9".repeat(30)];
      const at = `/v1/workflows/${workflow}/versions`;
      return [
        ...(await each(odd, (n) => api.get(`${at}/${n}/diff`))),
        ...(await each(odd, (n) => api.get(`${at}/${n}/export`))),
        ...(await each(odd, (n) => api.post(`${at}/${n}/promote`))),
        await api.get(`${at}/1/diff?against=99`),
        await api.post("/v1/workflows/ghost/versions", {}),
        await api.post("/v1/workflows/versions-gone/versions", {}),
        await api.post("/v1/workflows/versions-gone/versions/1/promote"),
        await api.get(`${at}/1/export`, { key: stranger }),
        await api.get(`${at}/1/diff?project=default`, { key: stranger }),
        await api.post(`${at}?project=default`, { definition }, { key: stranger }),
      ];
    },
  },
  {
    id: "B034",
    what: "versions of what is no workflow, and bundles that were changed on the way",
    status: [422],
    send: async ({ api }) => {
      const at = "/v1/workflows/odd-bundle/versions";
      const dependencies = { npm: { "left-pad": "^1.0.0" } };
      await api.post(at, { definition: { ...definition, dependencies } });
      const bundle = (await api.get(`${at}/1/export`)).json;
      const { workflowSnap } = bundle;
      const odd: [pointer: string, body: object][] = [
        ["/definition/steps", { definition: {} }],
        ["/definition/steps/0/deps/0", { definition: { steps: [{ key: "a", script: "x", deps: ["ghost"] }] } }],
        ["/definition/name", { definition: { ...definition, name: "other" } }],
        ["/definition", { definition: "text" }],
        ["/bundle", { bundle, definition }],
        ["/bundle", { bundle: null }],
        ["/bundle/format", { bundle: { ...bundle, format: "maia.workflow/2" } }],
        ["/bundle/snapHash", { bundle: { ...bundle, snapHash: "0".repeat(64) } }],
        ["/bundle/snapHash", { bundle: { ...bundle, workflowSnap: { ...workflowSnap, description: "changed" } } }],
        ["/bundle/depsHash", { bundle: { ...bundle, depsHash: null } }],
        ["/bundle/depsHash", { bundle: { ...bundle, depsLock: '{"npm":"evil"}' } }],
        ["/bundle/depsLock", { bundle: { ...bundle, depsLock: "no JSON" } }],
        ["/bundle/version", { bundle: { ...bundle, version: 0 } }],
        ["/bundle/extra", { bundle: { ...bundle, extra: 1 } }],
        ["/latest", { latest: "no" }],
        ["/message", { message: "x".repeat(5_001) }],
        ["/message", { message: "a\u0000b" }],
        ["/version", { version: 7 }],
      ];
      return each(odd, async ([pointer, body]) => {
        const answer = await api.post(at, body);
        if (answer.json.errors?.[0]?.pointer !== pointer) throw new Error(`${pointer}: ${answer.text}`);
        return answer;
      });
    },
  },
  {
    id: "B025",
    what: "a bundle with keys that reach for JavaScript's own",
    status: [422],
    send: async (scene) => {
      const at = `/v1/workflows/${scene.workflow}/versions`;
      const odd = ['{"bundle":{"workflowSnap":{"__proto__":{"admin":true}}}}', '{"definition":{"constructor":{}}}'];
      const answers = await each(odd, (text) => postText(scene, at, text));
      if ("admin" in {}) throw new Error("the prototype of all objects was changed");
      return answers;
    },
  },
  {
    id: "B031",
    what: "comparisons with what is no version",
    status: [400, 422],
    send: ({ api, workflow }) =>
      each(["against=x", "against=-1", "against=", "against=1&against=2", "against[]=1", "filter=1"], (query) =>
        api.get(`/v1/workflows/${workflow}/versions/1/diff?${query}`),
      ),
  },
];
