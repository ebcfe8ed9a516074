export default {
  testEnvironment: "node",
  extensionsToTreatAsEsm: [".ts"],
  moduleNameMapper: { "^(\\.{1,2}/.*)\\.js$": "$1" },
  testMatch: ["<rootDir>/{packages,apps}/*/{src,test}/**/*.test.ts", "<rootDir>/examples/**/*.test.ts"],
  setupFiles: ["<rootDir>/scripts/jest-setup.js"],
  testTimeout: 240_000, // a guard against hangs; how fast anything is, is measured in `pnpm bench`
  maxWorkers: 2,
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { target: "esnext", parser: { syntax: "typescript" } }, module: { type: "es6" }, sourceMaps: "inline" },
    ],
  },
  reporters: ["default", "<rootDir>/scripts/jest-summary.cjs"],
};
