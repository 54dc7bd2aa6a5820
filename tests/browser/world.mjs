// Starts the program and a browser, and takes both down again.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(join(process.cwd(), "target/browser/package.json"));
const { chromium } = require("playwright-core");
export const AXE = require.resolve("axe-core/axe.min.js");
export const folder = mkdtempSync(join(tmpdir(), "page-"));
const running = new Set();

// Whatever a browser asks of its maker's servers is of no use here.
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** A run of the program, once a line on stdout or stderr fits. */
export function start(args, pattern) {
  const child = spawn(process.env.PROGRAM, args, {
    env: { PATH: process.env.PATH, HOME: folder, PIPECAT_API_KEY: "sk_browser", TMPDIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const ended = new Promise((done) => child.once("exit", (code, signal) => done(code ?? signal)));
  const lines = [];
  return new Promise((found, failed) => {
    ended.then((code) => failed(new Error(`${args.join(" ")} ended with ${code}:\n${lines.join("\n")}`)));
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        lines.push(line);
        const match = line.match(pattern);
        if (match) {
          const stop = async () => {
            child.kill("SIGTERM");
            running.delete(child);
            return ended;
          };
          found({ address: match[1], stop });
        }
      });
    }
  });
}

export const demo = (...args) => start(["watch", "--demo", "--listen", "127.0.0.1:0", ...args], /the page is on (\S+)/);

/** A sidecar of a simulated API. */
export function sidecar(api, ...args) {
  const quick = ["--interval", "200ms", "--health-interval", "500ms", "--unready-for", "500ms", "--max-rps", "1000"];
  return start(["watch", "--progress", "plain", "--api-url", api, ...quick, ...args], /endpoints on (http:\S+)/);
}

export const simulator = (...args) => start(["simulate", "--listen", "127.0.0.1:0", ...args], /listening on (\S+)/);

export function file(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });

/** A page whose complaints are collected: errors, what the policy blocked, and dialogs. */
export async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(45_000);
  page.complaints = [];
  const note = (text) => page.complaints.push(text);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && note(message.text()));
  page.on("pageerror", (error) => note(String(error.stack)));
  page.on("dialog", (dialog) => {
    note(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => new URL(request.url()).origin === new URL(url).origin || note(`asked elsewhere: ${request.url()}`));
  await page.goto(url);
  return page;
}

/** A picture, where they are asked for. */
export async function shoot(page, name, fullPage = false) {
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage });
}

export async function end() {
  await browser.close();
  for (const child of running) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
