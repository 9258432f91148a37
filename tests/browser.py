"""A real browser without a window, for tests of pages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
          "--disable-component-update", "--no-first-run", "--force-device-scale-factor=1")  # fmt: skip


class Browser:
    """A browser that looks at one page at a time."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def show(self, page: str, folder: Path, dark: bool = False, width: int = 1300) -> None:
        """Open a page from a file of the folder, at a width in CSS pixels."""
        self.errors(), self.requests()  # those of the page before
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.like(dark)
        path = folder / "page.html"
        path.write_text(page, encoding="utf-8")
        self.driver.get(path.as_uri())

    def like(self, dark: bool) -> None:
        """Prefer dark or light pages."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a piece of JavaScript returns."""
        return self.driver.execute_script(script, *arguments)

    def settle(self) -> None:
        """Wait until what was scrolled or changed is drawn, and its events are over."""
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def move_to(self, element: Any, above: int = 0) -> None:
        """Move the pointer to the middle of an element, or so many pixels above it."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, duration=0).move_to_element_with_offset(element, 0, -above).perform()

    def all(self, selector: str) -> list[Any]:
        """The elements of a CSS selector."""
        return list(self.driver.find_elements("css selector", selector))

    def texts(self, selector: str) -> list[str]:
        """What is to be seen of the elements of a CSS selector; nothing of those that are hidden."""
        return [each.text for each in self.all(selector) if each.is_displayed()]

    def errors(self) -> list[str]:
        """What the browser complained of since this was asked last: errors of scripts, policy violations."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for since this was asked last."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [str(each["params"]["request"]["url"]) for each in messages if each["method"].endswith("WillBeSent")]


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Chromium with a profile of its own; skips the test where there is none, or nothing that drives it."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no chromium and chromedriver on the path")
    selenium = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = selenium.ChromeOptions()
    options.binary_location = program
    for word in (*_QUIET, f"--user-data-dir={profile}"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = selenium.Chrome(service=Service(driver), options=options)
    try:
        yield Browser(started)
    finally:
        started.quit()
