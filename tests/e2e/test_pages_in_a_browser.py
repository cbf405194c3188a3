"""What a browser says of the pages: nothing in them breaks their own policy (access.md 9)."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.http import Api

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RENDERING_MS = 10_000
"""Of the page's own clock, which jumps while nothing is to be done."""

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@needs_chromium
@pytest.mark.parametrize(
    ("page", "shows"),
    [("/docs", "opblock-summary"), ("/console/login", "Log in")],
    ids=["docs", "login"],
)
def test_chromium_finds_no_violation_of_the_policy(api: Api, tmp_path: Path, page: str, shows: str) -> None:
    assert CHROMIUM is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    budget = [f"--user-data-dir={tmp_path}", f"--virtual-time-budget={RENDERING_MS}"]
    command = [CHROMIUM, *options, *budget, "--dump-dom", f"{api.url}{page}"]

    seen = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - a browser

    said = [line for line in seen.stderr.splitlines() if "CONSOLE" in line]
    assert [line for line in said if "Content Security Policy" in line or "Refused" in line] == []
    assert shows in seen.stdout


def test_page_of_the_api_document_has_no_script_inside_and_asks_no_other_host(api: Api) -> None:
    page = api.get("/docs").body.decode()

    assert page.count("<script") == page.count("<script src=") == 3
    assert "<style" not in page
    assert "://" not in page
    assert "//" not in page.replace("</", "")
    scripts = ("swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "initializer.js")
    for name in (*scripts, "swagger-ui.css", "index.css"):
        assert f'"/docs/{name}"' in page
        assert api.get(f"/docs/{name}").status == 200
