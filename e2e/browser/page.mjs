// Pages of a server with a token, as one of its people sees them.
import { equal } from "./expect.mjs";
import { TOKEN } from "./server.mjs";

/** `open(path, width, options)` for `user`: a loaded page, and all that went wrong on it. */
export function opener(browser, weir, user) {
  return async (path, width, options = {}) => {
    const httpCredentials = { username: user, password: TOKEN };
    const context = await browser.newContext({ viewport: { width, height: 800 }, httpCredentials, ...options });
    const page = await context.newPage();
    const wrong = [];
    page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
    page.on("pageerror", (error) => wrong.push(String(error)));
    const answer = await page.goto(weir.base + path);
    equal(`${path} loads at ${width} px`, 200, answer.status());
    return { page, wrong, close: () => context.close() };
  };
}
