export { exitCodes } from "./exit-codes.js";
