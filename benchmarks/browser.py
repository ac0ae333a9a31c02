"""A headless Chromium for the tests of pages and for the pictures of the docs; nothing is downloaded for it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from popnet.errors import InputError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Programs that are tried, in this order."""


def missing() -> str:
    """Return what is missing for a browser, in a sentence; "" if there is one."""
    if _browser() is None or shutil.which("chromedriver") is None:
        return "There is no Chromium with its chromedriver (Debian: apt-get install chromium chromium-driver)."
    if importlib.util.find_spec("selenium") is None:
        return "Selenium is not installed (pip install 'selenium>=4')."
    return ""


def _browser() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class Browser:
    """A page in a browser, at a width and in a colour scheme.

    Args:
        driver: Selenium's.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path) -> None:
        """Open a file, and forget what the console said before."""
        self.driver.get_log("browser")
        self.driver.get(page.resolve().as_uri())

    def errors(self) -> list[str]:
        """Return what the console says since the page was opened: errors and warnings."""
        return [line["message"] for line in self.driver.get_log("browser")]

    def run(self, script: str, *values: Any) -> Any:
        """Return what a script returns that is run in the page."""
        return self.driver.execute_script(script, *values)

    def size(self, width: int, height: int = 900, scale: float = 1.0) -> None:
        """Make the window so many CSS pixels wide and high, at ``scale`` device pixels each."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500},
        )

    def media(self, scheme: str = "light", media: str = "") -> None:
        """Take a colour scheme, "light" or "dark", and a medium, as "print" ("" for a screen); nothing glides."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": media, "features": features}
        )

    def hover(self, selector: str) -> None:
        """Move the mouse to the middle of an element that is on the screen."""
        element = self.driver.find_element("css selector", selector)
        box = self.run("return arguments[0].getBoundingClientRect().toJSON()", element)
        x, y = (box["left"] + box["right"]) / 2, (box["top"] + box["bottom"]) / 2
        event = {"type": "mouseMoved", "x": x, "y": y}
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def height(self) -> int:
        """Return the height of the whole page in CSS pixels."""
        return int(self.run("return document.documentElement.scrollHeight"))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser, and end it.

    Raises:
        InputError: there is none.
    """
    if lacking := missing():
        raise InputError(lacking)
    webdriver: Any = importlib.import_module("selenium.webdriver")
    service: Any = importlib.import_module("selenium.webdriver.chrome.service")
    options = webdriver.ChromeOptions()
    options.binary_location = _browser()
    words = ["--headless=new", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb"]
    if os.geteuid() == 0:
        words.append("--no-sandbox")  # it does not start for root otherwise
    for word in words:
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # The path of the driver is given, so that Selenium does not look for one on the network.
    driver = webdriver.Chrome(
        options=options, service=service.Service(executable_path=shutil.which("chromedriver"))
    )
    try:
        yield Browser(driver)
    finally:
        driver.quit()
