"""Draw docs/images/report.png, a report in Chromium after a click; `make demo` writes the report."""

from pathlib import Path

import click
from playwright.sync_api import sync_playwright


@click.command(context_settings={"show_default": True})
@click.argument(
    "report", type=click.Path(exists=True, dir_okay=False, path_type=Path), default="demo/report.html"
)
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).with_name("report.png"))
@click.option(
    "--at", type=(float, float), default=(0.6, 0.18), help="Row and column to click, shares of the image."
)
@click.option("--chromium", default="/usr/bin/chromium", help="The browser.")
def main(report: Path, out: Path, at: tuple[float, float], chromium: str) -> None:
    """Open a report, click a pixel in the panel of RISE, and save what is seen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(viewport={"width": 1440, "height": 800}, color_scheme="light")
        page.goto(report.resolve().as_uri())
        page.wait_for_selector("body[data-ready]", state="attached")
        page.wait_for_timeout(2000)
        box = (
            page.locator("figure", has=page.get_by_role("heading", name="RISE"))
            .locator("canvas")
            .bounding_box()
        )
        assert box is not None
        page.mouse.click(box["x"] + box["width"] * at[1], box["y"] + box["height"] * at[0])
        page.wait_for_selector("body[data-answered]", state="attached")
        click.echo(page.locator("#answer").text_content())
        page.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main()
