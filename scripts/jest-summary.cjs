/** Ends a test run with one plain line that people and CI can read: `N passed, N failed`. */
module.exports = class Summary {
  onRunComplete(_contexts, results) {
    const broken = results.numRuntimeErrorTestSuites; // a suite that cannot even start counts as a failure
    const line = `${results.numPassedTests} passed, ${results.numFailedTests + broken} failed\n`;
    process.once("exit", () => process.stdout.write(line)); // after everything that jest still has to say
  }
};
