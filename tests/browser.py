"""A page in a headless browser, where Playwright and Chromium are installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def opened(path: Path, **settings: Any) -> Iterator[Any]:
    """Yield a page that has been loaded; at the end there must be no error in its console and no request."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, for a browser")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip("needs Chromium, such as Debian's package chromium")
    faults: list[str] = []
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        page = browser.new_page(**settings)
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda one: None if one.url.startswith(("file:", "data:")) else faults.append(one.url))
        page.goto(path.resolve().as_uri())
        yield page
        browser.close()
    assert faults == []
