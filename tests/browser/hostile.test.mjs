// A crash whose message is hostile, and a sidecar that comes and goes.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { browser, end, file, open, shoot, sidecar, simulator } from "./world.mjs";

const HOSTILE = `<img src=x onerror=alert(1)></pre></script><script>alert(2)</script>\u202Egnp.exe\u2066 \u0007${"&lt;b&gt; ".repeat(40_000)}THE END`;

after(end);

describe("a hostile crash, and a sidecar that comes and goes", { concurrency: false }, () => {
  let api, store;
  before(async () => {
    const scenario = file("hostile.toml", `
      summary = "a crash whose message is hostile"
      verdict = "failed"
      [before]
      desiredDeploymentId = "{old}"
      reconciledDeploymentId = "{old}"
      ready = true
      available = true
      [[state]]
      at = "0s"
      desiredDeploymentId = "{new}"
      [[state]]
      at = "1s"
      reconciledDeploymentId = "{new}"
      ready = false
      [state.currentRevision]
      deploymentID = "{new}"
      phase = "Failed"
      phaseStartedAt = "{now}"
      readyReplicas = 0
      [state.currentRevision.health]
      ready = false
      state = "terminated"
      reason = "Error"
      restartCount = 5
      replicasStarted = 1
      lastExitCode = 1
      message = ${JSON.stringify(HOSTILE)}
      [[log]]
      at = "0s"
      line = "<script>alert(3)</script> \\u001b[2J logged"`);
    api = (await simulator(scenario, "--agent", "victim", "--autoplay")).address;
    store = file("hostile.db", "");
  });

  test("its message is text, whatever it says", async () => {
    const { address, stop } = await sidecar(api, "--listen", "127.0.0.1:0", "--store", store);
    const page = await open(`${address}/#now`);
    await page.locator("tbody a .state.odd").click();
    const message = page.locator("#message");
    await message.waitFor();
    const text = await message.evaluate((node) => node.textContent);
    assert.ok(text.startsWith("<img src=x onerror=alert(1)></pre></script><script>alert(2)</script>\\u202egnp.exe\\u2066 \\u0007"), text.slice(0, 200));
    assert.ok(text.endsWith("&lt;b&gt; THE END"), text.slice(-100));
    assert.match(text, /bytes left out/);
    await page.getByRole("button", { name: "Show logs" }).click();
    await page.locator("#logs").waitFor();
    assert.match(await page.locator("#logs").innerText(), /<script>alert\(3\)<\/script> \\u001b\[2J logged/);
    assert.equal(await page.locator("main img, main script").count(), 0);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    assert.deepEqual(page.complaints, []);
    assert.equal(await stop(), 0);
  });

  test("the page says when it is cut off, and goes on by itself", async () => {
    const first = await sidecar(api, "--listen", "127.0.0.1:0", "--store", store);
    const page = await open(first.address);
    await page.getByRole("link", { name: "victim", exact: true }).waitFor();
    await page.getByText("live", { exact: true }).waitFor();
    await first.stop();
    await page.getByText(/Last update \d+\ss ago; retrying/).waitFor();
    await page.getByText("not connected").waitFor();
    assert.equal(await page.getByRole("link", { name: "victim", exact: true }).isVisible(), true, "what was known stays");
    await shoot(page, "stale");
    const second = await sidecar(api, "--listen", new URL(first.address).host, "--store", store);
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByText(/retrying/).waitFor({ state: "detached" });
    await second.stop();
    const others = page.complaints.filter((text) => !text.includes("net::ERR_"));
    assert.deepEqual(others, []);
  });

  test("with a token nobody reads without it, and an empty list says so", async () => {
    const token = file("token", "browser-token-0123456789");
    const { address, stop } = await sidecar(api, "--listen", "127.0.0.1:0", "--store", file("token.db", ""), "--http-token-file", token, "--include", "nobody-*");
    assert.equal((await fetch(address)).status, 401);
    const httpCredentials = { username: "x", password: "browser-token-0123456789" };
    const page = await open(address, { httpCredentials });
    await page.getByText("No agents yet").waitFor();
    await page.goto(`${address}/#deliveries`);
    await page.getByText("No sink is configured").waitFor();
    await page.goto(`${address}/#history`);
    await page.getByText("No rollout has ended in this time.").waitFor();
    await page.goto(`${address}/#elsewhere`);
    await page.getByText("There is nothing at this address.").waitFor();
    assert.deepEqual(page.complaints, []);
    await stop();
  });

  test("no address kills the page, and what is refused is said", async () => {
    const { address, stop } = await sidecar(api, "--listen", "127.0.0.1:0", "--store", file("address.db", ""));
    const page = await open(address);
    await page.getByRole("link", { name: "victim", exact: true }).first().waitFor();
    for (const name of ["valueOf", "hasOwnProperty", "toString", "__proto__"]) {
      await page.goto(`${address}/#${name}`);
      await page.getByText("There is nothing at this address.").waitFor();
      await page.goto(`${address}/#deliveries`);
      await page.getByText("No sink is configured").waitFor();
    }
    assert.deepEqual(page.complaints, []);
    await page.goto(`${address}/#now?state=fine`);
    await page.locator("#stale", { hasText: "state" }).waitFor();
    await page.getByText("refused", { exact: true }).waitFor();
    assert.doesNotMatch(await page.locator("body").innerText(), /not connected|retrying/);
    await page.goto(`${address}/#now`);
    await page.getByText("live", { exact: true }).waitFor();
    await stop();
  });

  test("no other site frames the page", async () => {
    const { address, stop } = await sidecar(api, "--listen", "127.0.0.1:0", "--store", file("frame.db", ""));
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.setContent(`<iframe src="${address}"></iframe>`);
    await page.waitForTimeout(500);
    const [, frame] = page.frames();
    assert.notEqual(new URL(frame.url()).origin, new URL(address).origin);
    await stop();
  });
});
