export { diagnose } from "./doctor.js";
export { type Diagnosis, type Finding, type Layer, layers } from "./findings.js";
