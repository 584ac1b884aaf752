"""Opens `/docs` in a browser: it lists every operation, and asks the server.

`docs_page.py CHROMIUM`, with the path of the browser's program.
"""

import sys

from playwright.sync_api import Page, sync_playwright

from server import ADMIN, Api, Server

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
# A browser beside compilers takes its time.
MILLISECONDS_MAX = 120_000


def documented(api: Api) -> set[str]:
    """The operations that the document has for somebody, as `get /health`."""
    paths = api.send("GET", "/openapi.json")["paths"]
    return {f"{method} {path}" for path, item in paths.items() for method in METHODS & set(item)}


# What is closed, all at once: a click on one moves the others about.
OPEN_ALL = """() => document
    .querySelectorAll(".opblock-tag-section:not(.is-open) .opblock-tag")
    .forEach(tag => tag.click())"""
LIST_ALL = """() => Array.from(document.querySelectorAll(".opblock-summary"), summary => [
    summary.querySelector(".opblock-summary-method").textContent.toLowerCase(),
    summary.querySelector("[data-path]").dataset.path,
].join(" "))"""


def listed(page: Page, number: int) -> set[str]:
    """The operations on the page, once every tag is open and so many are there."""
    page.evaluate(OPEN_ALL)
    page.wait_for_function(
        "number => document.querySelectorAll('.opblock-summary').length >= number", arg=number
    )
    return set(page.evaluate(LIST_ALL))


def expect_all(page: Page, api: Api) -> None:
    """The page has what the document has."""
    wanted = documented(api)
    page.wait_for_function(
        "number => document.querySelectorAll('.opblock-tag').length >= number", arg=len(tags(api))
    )
    found = listed(page, len(wanted))
    if found != wanted:
        raise AssertionError(f"missing: {wanted - found}; too much: {found - wanted}")
    print(f"{len(found)} operations are listed", flush=True)


def tags(api: Api) -> set[str]:
    """The tags that operations have."""
    paths = api.send("GET", "/openapi.json")["paths"]
    items = (item for path in paths.values() for item in path.values())
    return {tag for item in items for tag in item["tags"]}


def try_out(page: Page, tag: str, operation: str) -> str:
    """Sends a request with the page's own button; what was answered."""
    block = page.locator(f"#operations-{tag}-{operation}")
    block.locator(".opblock-summary-control").click()
    block.locator(".try-out__btn").click()
    block.locator(".execute").click()
    answer = block.locator(".live-responses-table .response")
    answer.wait_for()
    status = answer.locator(".response-col_status").inner_text().split()[0]
    if status != "200":
        raise AssertionError(f"{operation} was answered with {status}: {answer.inner_text()}")
    return answer.locator(".response-col_description").inner_text()


def look(page: Page, server: Server) -> None:
    """Reads the page as nobody, tries a request, logs in and tries another."""
    page.goto(f"{server.url}/docs")
    expect_all(page, server.api)
    body = try_out(page, "system", "health")
    assert "healthy" in body, body
    admin = server.api.login(ADMIN)
    page.locator(".scheme-container .authorize").click()
    page.locator(".auth-container input").fill(str(admin.token))
    page.locator(".auth-btn-wrapper .authorize").click()
    page.locator(".auth-btn-wrapper .btn-done").click()
    expect_all(page, admin)
    body = try_out(page, "auth", "me")
    assert ADMIN in body, body


def main() -> int:
    """Returns the exit code."""
    complaints: list[str] = []
    with Server(extension=False) as server, sync_playwright() as playwright:
        # Chromium's own sandbox doesn't work as root, and nothing foreign is opened.
        browser = playwright.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(MILLISECONDS_MAX)
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"no answer: {request.url}"))
        look(page, server)
        browser.close()
    for complaint in complaints:
        print(f"the browser complained: {complaint}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
