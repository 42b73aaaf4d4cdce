// The Solidity compiler of the lock file behind the command line that py-solc-x, forge and slither expect of `solc`.
"use strict";
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const args = process.argv.slice(2);
const valuesOf = (flag) => args.flatMap((arg, i) => (arg === flag ? [args[i + 1]] : []));

if (args.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (args.includes("--standard-json")) {
  const roots = [...valuesOf("--base-path"), ...valuesOf("--include-path"), process.cwd()].map((root) => path.resolve(root));
  // Sources are read from below the given roots only, as the native compiler does.
  const readSource = (name) => {
    for (const root of roots) {
      const file = path.resolve(root, name);
      if (file.startsWith(root + path.sep) && fs.existsSync(file)) return { contents: fs.readFileSync(file, "utf8") };
    }
    return { error: `${name} not found below ${roots.join(", ")}` };
  };
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: readSource }));
} else {
  console.error(`solc: only --version and --standard-json are supported, got: ${args.join(" ")}`);
  process.exitCode = 1;
}
