// Loaded into an engine before its own code: ends it with SIGKILL at the n-th commit that writes about runs, at an exact
// moment. DIE_AT = n, DIE_WHEN = "before" (the commit is lost) or "after" (nothing that follows from it has begun).
import Database from "better-sqlite3";

const at = Number(process.env.DIE_AT);
const isAfter = process.env.DIE_WHEN === "after";
const ABOUT_RUNS = /^\s*(INSERT|UPDATE).*"(JobRun|Run|RunStep|Attempt)"/s;
let wrote = false;
let commits = 0;

const prepare = Database.prototype.prepare;
Database.prototype.prepare = function (text) {
  const statement = prepare.call(this, text);
  if (text === "COMMIT") {
    const run = statement.run;
    statement.run = () => {
      if (wrote) commits += 1;
      const isDue = wrote && commits === at;
      wrote = false;
      if (isDue && !isAfter) process.kill(process.pid, "SIGKILL");
      const result = run.call(statement);
      if (isDue) process.kill(process.pid, "SIGKILL");
      return result;
    };
  } else if (ABOUT_RUNS.test(text)) {
    for (const name of ["run", "get", "all"]) {
      const does = statement[name];
      statement[name] = (...values) => {
        wrote = true;
        return does.apply(statement, values);
      };
    }
  }
  return statement;
};
