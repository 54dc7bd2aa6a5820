// What a person sees on the page, and may do there.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { AXE, demo, end, open, shoot } from "./world.mjs";

const VIEWS = ["#now", "#history", "#deliveries"];

after(end);

const ids = (page) => page.locator("#cards article").evaluateAll((cards) => cards.map((card) => card.dataset.key));

describe("an organization that never rests", { concurrency: 4 }, () => {
  let url;
  before(async () => {
    ({ address: url } = await demo());
  });

  test("a rollout moves and ends while one looks", async () => {
    const page = await open(url);
    const card = page.locator("#cards article").first();
    await card.waitFor();
    const name = (await ids(page))[0];
    const own = page.locator(`#cards article[data-key="${name}"]`);
    const elapsed = async () => Number((await own.locator("p").innerText()).match(/now ([\d.]+)\ss/)[1]);
    assert.match(await own.locator("p").innerText(), /usually ready in \d+\ss, now [\d.]+\ss/);
    const first = await elapsed();
    await page.waitForFunction(([key, at]) => {
      const text = document.querySelector(`#cards article[data-key="${key}"] p`)?.innerText;
      return Number(text?.match(/now ([\d.]+)\ss/)?.[1]) >= at + 3;
    }, [name, first]);
    const phases = await own.locator(".bar i").count();
    assert.ok(phases >= 1);
    await own.waitFor({ state: "detached" });
    const row = page.locator("tbody tr", { has: page.getByRole("link", { name, exact: true }) });
    await row.locator(".state", { hasText: /Ready|Down/ }).waitFor();
    assert.match(await page.title(), /Rollouts$/);
    assert.deepEqual(page.complaints, []);
  });

  test("filters live in the address", async () => {
    const page = await open(`${url}/#now?search=concierge`);
    const rows = page.locator("table tbody tr");
    await rows.first().waitFor();
    assert.equal(await rows.count(), 1);
    assert.equal(await page.getByLabel("Search").inputValue(), "concierge");
    await page.getByLabel("Search").fill("o");
    await page.waitForURL(/search=o$/);
    await page.waitForFunction(() => document.querySelectorAll("table tbody tr").length > 3);
    assert.equal(await page.evaluate(() => document.activeElement.dataset.filter), "search", "the focus stays");
    await page.getByLabel("Region").selectOption("us-west");
    await page.waitForURL(/region=us-west/);
    await page.waitForFunction(() => [...document.querySelectorAll("table tbody tr")].every((row) => row.innerText.includes("us-west")));
    await page.reload();
    await rows.first().waitFor();
    assert.equal(await page.getByLabel("Region").inputValue(), "us-west");
    await page.goto(`${url}/#now?search=nobody-has-this`);
    await page.getByText("No agent is like this.").waitFor();
    await page.getByRole("link", { name: "Show all" }).click();
    await page.waitForFunction(() => document.querySelectorAll("table tbody tr").length === 12);
    assert.deepEqual(page.complaints, []);
  });

  test("a failure opens with its traceback, its events and the deployment before", async () => {
    const page = await open(`${url}/#history?verdict=failed`);
    await page.locator("section table tbody tr a").first().click();
    await page.locator("#message").waitFor();
    assert.match(await page.locator("#message").innerText(), /Traceback \(most recent call last\)/);
    await page.getByText("rollout.finished").waitFor();
    await page.getByRole("heading", { name: "Phases" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.nodeName), "H2", "the heading has the focus");
    await page.goto(`${url}/#rollout/nobody/nothing`);
    await page.getByText("Nothing is known of this rollout").waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("a rollout under way has an address that stays when it has ended", async () => {
    const page = await open(url);
    await page.locator("#cards article a").first().click();
    await page.waitForURL(/#rollout\//);
    await page.locator("main .state", { hasText: /ready|failed/ }).first().waitFor();
    await page.getByText("rollout.started").waitFor();
    await page.getByText(/delivered to chat/).first().waitFor();
    await page.getByRole("heading", { name: "Previous deployment" }).waitFor();
    await shoot(page, "rollout", true);
    assert.deepEqual(page.complaints, []);
  });

  test("a dead letter is sent again", async () => {
    const page = await open(`${url}/#deliveries`);
    const buttons = page.getByRole("button", { name: "Send again" });
    await buttons.first().waitFor();
    const there = await buttons.count();
    await buttons.first().click();
    await page.getByText("1 event sent to pager again").waitFor();
    await page.waitForFunction((count) => [...document.querySelectorAll("button")].filter((one) => one.innerText === "Send again").length < count, there);
    await page.getByRole("button", { name: "Send all again" }).click();
    await page.getByText(/\d events? sent to pager again/).waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("charts are read with the arrow keys, and as a table", async () => {
    const page = await open(`${url}/#history?days=30`);
    const plot = page.getByRole("slider", { name: /Time to ready/ });
    await plot.focus();
    const text = () => plot.getAttribute("aria-valuetext");
    const last = await text();
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    assert.notEqual(await text(), last);
    assert.match(await text(), /median \d+\ss, p95 \d+/);
    await page.locator(".tip").waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".tip").waitFor({ state: "detached" });
    await page.getByText("The same as a table").click();
    await page.getByRole("columnheader", { name: "Time to restore: median" }).waitFor();
    await page.locator("[data-filter=by]").selectOption("week");
    await page.waitForURL(/by=week/);
    await page.waitForFunction(() => document.querySelector("[role=slider]").getAttribute("aria-valuetext").startsWith("from "));
    assert.deepEqual(page.complaints, []);
  });

  for (const colorScheme of ["light", "dark"]) {
    test(`nothing bars anybody's way, ${colorScheme}`, async () => {
      const found = [];
      const failed = await (await fetch(`${url}/v1/rollouts?verdict=failed&limit=1`)).json();
      const [one] = failed.rollouts;
      const views = [...VIEWS, "#agent/concierge", `#rollout/${one.agent}/${one.deploymentId}`];
      for (const width of [1440, 360]) {
        const page = await open(`${url}/#now`, { colorScheme, viewport: { width, height: 900 }, bypassCSP: true });
        await page.addScriptTag({ path: AXE });
        for (const view of views) {
          await page.goto(`${url}/${view}`);
          await page.waitForFunction((of) => location.hash === of && data.of === of && !document.getElementById("main").ariaBusy, view);
          if (view === "#now") await page.locator("tr.unready, tr.degraded").first().waitFor();
          const { violations } = await page.evaluate(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
          found.push(...violations.map((one) => `${view} at ${width}: ${one.id} ${one.nodes.map((node) => `${node.target} ${node.any[0]?.message}`).slice(0, 3)}`));
          const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          if (wider > 0) found.push(`${view} at ${width}: ${wider} pixels too wide`);
          const cut = await page.evaluate(() => [...document.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth).length);
          if (cut) found.push(`${view} at ${width}: a table is cut off`);
          const stray = await page.locator("main").evaluate((main) => [...main.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).length);
          if (stray) found.push(`${view}: text beside everything`);
          await shoot(page, `${view.slice(1).split("/")[0]}-${colorScheme}-${width}`, width === 360);
        }
        found.push(...page.complaints);
        await page.context().close();
      }
      assert.deepEqual(found, []);
    });
  }
});
