// Opens a data directory, and ends.
import { openDataDir } from "../dist/index.js";

await openDataDir(process.argv[2]);
