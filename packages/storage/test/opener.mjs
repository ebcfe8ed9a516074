// Opens a data directory again and again, until it is killed.
import { openDataDir } from "../dist/index.js";

console.log("up");
for (;;) await openDataDir(process.argv[2]);
