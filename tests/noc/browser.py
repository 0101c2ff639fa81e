# SPDX-License-Identifier: LGPL-2.1-or-later
"""A headless Chromium that looks at pages on loopback, and keeps pictures of them."""

import os

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

import harness

# It asks nobody outside for anything.
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-US", "--no-proxy-server")
# Where pictures go; docs/images to make those of the documentation anew.
PICTURES = os.environ.get("VADM_PICTURES", os.path.join(harness.BUILD, "test-output", "pictures"))


class Browser:
    """In place, with a profile of its own."""

    def __init__(self, place, width=1400, height=900):
        options = Options()
        options.binary_location = harness.tool("chromium")
        for option in QUIET + (f"--user-data-dir={place.path('chromium')}",
                               f"--window-size={width},{height}"):
            options.add_argument(option)
        self.driver = webdriver.Chrome(
            options=options, service=Service(
                executable_path=harness.tool("chromedriver"),
                env={**os.environ, "TMPDIR": place.dir}))
        place.callback(self.driver.quit)

    def open(self, url):
        self.driver.get(url)

    def text(self):
        """What the page shows; nothing while it gives way to the next one."""
        try:
            return self.driver.find_element(By.TAG_NAME, "body").text
        except (NoSuchElementException, StaleElementReferenceException):
            return ""

    def wait_for_text(self, *texts, timeout=60, again=None):
        """Until the page shows all of them; again is a URL to load anew meanwhile."""
        def there():
            if again:
                self.open(again)
            shown = self.text()
            return all(text in shown for text in texts)
        harness.wait_for(there, lambda: f"{texts} in the page: {self.text()[:3000]}", timeout)

    def picture(self, name):
        """Keeps what is to be seen as NAME.png; returns its path."""
        os.makedirs(PICTURES, exist_ok=True)
        path = os.path.join(PICTURES, name + ".png")
        if not self.driver.save_screenshot(path):
            raise AssertionError(f"no picture of {self.driver.current_url} in {path}")
        return path
