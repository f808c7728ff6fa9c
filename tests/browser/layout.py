"""What a reader sees: no label is cut or lies on another, and nothing scrolls sideways."""

from pathlib import Path

from selenium.webdriver.remote.webdriver import WebDriver

SCRIPT = (Path(__file__).parent / "layout.js").read_text(encoding="utf-8")


def layout_faults(window: WebDriver) -> list[str]:
    return window.execute_script(SCRIPT)
